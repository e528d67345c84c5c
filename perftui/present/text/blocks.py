"""What blocks of a detail screen are made of: the line above one, and labelled figures side by side."""

from __future__ import annotations

from perftui.present.text.cells import Cell, Line, clean, filled


def section(title: str, width: int, note: str = "") -> Line:
    """Return the line above a block of a detail screen."""
    cells = (Cell(f" {clean(title)}", "section"), Cell(f"  {clean(note)}" if note else "", "section-note"))
    return filled(cells, width, "section")


def pairs(items: list[tuple[str, str, str]], width: int) -> list[Line]:
    """Return (label, value, style) side by side, in as many lines as they need."""
    lines: list[Line] = []
    row: list[Cell] = []
    used = 0
    for label, value, style in items:
        length = len(label) + len(value) + 5
        if row and used + length > width:
            lines.append(tuple(row))
            row, used = [], 0
        row += [Cell("  "), Cell(f"{label} ", "label"), Cell(value, style), Cell("  ")]
        used += length
    return [*lines, tuple(row)] if row else lines
