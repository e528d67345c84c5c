"""What was taken of the workers meanwhile, dumps and profiles: what a template draws of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from markupsafe import Markup

from perftui.model.evidence import result_of
from perftui.model.flame import samples_of
from perftui.model.happenings import EvidenceRow
from perftui.present.details.stack_rows import place_of
from perftui.present.details.threads import SeenThread, doubts, is_own, seen_in
from perftui.present.documents.profiles.svg import HEAD, WIDTH, boxes_of
from perftui.present.text.cells import clean
from perftui.present.text.units import clock, count, ms
from perftui.record import Record
from perftui_agent.wire.actions import Profile
from perftui_agent.wire.dumps import Dump, StackFrame

MOST_FRAMES = 40
"""Of one stack."""

LEAST_SHARE = 0.003
"""Of a flame graph: what is thinner than four pixels is not drawn."""


class Frame(Record, frozen=True):
    """One line of a stack."""

    function: str
    place: str
    source: str
    is_own: bool


class Stack(Record, frozen=True):
    """A thread, or tasks that wait at one place."""

    title: str
    about: str
    frames: tuple[Frame, ...]
    cut: int = 0


class Taken(Record, frozen=True):
    """A dump or a profile."""

    title: str
    about: str
    notes: tuple[str, ...] = ()
    stacks: tuple[Stack, ...] = ()
    flame: Markup = Markup()
    flame_box: str = ""
    """Its view box."""


def taken_by_triggers(evidence: Iterable[EvidenceRow]) -> Iterator[Taken]:
    """Yield what lies in the evidence of agents, the newest first."""
    for row in sorted(evidence, key=lambda row: -row.evidence.at):
        each = row.evidence
        result = result_of(each)
        if result is not None:
            why = clean(each.trigger or each.text)
            yield drawn(result, why)


def drawn(result: Dump | Profile, why: str = "") -> Taken:
    """Return a dump or a profile as a page has it."""
    return _dump(result, why) if isinstance(result, Dump) else _profile(result, why)


def _profile(profile: Profile, why: str) -> Taken:
    samples = samples_of([profile])
    boxes, height = boxes_of(samples, LEAST_SHARE)
    about = f"{profile.engine}, {profile.mode}, {count(samples.count)} samples in {ms(profile.took_ns / 1e6)}"
    return Taken(
        title=f"Profile of worker {profile.pid}",
        about=" · ".join(filter(None, (about, why))),
        notes=(clean(profile.note),) if profile.note else (),
        # Every text in it has been escaped by who drew it.
        flame=Markup("".join(boxes)),  # noqa: S704
        flame_box=f"0 {HEAD - 4} {WIDTH} {height - HEAD + 4}",
    )


def _dump(dump: Dump, why: str) -> Taken:
    threads = sorted(seen_in(dump), key=lambda seen: seen.importance)
    awake = [seen for seen in threads if not seen.is_idle]
    stacks = [_thread(seen) for seen in awake]
    for waiting in dump.tasks or ():
        title = f"{count(waiting.count)} task{'s' if waiting.count > 1 else ''} waiting"
        serving = ", ".join(f"{number}× {clean(route)}" for route, number in waiting.routes.items())
        stacks.append(_stack(title, " · ".join(filter(None, (clean(waiting.waits_for), serving))),
                             waiting.frames, waiting.frames_cut))  # fmt: skip
    notes = [clean(said) for said in doubts(dump)]
    if idle := len(threads) - len(awake):
        notes.append(f"{idle} idle thread{'s' if idle > 1 else ''} left out")
    about = f"{clock(dump.taken_at / 1e9)} · {dump.method} · {ms(dump.took_ns / 1e6)}"
    return Taken(
        title=f"Dump of worker {dump.pid}",
        about=" · ".join(filter(None, (about, why))),
        notes=tuple(notes),
        stacks=tuple(stacks),
    )


def _thread(seen: SeenThread) -> Stack:
    thread = seen.thread
    doing = "holds the GIL" if seen.holds_gil else "running" if seen.active else ""
    serving = f"serving {clean(thread.route)}" if thread.route else ""
    about = " · ".join(filter(None, (doing, serving)))
    return _stack(clean(seen.name), about, thread.frames, thread.frames_cut)


def _stack(title: str, about: str, frames: Sequence[StackFrame], cut: int) -> Stack:
    kept = frames[:MOST_FRAMES]
    shown = tuple(
        Frame(clean(frame.function), place_of(frame), clean(frame.source), is_own(frame)) for frame in kept
    )
    return Stack(title, about, shown, cut + len(frames) - len(kept))
