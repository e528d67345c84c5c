"""All keys, from the one table they all derive from."""

from __future__ import annotations

from textual.app import ComposeResult

from perftui.keys import TITLES, keys_of
from perftui.present.cells import BLANK, Cell, Line, fit, fit_line
from perftui.present.route_detail import section
from perftui.screens.view import View
from perftui.widgets.bindings import bindings
from perftui.widgets.lines import Panel


class HelpView(View[None], inherit_bindings=False):
    """The keys, by where they work."""

    BINDINGS = bindings("help")
    PLACES = ("help",)

    def content(self) -> ComposeResult:
        """Return the table of keys."""
        yield Panel(help_lines, "body")

    def crumbs(self) -> tuple[str, ...]:
        """Return where this is."""
        return ("keys",)

    def action_back(self) -> None:
        """Go back to where help was asked for."""
        self.dismiss(None)


def help_lines(width: int, _height: int) -> list[Line]:
    """Return every key in as many columns as the width holds, whole sections in each."""
    blocks: list[list[tuple[str, str]]] = []
    for place, title in TITLES.items():
        block = [(title, "")] + [(key.shown, key.sentence) for key in keys_of(place)]
        if len(block) > 1:
            blocks.append(block)
    columns = max(min(width // 60, 3), 1)
    total = sum(len(block) + 1 for block in blocks)
    room = max(-(-total // columns), 1)
    piles: list[list[Line]] = [[]]
    each = width // columns
    for block in blocks:
        if len(piles) < columns and piles[-1] and len(piles[-1]) + len(block) > room + 2:
            piles.append([])
        piles[-1] += [section(block[0][0].upper(), each)]
        piles[-1] += [_key_line(shown, sentence, each) for shown, sentence in block[1:]]
    lines: list[Line] = []
    for row in range(max(len(pile) for pile in piles)):
        cells: list[Cell] = []
        for pile in piles:
            cells += pile[row] if row < len(pile) else (*BLANK, Cell(" " * each))
        lines.append(tuple(cells))
    return lines


def _key_line(shown: str, sentence: str, width: int) -> Line:
    cells = (Cell(fit(f"  {shown}", 16), "accent"), Cell(fit(sentence, max(width - 16, 0))))
    return fit_line(cells, width)
