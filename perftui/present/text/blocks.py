"""What blocks of a detail screen are made of: the line above one, and labelled figures side by side."""

from __future__ import annotations

from perftui.present.text.cells import Cell, Line, Style, clean, filled


def section(title: str, width: int, note: str = "") -> Line:
    """Return the line above a block of a detail screen."""
    cells = (Cell(f" {clean(title)}", "section"), Cell(f"  {clean(note)}" if note else "", "section-note"))
    return filled(cells, width, "section")


def sampled(number: int, followed: int | None) -> list[tuple[str, str, Style]]:
    """Return, as a figure for `pairs`, that stories, repeats and binds are known of some alone: `1 in 8`."""
    if followed is None or followed >= number:
        return []
    return [("followed", f"1 in {number / followed:,.0f}" if followed else "none", "medium")]


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
