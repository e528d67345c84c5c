"""A dump of every thread and task: who runs the service's own code first, what a server always does folded.

The service's own frames are what a reader looks for; the others are context. Of one worker or of several,
where what is the same in them is told once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

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
from perftui.present.details.stack_rows import Columns, DumpRow, FoldKey, frame_line, place_of, stack_rows
from perftui.present.details.threads import doubts
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, filled, fit, fit_line
from perftui.present.text.statements import wrapped
from perftui.present.text.units import count, ms
from perftui_agent.wire.dumps import Dump, FrameLocals, Refusal, StackFrame
from perftui_agent.wire.parts import RouteLabel

__all__ = ("DumpRow", "FoldKey", "dump_rows", "dump_title", "dumps_rows", "refusal_rows")

_LOOP_WAITS = re.compile(r"(^|\.)(select|poll|run_forever|run_until_complete|run)$")
"""The innermost function of a main thread whose event loop has nothing to do."""


def dump_title(dump: Dump, clock: str) -> str:
    """Return how the dump was taken: `14:03:07 · py-spy by sibling 4122 · 31ms`."""
    by = "" if dump.taken_by in {0, dump.pid} else f" by sibling {dump.taken_by}"
    return f"dump {clock} · {dump.method}{by} · {ms(dump.took_ns / 1e6)}"


def refusal_rows(refusal: Refusal, width: int, pid: int | None = None) -> list[DumpRow]:
    """Return why there is no dump, of a worker if it is one of several, and the mend."""
    whose = f"worker {pid}: " if pid is not None else ""
    rows = [
        DumpRow(BLANK),
        DumpRow(fit_line((Cell("  ✗ ", "high"), Cell(clean(whose + refusal.reason), "bright")), width)),
    ]
    if refusal.advice:
        rows.append(DumpRow(fit_line((Cell("    "), Cell(clean(refusal.advice), "text")), width)))
    return rows


def dump_rows(
    dump: Dump, width: int, opened: Collection[FoldKey] = (), route: RouteLabel | None = None
) -> list[DumpRow]:
    """Return the dump of one worker as lines; `opened` names the folds that stand open.

    `route` is what is known otherwise of who holds the loop, where the dump does not tell.
    """
    return dumps_rows([dump], width, opened, route)


def dumps_rows(
    dumps: Sequence[Dump], width: int, opened: Collection[FoldKey] = (), route: RouteLabel | None = None
) -> list[DumpRow]:
    """Return the dumps of several workers as lines."""
    several = len(dumps) > 1
    rows = [DumpRow(line) for said, pids in _all_doubts(dumps) for line in _doubt(said, pids, several, width)]
    columns = Columns.of(_all_frames(dumps), width)
    for place, threads in enumerate(threads_alike(dumps)):
        is_main = threads.first.thread.is_main
        rows.append(DumpRow(_thread_line(threads, width, several, route if is_main else None)))
        first = threads.first.thread
        rows += stack_rows(first.frames, first.frames_cut, f"{place}/{first.thread_id}", columns, opened)
    for pid, variables in locals_in(dumps):
        rows += _locals_rows(pid, variables, several, width)
    waiting = tasks_alike(dumps)
    if waiting:
        said = f" {count(tasks_count(dumps))} TASKS WAIT"
        rows.append(DumpRow(filled((Cell(said, "section"),), width, "section")))
    for tasks in waiting:
        rows += _task_rows(tasks, several, columns, opened)
    idle = idle_alike(dumps)
    if idle:
        total = sum(len(threads.members) for threads in idle)
        rows.append(DumpRow(filled((Cell(f" {total} IDLE", "section"),), width, "section")))
    for threads in idle:
        rows += _idle_rows(threads, several, columns, opened)
    return rows


def _all_frames(dumps: Iterable[Dump]) -> Iterator[StackFrame]:
    for dump in dumps:
        for stack in (*dump.threads, *(dump.tasks or ())):
            yield from stack.frames


def _all_doubts(dumps: Iterable[Dump]) -> list[tuple[str, list[int]]]:
    """Return what is not certain, and of which workers."""
    said: dict[str, list[int]] = {}
    for dump in dumps:
        for doubt in doubts(dump):
            said.setdefault(doubt, []).append(dump.pid)
    return list(said.items())


def _doubt(said: str, pids: list[int], several: bool, width: int) -> list[Line]:
    """Return what is not certain of a dump, whole: it is what the rest must be read by."""
    of = f" ({_workers(pids)})" if several else ""
    first, *others = wrapped(clean(said + of), max(width - 4, 16)) or [""]
    lines: list[Line] = [(Cell(" △ ", "medium"), Cell(first, "medium"))]
    return [*lines, *((Cell("   "), Cell(text, "medium")) for text in others)]


def _workers(pids: Sequence[int]) -> str:
    return f"worker{'s' if len(pids) > 1 else ''} {' '.join(map(str, pids))}"


def _of_workers(pids: Sequence[int], several: bool) -> list[Cell]:
    return [Cell(f"  {_workers(pids)}", "dim")] if several else []


def _thread_line(threads: AlikeThreads, width: int, several: bool, route: RouteLabel | None) -> Line:
    first = threads.first
    own = first.is_own
    mark = Cell(" ▲ ", "high") if first.holds_gil else Cell(" △ ", "medium") if own else Cell(" · ", "faint")
    cells = [mark, Cell(clean(threads.name), "bright" if own else "text"), _doing(threads, own)]
    serving = threads.serving or (route or "" if own else "")
    if serving:
        cells += [Cell("  serving ", "dim"), Cell(clean(serving), "text")]
    cells += _of_workers(threads.workers, several)
    if threads.tasks:
        cells.append(Cell(f"  {clean(threads.tasks)}", "faint"))
    return filled(cells, width, "text")


def _doing(threads: AlikeThreads, own: bool) -> Cell:
    thread = threads.first
    if thread.holds_gil:
        return Cell("  holds the GIL", "high")
    if thread.thread.is_main and not own and thread.frames and _LOOP_WAITS.search(thread.frames[0].function):
        return Cell("  its event loop waits: nothing to do", "dim")
    if thread.active:
        return Cell("  running", "medium")
    return Cell("  waiting", "dim") if own and thread.active is not None else Cell("")


def _task_rows(
    tasks: AlikeTasks, several: bool, columns: Columns, opened: Collection[FoldKey]
) -> Iterator[DumpRow]:
    """Yield a line for tasks that wait at one place, what it is about below, and the stack if it is open."""
    place = tasks.place
    fold = (
        f"tasks/{tasks.first.waits_for}/{'/'.join(f'{each.file}:{each.line}' for each in tasks.first.frames)}"
    )
    where = f"{place_of(place)} {clean(place.function)}" if place else "no code of Python's"
    style: Style = "own" if tasks.is_own else "dim"
    cells = [
        Cell(f"{count(tasks.count):>4} × ", "bright" if tasks.is_own else "text"),
        Cell(where, style),
        Cell(f"  {clean(tasks.inside)} ", "dim"),
        Cell("" if fold in opened else "⏎", "accent"),
    ]
    yield DumpRow(fit_line(cells, columns.width), fold, place.function if place else "")
    about = [Cell("       ")]
    if tasks.serving:
        about += [Cell("serving ", "dim"), Cell(clean(tasks.serving), "text"), Cell("  ")]
    if tasks.awaits:
        about += [Cell("waits for ", "dim"), Cell(clean(tasks.awaits), "text")]
    about += _of_workers(tasks.workers, several)
    if len(about) > 1:
        yield DumpRow(fit_line(about, columns.width), fold)
    if fold in opened:
        for names in wrapped(clean(", ".join(tasks.first.names)), max(columns.width - 9, 16)):
            yield DumpRow(fit_line((Cell("       "), Cell(names, "faint")), columns.width))
        yield from stack_rows(tasks.first.frames, tasks.first.frames_cut, fold, columns, opened)


def _locals_rows(pid: int, variables: FrameLocals, several: bool, width: int) -> Iterator[DumpRow]:
    where = f"{variables.short_file or variables.file}:{variables.line}"
    said = f" VARIABLES OF {variables.function} {where} in {variables.at}"
    cells = [Cell(clean(said), "section"), *_of_workers([pid], several)]
    yield DumpRow(filled(cells, width, "section"), None, variables.function)
    for name, value in variables.values.items():
        first, *others = wrapped(clean(f"{name} = {value}"), max(width - 6, 16)) or [""]
        yield DumpRow((Cell("     "), Cell(first, "text")))
        yield from (DumpRow((Cell("       "), Cell(other, "text"))) for other in others)
    if variables.values_cut:
        yield DumpRow((Cell("     "), Cell(f"… {variables.values_cut} more", "medium")))


def _idle_rows(
    threads: AlikeThreads, several: bool, columns: Columns, opened: Collection[FoldKey]
) -> Iterator[DumpRow]:
    kind, first = kind_of(threads.first), threads.first
    fold = f"idle/{kind}"
    top = first.frames[0] if first.frames else None
    times = f" × {len(threads.members)}" if len(threads.members) > 1 else ""
    where = f"{clean(top.function)}  {place_of(top)}" if top else "no Python code"
    cells = [
        Cell(" · ", "faint"),
        Cell(fit(clean(kind) + times, columns.name + 2), "text"),
        Cell(f"  idle in {where} ", "dim"),
        Cell("" if fold in opened else "⏎", "accent"),
        *_of_workers(threads.workers, several),
    ]
    yield DumpRow(fit_line(cells, columns.width), fold)
    if fold in opened:
        for pid, thread in threads.members:
            if len(threads.members) > 1:
                alone = AlikeThreads(thread, ((pid, thread),))
                yield DumpRow(_thread_line(alone, columns.width, several, None))
            for frame in thread.frames:
                yield DumpRow(frame_line(frame, False, columns))
