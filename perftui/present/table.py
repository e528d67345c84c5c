"""Tables for a pipe or a log: aligned columns of plain text, no colour, nothing cut off.

Made to be read by people; scripts take `--json`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Column(NamedTuple):
    """A column's heading, and whether its figures stand to the right."""

    heading: str
    right: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; no lines at all if there are no rows."""
    body = [tuple(row) for row in rows]
    if not body:
        return []
    lines = [tuple(column.heading for column in columns), *body]
    widths = [max(map(_width, cells)) for cells in zip(*lines, strict=True)]
    return [
        "  ".join(
            _padded(cell, width, column.right)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in lines
    ]


def section(title: str, lines: Sequence[str]) -> list[str]:
    """Return a blank line, a title and the lines, indented; nothing if there are none."""
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _padded(text: str, width: int, right: bool) -> str:
    padding = " " * (width - _width(text))
    return padding + text if right else text + padding


def _width(text: str) -> int:
    """Return how many cells of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
