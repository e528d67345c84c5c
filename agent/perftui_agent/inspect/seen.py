"""Stacks that were seen, as a profile carries them: bounded, cleaned, each line of code named once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from perftui_agent.inspect.pyspy_record import SpiedStack
from perftui_agent.inspect.sampler import WAITING_FILES, Key
from perftui_agent.inspect.text import printable
from perftui_agent.places import is_user_code, short_file
from perftui_agent.wire.actions import ProfiledFrame, ProfiledStack

MAX_STACKS = 5_000
"""Of one profile, those that took most; the time of the others is told as one."""

_NAME, _FILE, _THREAD, _ROUTE = 200, 500, 100, 300

MAIN_THREAD = "MainThread"

OURS = "perftui-"
"""How the names of the agent's own threads begin."""

_LOOP_WAITS = ("selectors.py", "asyncio/runners.py", "asyncio/base_events.py")
"""Where a loop is that waits: uvloop, which has no frames, at what has started it."""

At: TypeAlias = tuple[str, str, int]
"""Function, file and line."""

Sight: TypeAlias = tuple[tuple[At, ...], str, str, bool, bool]
"""Frames outermost first, route, thread, whether it was on the loop, and whether it was idle."""

Seen: TypeAlias = dict[Sight, tuple[int, int]]
"""Nanoseconds and samples of each."""


def add_spied(seen: Seen, stacks: Iterable[SpiedStack], period_ns: int) -> None:
    """Count what py-spy has seen, each sample for so long."""
    for stack in stacks:
        if stack.thread.startswith(OURS):
            continue
        frames = tuple((frame.name, frame.file, frame.line) for frame in stack.frames)
        # From outside nobody knows the loop; servers run it in the main thread.
        sight = frames, "", stack.thread, stack.thread == MAIN_THREAD, is_idle(frames)
        ns, count = seen.get(sight, (0, 0))
        seen[sight] = ns + stack.count * period_ns, count + stack.count


def sampled(stacks: Mapping[Key, tuple[int, int]]) -> Seen:
    """Return what the sampler has counted."""
    seen: Seen = {}
    for key, (ns, count) in stacks.items():
        frames = tuple((code.co_qualname, code.co_filename, line) for code, line in reversed(key.lines))
        sight = frames, key.route, key.thread, key.on_loop, key.idle
        known_ns, known = seen.get(sight, (0, 0))
        seen[sight] = known_ns + ns, known + count
    return seen


def is_idle(frames: tuple[At, ...]) -> bool:
    """Tell whether a stack, outermost first, waits for something to do."""
    if not frames:
        return False
    _, file, _ = frames[-1]
    if file.endswith(_LOOP_WAITS):
        return True
    return file.endswith(WAITING_FILES) and not any(is_user_code(file) for _, file, _ in frames)


def told(seen: Seen) -> tuple[list[ProfiledFrame], list[ProfiledStack], int]:
    """Return the frames and stacks for the wire, and how many samples were too much to be told apart."""
    ranked = sorted(seen.items(), key=lambda item: -item[1][0])
    places: dict[At, int] = {}
    stacks = [
        ProfiledStack(
            [places.setdefault(at, len(places)) for at in frames],
            ns,
            count,
            printable(route, _ROUTE),
            printable(thread, _THREAD),
            on_loop,
            idle,
        )
        for (frames, route, thread, on_loop, idle), (ns, count) in ranked[:MAX_STACKS]
    ]
    rest = ranked[MAX_STACKS:]
    cut = sum(count for _, (_, count) in rest)
    if rest:
        other = places.setdefault(("(other)", "", 0), len(places))
        stacks.append(ProfiledStack([other], sum(ns for _, (ns, _) in rest), cut))
    return [_frame(at) for at in places], stacks, cut


def _frame(at: At) -> ProfiledFrame:
    function, file, line = at
    file = printable(file, _FILE)
    return ProfiledFrame(printable(function, _NAME), file, max(line, 0), short_file(file) if file else "")
