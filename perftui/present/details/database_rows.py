"""What the rows of a database's own view are made of."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.present.text.blocks import section
from perftui.present.text.cells import BLANK, Cell, clean, fit_line
from perftui.present.text.evidence import Row, Subject

MOST = 12
"""Rows of a block."""


def row_of(cells: Sequence[Cell], width: int, subject: Subject | None = None) -> Row:
    """Return a row as wide as the screen at most, and what it leads to."""
    return Row(fit_line(cells, width), subject)


def title_rows(title: str, width: int, note: str = "") -> list[Row]:
    """Return the line above a block, parted from the one before."""
    return [Row(BLANK), Row(section(title, width, note))]


def note_row(text: str, width: int) -> Row:
    """Return something said beside."""
    return row_of((Cell(f"  {clean(text)}", "dim"),), width)
