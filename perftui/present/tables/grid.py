"""Tables in fixed columns: which of them a width holds, in which order the rows stand, how a row reads.

Rows are told apart by a key; a row's cells are made only when it is seen. Rows whose sort value
reads the same on the screen keep the places they had: ties don't flicker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from perftui.present.text.cells import Align, Cell, Line, Style, clean, filled, fit, fit_middle
from perftui.record import Record

RowKey: TypeAlias = str
"""What a row is, whatever its place: a route's label, a worker's id."""

SortValue: TypeAlias = float | str | None

_MARGIN = 1
"""Left free at the right edge."""

LEAD = 3
"""The cells before a row's name: the cursor, the sign, a space."""


class Column(Record, frozen=True):
    """A column; its width counts the space that parts it from its left neighbour."""

    key: str
    title: str
    width: int
    """0: all that is left over."""
    align: Align = "right"
    at_least: int = 0
    """The width of the table from which on it is shown."""
    below: int = 10_000
    """The width from which on something else takes its place."""


class Sort(Record, frozen=True):
    """By which column, and which way."""

    by: str
    descending: bool = True

    def step(self, columns: Sequence[str], by: int) -> Sort:
        """Return the sort by the column `by` places further on."""
        place = columns.index(self.by) if self.by in columns else 0
        return self.to(columns[(place + by) % len(columns)])

    def to(self, column: str) -> Sort:
        """Return the sort by a column; names and pids go upwards."""
        return Sort(column, column not in {"route", "pid", "state", "cache", "kind", "worker", "function"})

    def inverted(self) -> Sort:
        """Return the same sort the other way round."""
        return replace(self, descending=not self.descending)


class Grid(Record, frozen=True):
    """A table ready to be drawn."""

    title: str
    columns: tuple[Column, ...]
    keys: tuple[RowKey, ...]
    cells: Callable[[RowKey], tuple[Cell, ...]]
    """A row's cells, one for each of `columns`."""
    sign: Callable[[RowKey], Cell] = lambda _: Cell(" ")
    sort: Sort | None = None
    note: str = ""
    """What stands beside the title."""
    empty: str = "nothing yet"
    out_of: int | None = None
    """How many rows there were before the filter; None without one."""

    @property
    def nothing(self) -> str:
        """What to say where no row is left."""
        return f"none of {self.out_of} meets the filter: esc clears it" if self.out_of else self.empty


def chosen_columns(columns: Sequence[Column], width: int) -> tuple[Column, ...]:
    """Return the columns a table of `width` cells shows, with the widths they get."""
    shown = [column for column in columns if column.at_least <= width < column.below]
    rest = width - _MARGIN - sum(column.width for column in shown)
    return tuple(column if column.width else replace(column, width=max(rest, 6)) for column in shown)


def ordered(values: Mapping[RowKey, SortValue], sort: Sort, before: Sequence[RowKey]) -> tuple[RowKey, ...]:
    """Return the keys of `values` sorted; what reads the same stays where it was in `before`."""
    places = {key: place for place, key in enumerate(before)}
    steady = sorted(values, key=lambda key: places.get(key, len(places)))
    known = [key for key in steady if values[key] is not None]
    unknown = [key for key in steady if values[key] is None]
    return (*sorted(known, key=lambda key: _as_read(values[key]), reverse=sort.descending), *unknown)


def _as_read(value: SortValue) -> tuple[float, str]:
    if isinstance(value, str):
        return (0.0, value)
    return (float(f"{value or 0.0:.3g}"), "")


def heading_line(grid: Grid, first: int, shown: int, width: int, style: Style) -> Line:
    """Return the line above the rows: title, sort, which rows of how many, column titles."""
    cells = [Cell(fit(f" {_title(grid, first, shown)}", grid.columns[0].width), style)]
    for column in grid.columns[1:]:
        by_this = grid.sort is not None and grid.sort.by == column.key
        text = _arrow(grid.sort) + column.title if by_this else column.title
        cells.append(Cell(_in_column(text, column), f"{style}-sorted" if by_this else style))
    return filled(cells, width, style)


def column_at(grid: Grid, x: int) -> str:
    """Return the key of the column in which a cell of a line lies; empty beyond the last."""
    for column in grid.columns:
        x -= column.width
        if x < 0:
            return column.key
    return ""


def row_line(grid: Grid, key: RowKey, width: int, cursor: Cell) -> Line:
    """Return one row: the cursor's place, the sign, then the cells in their columns."""
    first, *others = zip(grid.columns, grid.cells(key), strict=True)
    cells = [cursor, grid.sign(key), Cell(" ")]
    cells.append(Cell(fit_middle(clean(first[1].text), first[0].width - LEAD), first[1].style))
    cells += [Cell(_in_column(clean(cell.text), column), cell.style) for column, cell in others]
    return filled(cells, width)


def _in_column(text: str, column: Column) -> str:
    if column.align == "left":
        return fit(f" {text}", column.width)
    return fit(text, column.width, "right")


def _title(grid: Grid, first: int, shown: int) -> str:
    title = grid.title
    if grid.out_of is not None:
        # Before all that may be cut off: rows are hidden.
        counted = f"{title} {len(grid.keys)} of {grid.out_of}"
        fits = len(counted) + 2 <= grid.columns[0].width
        title = counted if fits else f"{title} {len(grid.keys)}/{grid.out_of}"
    if grid.sort is not None and grid.sort.by not in {column.key for column in grid.columns[1:]}:
        title += f" {_arrow(grid.sort)}{grid.sort.by}"
    if grid.note:
        title += f" {grid.note}"
    if shown < len(grid.keys):
        title += f" {first + 1}–{first + shown} of {len(grid.keys)}"
    return title


def _arrow(sort: Sort | None) -> str:
    return "↓" if sort and sort.descending else "↑"
