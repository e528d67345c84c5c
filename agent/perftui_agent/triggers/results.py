"""What was taken, as it is kept: within its bytes, and with a word of what is not in it.

Takes a result as a client would have got it, gives the bytes that go into the black box beside the frames.
"""

from __future__ import annotations

import msgspec

from perftui_agent.inspect.stacks import fitted
from perftui_agent.wire.actions import Profile, ProfiledFrame, ProfiledStack
from perftui_agent.wire.codec import encode
from perftui_agent.wire.dumps import Dump
from perftui_agent.wire.parts import CodePlace

MAX_RESULT_BYTES = 96 * 1024
"""Of one piece of evidence; a profile of twenty seconds takes 5 to 50 KB."""

OTHER = ProfiledFrame("(other)", "", 0)

STACK_DEPTH = 12


def kept(result: Dump | Profile, most_bytes: int = MAX_RESULT_BYTES) -> bytes:
    """Return the bytes of a result, at most so many; what is cut of it is counted in it."""
    if isinstance(result, Profile):
        return encode(_fitted_profile(result, most_bytes))
    return encode(fitted(result, most_bytes))


def _fitted_profile(profile: Profile, most_bytes: int) -> Profile:
    """Return a profile whose lightest stacks are counted as one, as far as there is no room for them."""
    ranked = sorted(profile.stacks, key=lambda each: -each.weight_ns)
    left, fitting = len(ranked), profile
    while len(encode(fitting)) > most_bytes and left > 1:
        left //= 2
        fitting = _with_stacks(profile, ranked[:left], ranked[left:])
    return fitting


def _with_stacks(profile: Profile, stacks: list[ProfiledStack], rest: list[ProfiledStack]) -> Profile:
    places: dict[int, int] = {}
    moved = [
        msgspec.structs.replace(each, frames=[places.setdefault(place, len(places)) for place in each.frames])
        for each in stacks
    ]
    frames = [profile.frames[place] for place in places]
    cut = sum(each.count for each in rest)
    other = ProfiledStack([len(frames)], sum(each.weight_ns for each in rest), cut)
    return msgspec.structs.replace(
        profile,
        frames=[*frames, OTHER],
        stacks=[*moved, other],
        stacks_cut=profile.stacks_cut + cut,
        note=f"cut to the {len(stacks)} heaviest of {len(profile.stacks)} stacks to fit the black box",
    )


def told_by(result: Dump | Profile) -> tuple[CodePlace, list[CodePlace]]:
    """Return where it points to, and the stack there, innermost first: of a profile, the heaviest at work."""
    if isinstance(result, Profile):
        working = [each for each in result.stacks if not each.idle and each.frames]
        heaviest = max(working, key=lambda each: each.weight_ns, default=None)
        frames = heaviest.frames[::-1] if heaviest is not None else []
        stack = [result.frames[place].place for place in frames[:STACK_DEPTH]]
    else:
        main = next((each for each in result.threads if each.is_main), None)
        stack = [f"{at.short_file or at.file}:{at.line} {at.function}" for at in main.frames] if main else []
        stack = stack[:STACK_DEPTH]
    return (stack[0] if stack else ""), stack
