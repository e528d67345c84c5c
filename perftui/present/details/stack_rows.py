"""Stacks as lines of a screen: the service's own frames with their source, stretches of others' folded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from perftui.present.details.threads import is_own, stretches
from perftui.present.text.cells import Cell, Line, clean, fit, fit_line, fit_middle
from perftui.present.text.units import count
from perftui.record import Record
from perftui_agent.wire.dumps import StackFrame

FoldKey: TypeAlias = str
"""A stretch that can be folded and unfolded."""

_SHOWN_BELOW = 2
"""Frames of others shown beside own ones before the rest is folded."""


class DumpRow(Record, frozen=True):
    """A line of the dump, the fold that `enter` opens or closes on it, and whose frame it is of."""

    line: Line
    fold: FoldKey | None = None
    function: str = ""


class Columns(Record, frozen=True):
    """Where the columns of frames stand: as wide as the service's own names need, the rest for source."""

    name: int
    place: int
    width: int

    @classmethod
    def of(cls, frames: Iterable[StackFrame], width: int) -> Columns:
        """Return them for all frames of a dump."""
        own = [frame for frame in frames if is_own(frame)]
        name = max((len(frame.function) for frame in own), default=0)
        place = max((len(place_of(frame)) for frame in own), default=0)
        return cls(min(max(name, 20), width // 3), min(max(place, 20), width // 3), width)


def stack_rows(
    frames: Sequence[StackFrame], cut: int, key: str, columns: Columns, opened: Collection[FoldKey]
) -> Iterator[DumpRow]:
    """Yield the frames, innermost first; `key` tells this stack's folds from others'."""
    place = 0
    for stretch in stretches(frames, cut):
        if isinstance(stretch, int):
            said = f"… {count(stretch)} frames left out of a deep stack …"
            yield DumpRow(fit_line((Cell("     "), Cell(said, "medium")), columns.width))
            continue
        for own, alike in groupby(stretch, key=is_own):
            run = list(alike)
            fold = f"{key}/{place}"
            place += len(run)
            is_open = fold in opened
            shown = run if own or is_open or len(run) <= _SHOWN_BELOW + 1 else run[:_SHOWN_BELOW]
            for number, frame in enumerate(shown):
                folds = fold if is_open and number == 0 else None
                yield DumpRow(frame_line(frame, own, columns), folds, frame.function)
            if len(shown) < len(run):
                outermost = place == len(frames)
                yield DumpRow(_fold_line(run[len(shown) :], outermost, columns.width), fold)


def place_of(frame: StackFrame) -> str:
    """Return where a frame is, `app/reports.py:42`."""
    return clean(f"{frame.short_file or frame.file}:{frame.line}")


def frame_line(frame: StackFrame, own: bool, columns: Columns) -> Line:
    """Return a frame with its place and its line of code."""
    cells = (
        Cell("     "),
        Cell(fit(clean(frame.function), columns.name), "own" if own else "dim"),
        Cell("  "),
        Cell(fit_middle(place_of(frame), columns.place), "place" if own else "faint"),
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
