"""Text in cells of the terminal: cleaned, measured, cut and padded.

A `Cell` is a piece of text and the name of its style; a `Line` is what stands in one line of the
screen. Text from outside is data: it is never parsed as markup, and what could move the cursor or
turn the writing direction is taken out, here as well as where it came in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from rich.cells import cell_len, set_cell_size

Style: TypeAlias = str
"""The name of a style; `widgets.palette` knows how each one looks."""

Align: TypeAlias = Literal["left", "right"]


class Cell(NamedTuple):
    """A piece of text in one style."""

    text: str
    style: Style = "text"


Line: TypeAlias = tuple[Cell, ...]
"""One line of the screen, from left to right."""

BLANK: Line = ()

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"}
"""Control and format characters (escapes, bidi overrides, joiners), and marks that enclose."""

_MOST_MARKS = 2
"""Accents kept on one letter: more only serve to write over the neighbours."""


@lru_cache(4096)
def clean(text: str) -> str:
    """Return `text` as it may be shown: one line, no control characters, tabs as spaces."""
    if text.isascii() and text.isprintable():
        return text
    kept: list[str] = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        if char in "\t\n\r" or category == "Zs":
            kept.append(" ")
        elif category in _INVISIBLE or "\ufe00" <= char <= "\ufe0f":
            continue
        elif category == "Mn":
            marks += 1
            if kept and marks <= _MOST_MARKS:
                kept.append(char)
            continue
        else:
            kept.append(char)
        marks = 0
    return "".join(kept)


def width_of(line: Iterable[Cell]) -> int:
    """Return how many cells a line takes."""
    return sum(cell_len(cell.text) for cell in line)


@lru_cache(8192)
def fit(text: str, width: int, align: Align = "left") -> str:
    """Return `text` in exactly `width` cells: padded, or cut with an ellipsis at its end."""
    length = cell_len(text)
    if length > width:
        return (
            set_cell_size(set_cell_size(text, max(width - 1, 0)).rstrip() + "…", width) if width > 0 else ""
        )
    padding = " " * (width - length)
    return padding + text if align == "right" else text + padding


def shortened(text: str, most: int) -> str:
    """Return `text` in at most `most` cells."""
    return text if cell_len(text) <= most else fit(text, most)


@lru_cache(8192)
def fit_middle(text: str, width: int) -> str:
    """Return `text` in exactly `width` cells, cut in the middle: a path is told by both its ends."""
    if cell_len(text) <= width or width < 8:
        return fit(text, width)
    head = (width - 1) // 3
    tail = width - 1 - head
    start = set_cell_size(text, head)
    end = text
    while cell_len(end) > tail:
        end = end[1:]
    return fit(f"{start}…{end}", width)


def fit_line(line: Sequence[Cell], width: int) -> Line:
    """Return `line` cut to `width` cells; a shorter one stays as it is."""
    room = width
    kept: list[Cell] = []
    for cell in line:
        length = cell_len(cell.text)
        if length <= room:
            kept.append(cell)
            room -= length
            continue
        if room > 0:
            kept.append(Cell(fit(cell.text, room), cell.style))
        break
    return tuple(kept)


def filled(line: Sequence[Cell], width: int, style: Style = "text") -> Line:
    """Return `line` in exactly `width` cells."""
    line = fit_line(line, width)
    gap = width - width_of(line)
    return (*line, Cell(" " * gap, style)) if gap else tuple(line)


def spread(left: Sequence[Cell], right: Sequence[Cell], width: int) -> Line:
    """Return `left` and `right` pushed to the two ends of a line; what is on the left goes first."""
    left = fit_line(left, width)
    room = width - width_of(left) - 1
    right = fit_line(right, room) if room > 0 else ()
    gap = width - width_of(left) - width_of(right)
    return (*left, Cell(" " * gap), *right)


def beside(left: Sequence[Cell], left_width: int, right: Sequence[Cell]) -> Line:
    """Return `right` beside `left`, which is cut or padded to `left_width` cells."""
    left = fit_line(left, left_width)
    return (*left, Cell(" " * (left_width - width_of(left))), *right)


def text_of(line: Iterable[Cell]) -> str:
    """Return a line without its styles."""
    return "".join(cell.text for cell in line)
