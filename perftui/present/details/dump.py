"""A dump of every thread: who runs the service's own code first, what a server always does folded.

The service's own frames are what a reader looks for; the others are context.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import groupby
from typing import TypeAlias

from perftui.present.details.threads import SeenThread, doubts, is_own, seen_in
from perftui.present.text.cells import BLANK, Cell, Line, clean, filled, fit, fit_line, fit_middle
from perftui.present.text.statements import wrapped
from perftui.present.text.units import count, ms
from perftui.record import Record
from perftui_agent.wire.frames import Dump, Refusal, RouteLabel, StackFrame

FoldKey: TypeAlias = str
"""A stretch that can be folded and unfolded."""

_POOL = re.compile(r"^(ThreadPoolExecutor-\d+_|asyncio_)")

_LOOP_WAITS = re.compile(r"(^|\.)(select|poll|run_forever|run_until_complete|run)$")
"""The innermost function of a main thread whose event loop has nothing to do."""

_SHOWN_BELOW = 2
"""Frames of others shown beside own ones before the rest is folded."""


class _Columns(Record, frozen=True):
    """Where the columns of frames stand: as wide as the service's own names need, the rest for source."""

    name: int
    place: int
    width: int

    @classmethod
    def of(cls, dump: Dump, width: int) -> _Columns:
        own = [frame for thread in dump.threads for frame in thread.frames if is_own(frame)]
        name = max((len(frame.function) for frame in own), default=0)
        place = max((len(_place(frame)) for frame in own), default=0)
        return cls(min(max(name, 20), width // 3), min(max(place, 20), width // 3), width)


class DumpRow(Record, frozen=True):
    """A line of the dump, and the fold that `enter` opens or closes on it."""

    line: Line
    fold: FoldKey | None = None


def dump_title(dump: Dump, clock: str) -> str:
    """Return how the dump was taken: `14:03:07 · py-spy by sibling 4122 · 31ms`."""
    by = "" if dump.taken_by == dump.pid else f" by sibling {dump.taken_by}"
    return f"dump {clock} · {dump.method}{by} · {ms(dump.took_ns / 1e6)}"


def refusal_rows(refusal: Refusal, width: int) -> list[DumpRow]:
    """Return why there is no dump, and the mend."""
    rows = [
        DumpRow(BLANK),
        DumpRow(fit_line((Cell("  ✗ ", "high"), Cell(clean(refusal.reason), "bright")), width)),
    ]
    if refusal.advice:
        rows.append(DumpRow(fit_line((Cell("    "), Cell(clean(refusal.advice), "text")), width)))
    return rows


def dump_rows(
    dump: Dump, width: int, opened: Collection[FoldKey] = (), route: RouteLabel | None = None
) -> list[DumpRow]:
    """Return the dump as lines; `opened` names the folds that stand open."""
    rows = [DumpRow(line) for doubt in doubts(dump) for line in _doubt(doubt, width)]
    columns = _Columns.of(dump, width)
    threads = seen_in(dump)
    busy = sorted((thread for thread in threads if not thread.is_idle), key=lambda each: each.importance)
    for thread in busy:
        rows.append(DumpRow(_thread_line(thread, width, route if thread.thread.is_main else None)))
        rows += _frames(thread, columns, opened)
    idle = sorted((thread for thread in threads if thread.is_idle), key=_kind)
    if idle:
        rows.append(DumpRow(filled((Cell(f" {len(idle)} IDLE", "section"),), width, "section")))
    for kind, alike in groupby(idle, key=_kind):
        rows += _idle_rows(kind, list(alike), columns, opened)
    return rows


def _doubt(said: str, width: int) -> list[Line]:
    """Return what is not certain of a dump, whole: it is what the rest must be read by."""
    first, *others = wrapped(clean(said), max(width - 4, 16)) or [""]
    lines: list[Line] = [(Cell(" △ ", "medium"), Cell(first, "medium"))]
    return [*lines, *((Cell("   "), Cell(text, "medium")) for text in others)]


def _kind(thread: SeenThread) -> str:
    name = thread.name
    if name.startswith("AnyIO worker"):
        return "AnyIO worker"
    return "thread pool" if _POOL.match(name) else name


def _thread_line(thread: SeenThread, width: int, route: RouteLabel | None) -> Line:
    own = thread.is_own
    mark = Cell(" ▲ ", "high") if thread.holds_gil else Cell(" △ ", "medium") if own else Cell(" · ", "faint")
    cells = [mark, Cell(clean(thread.name), "bright" if own else "text")]
    cells.append(_doing(thread, own))
    if route and own:
        cells += [Cell("  serving ", "dim"), Cell(clean(route), "text")]
    return filled(cells, width, "text")


def _doing(thread: SeenThread, own: bool) -> Cell:
    if thread.holds_gil:
        return Cell("  holds the GIL", "high")
    if thread.thread.is_main and not own and thread.frames and _LOOP_WAITS.search(thread.frames[0].function):
        return Cell("  its event loop waits: nothing to do", "dim")
    if thread.active:
        return Cell("  running", "medium")
    return Cell("  waiting", "dim") if own and thread.active is not None else Cell("")


def _frames(thread: SeenThread, columns: _Columns, opened: Collection[FoldKey]) -> Iterator[DumpRow]:
    """Yield the frames, innermost first; longer stretches of others' code as one line each."""
    place = 0
    for stretch in thread.stretches():
        if isinstance(stretch, int):
            said = f"… {count(stretch)} frames left out of a deep stack …"
            yield DumpRow(fit_line((Cell("     "), Cell(said, "medium")), columns.width))
            continue
        for own, alike in groupby(stretch, key=is_own):
            frames = list(alike)
            fold = f"{thread.thread.thread_id}/{place}"
            place += len(frames)
            is_open = fold in opened
            shown = frames if own or is_open or len(frames) <= _SHOWN_BELOW + 1 else frames[:_SHOWN_BELOW]
            for number, frame in enumerate(shown):
                yield DumpRow(_frame_line(frame, own, columns), fold if is_open and number == 0 else None)
            if len(shown) < len(frames):
                outermost = place == len(thread.frames)
                yield DumpRow(_fold_line(frames[len(shown) :], outermost, columns.width), fold)


def _place(frame: StackFrame) -> str:
    return clean(f"{frame.short_file or frame.file}:{frame.line}")


def _frame_line(frame: StackFrame, own: bool, columns: _Columns) -> Line:
    cells = (
        Cell("     "),
        Cell(fit(clean(frame.function), columns.name), "own" if own else "dim"),
        Cell("  "),
        Cell(fit_middle(_place(frame), columns.place), "place" if own else "faint"),
        Cell("  "),
        Cell(clean(frame.source).strip(), "source" if own else "faint"),
    )
    return fit_line(cells, columns.width - 1)


def _fold_line(frames: list[StackFrame], outermost: bool, width: int) -> Line:
    packages = list(dict.fromkeys(_package(frame) for frame in frames))
    whose = "the server" if outermost else ", ".join(packages[:3])
    text = f"+ {len(frames)} frames of {clean(whose)} "
    return fit_line((Cell("     "), Cell(text, "dim"), Cell("⏎", "accent")), width)


def _package(frame: StackFrame) -> str:
    path = frame.file.replace("\\", "/")
    for marker in ("site-packages/", "dist-packages/"):
        if marker in path:
            return path.rpartition(marker)[2].partition("/")[0].removesuffix(".py")
    return "perftui_agent" if "/perftui_agent/" in path else "Python"


def _idle_rows(
    kind: str, threads: list[SeenThread], columns: _Columns, opened: Collection[FoldKey]
) -> Iterator[DumpRow]:
    fold = f"idle/{kind}"
    top = threads[0].frames[0] if threads[0].frames else None
    times = f" × {len(threads)}" if len(threads) > 1 else ""
    where = f"{clean(top.function)}  {_place(top)}" if top else "no Python code"
    cells = (
        Cell(" · ", "faint"),
        Cell(fit(clean(kind) + times, columns.name + 2), "text"),
        Cell(f"  idle in {where} ", "dim"),
        Cell("" if fold in opened else "⏎", "accent"),
    )
    yield DumpRow(fit_line(cells, columns.width), fold)
    if fold in opened:
        for thread in threads:
            if len(threads) > 1:
                yield DumpRow(_thread_line(thread, columns.width, None))
            for frame in thread.frames:
                yield DumpRow(_frame_line(frame, False, columns))
