"""Tables for a pipe or a log: aligned columns of plain text, no colour.

Made to be read by people; scripts take `--json`. Cells are measured as those of the dashboard are, after
what terminals don't agree about (variation selectors, keycaps, joiners) is out. Where a width is given, the
columns that may are shortened in the middle of their texts: a statement tells what it is by both its ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from perftui.present.text.cells import clean


class Column(NamedTuple):
    """A column's heading, and whether its figures stand to the right."""

    heading: str
    right: bool = False
    shrinks: bool = False
    """Whether its texts may be shortened."""


MIN_SHRUNK = 16
"""A shortened column is no narrower: less of a text tells nothing."""

_GAP = "  "


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], room: int | None = None) -> list[str]:
    """Return the lines of a table, in `room` cells as far as can be; none at all if there are no rows."""
    body = [tuple(map(clean, row)) for row in rows]
    if not body:
        return []
    lines = [tuple(column.heading for column in columns), *body]
    widths = [max(map(cell_len, cells)) for cells in zip(*lines, strict=True)]
    if room is not None:
        widths = _shrunk(columns, widths, room - len(_GAP) * (len(columns) - 1))
    return [
        _GAP.join(
            _padded(shortened(cell, width), width, column.right)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in lines
    ]


def shortened(text: str, width: int) -> str:
    """Return `text` in at most `width` cells, with an ellipsis in its middle if it is longer."""
    if cell_len(text) <= width:
        return text
    tail = ""
    for char in reversed(text):
        if cell_len(char + tail) > (width - 1) // 2:
            break
        tail = char + tail
    head = ""
    for char in text:
        if cell_len(head + char) > width - 1 - cell_len(tail):
            break
        head += char
    return f"{head}…{tail}"


def _shrunk(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Return `widths` with the widest of those that may shrink made smaller until they fit `room`."""
    shrunk = list(widths)
    while sum(shrunk) > room:
        wide = [
            place for place, column in enumerate(columns) if column.shrinks and shrunk[place] > MIN_SHRUNK
        ]
        if not wide:
            break
        shrunk[max(wide, key=shrunk.__getitem__)] -= 1
    return shrunk


def section(title: str, lines: Sequence[str]) -> list[str]:
    """Return a blank line, a title and the lines, indented; nothing if there are none."""
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _padded(text: str, width: int, right: bool) -> str:
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding


def more(hidden: int, what: str) -> list[str]:
    """Return the line that says how many rows were left out, if any were."""
    return [f"… and {hidden} {what} more: see --json"] if hidden > 0 else []
