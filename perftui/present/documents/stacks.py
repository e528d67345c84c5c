"""Dumps as plain text: what `perftui dump` prints for people.

Who holds the GIL or runs the service's own code comes first and in full; threads that wait in a library
for something to do are told in one line per kind, tasks in one line per place where they wait. What is the
same in several workers is told once, with who is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perftui.present.details.alike import (
    AlikeTasks,
    AlikeThreads,
    idle_alike,
    kind_of,
    locals_in,
    tasks_alike,
    tasks_count,
    threads_alike,
)
from perftui.present.details.threads import doubts, is_own, stretches
from perftui.present.documents.rows.units import moment
from perftui.present.text.units import count, ms
from perftui_agent.wire.dumps import Dump, FrameLocals, StackFrame


def stacks(*dumps: Dump) -> list[str]:
    """Return the lines of a dump, or of those of several workers together."""
    several = len(dumps) > 1
    lines: list[str] = []
    for dump in dumps:
        lines.append(_title(dump))
        lines += [f"  {doubt}" for doubt in doubts(dump)]
    for threads in threads_alike(dumps):
        lines += [
            "",
            _heading(threads, several),
            *_stack(threads.first.frames, threads.first.thread.frames_cut),
        ]
    if idle := idle_alike(dumps):
        lines += ["", *(_idle(threads, several) for threads in idle)]
    if waiting := tasks_alike(dumps):
        lines += ["", f"{count(tasks_count(dumps))} tasks wait"]
        for tasks in waiting:
            lines += _tasks(tasks, several)
    for pid, variables in locals_in(dumps):
        lines += ["", *_locals(pid, variables, several)]
    return lines


def _title(dump: Dump) -> str:
    return f"worker {dump.pid} · {moment(dump.taken_at / 1e9)} · {taken(dump)} in {ms(dump.took_ns / 1e6)}"


def taken(dump: Dump) -> str:
    """Return how a dump was taken, and by whom: `py-spy by its sibling 4122`."""
    if not dump.taken_by:
        return f"{dump.method}, asked by perftui itself"
    return dump.method if dump.taken_by == dump.pid else f"{dump.method} by its sibling {dump.taken_by}"


def _of_workers(workers: Sequence[int], several: bool) -> str:
    return f"  of {', '.join(map(str, workers))}" if several else ""


def _heading(threads: AlikeThreads, several: bool) -> str:
    first = threads.first
    states = ["holds the GIL"] if first.holds_gil else []
    if first.active is not None:
        states += ["running" if first.active else "waiting"]
    said = f"{threads.name} ({', '.join(states)})" if states else threads.name
    if threads.serving:
        said += f"  serves {threads.serving}"
    if threads.tasks:
        said += f"  in {threads.tasks}"
    return said + _of_workers(threads.workers, several)


def _stack(frames: Sequence[StackFrame], cut: int) -> Iterator[str]:
    for stretch in stretches(frames, cut):
        if isinstance(stretch, int):
            yield f"    … {count(stretch)} frames left out …"
        else:
            yield from map(_line, stretch)


def _line(frame: StackFrame) -> str:
    mark = "→" if is_own(frame) else " "
    source = f"  {frame.source.strip()}" if frame.source.strip() else ""
    return f"  {mark} {_place(frame)} {frame.function}{source}"


def _place(frame: StackFrame) -> str:
    return f"{frame.short_file or frame.file}:{frame.line}"


def _idle(threads: AlikeThreads, several: bool) -> str:
    top = threads.first.frames[0] if threads.first.frames else None
    times = f" × {len(threads.members)}" if len(threads.members) > 1 else ""
    where = f" in {top.function} at {_place(top)}" if top else ""
    return f"{kind_of(threads.first)}{times} idle{where}{_of_workers(threads.workers, several)}"


def _tasks(tasks: AlikeTasks, several: bool) -> Iterator[str]:
    place = tasks.place
    where = f"{_place(place)} {place.function}" if place is not None else "in no code of Python's"
    said = f"  {count(tasks.count)} × {where}  waits for {tasks.inside or 'something'}"
    if tasks.serving:
        said += f"  serves {tasks.serving}"
    if tasks.awaits:
        said += f"  ({tasks.awaits})"
    yield said + _of_workers(tasks.workers, several)
    if tasks.is_own:
        yield from (f"  {line}" for line in _stack(tasks.first.frames, tasks.first.frames_cut))


def _locals(pid: int, variables: FrameLocals, several: bool) -> Iterator[str]:
    place = f"{variables.short_file or variables.file}:{variables.line}"
    serves = f"  serves {variables.route}" if variables.route else ""
    yield f"variables of {variables.function} {place} in {variables.at}{serves}{_of_workers([pid], several)}"
    yield from (f"    {name} = {value}" for name, value in variables.values.items())
    if variables.values_cut:
        yield f"    … {variables.values_cut} more"
