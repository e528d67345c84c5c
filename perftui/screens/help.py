"""All keys, from the one table they all derive from, and the words of a filter; on a route, why not."""

from __future__ import annotations

from perftui.keys import TITLES, keys_of
from perftui.keytable.key import Place
from perftui.model.filter import FORMS
from perftui.present.details.why_not import why_not_lines
from perftui.present.text.blocks import section
from perftui.present.text.cells import Cell, Line, fit, fit_line
from perftui.present.text.statements import wrapped
from perftui.screens.detail import DetailView
from perftui.screens.view import Host
from perftui.widgets.bindings import bindings
from perftui_agent.wire.parts import RouteLabel

_COLUMN = 60
"""The least width of a column of keys."""


class HelpView(DetailView, inherit_bindings=True):
    """The words of a filter, and the keys by where they work."""

    BINDINGS = bindings("help")
    PLACES: tuple[Place, ...] = ("help", "detail")

    def __init__(self, host: Host, route: RouteLabel | None = None) -> None:
        super().__init__(host)
        self._route = route

    def crumbs(self) -> tuple[str, ...]:
        """Return where this is."""
        return ("keys",)

    def lines(self, width: int, _height: int) -> list[Line]:
        """Return why the route has no finding, if it was opened on one; then every key and every word."""
        if self._route is None:
            return help_lines(width)
        picture = self.picture
        told = why_not_lines(self._route, picture.summary, picture.findings, width)
        return [*told, (), *help_lines(width)]


def help_lines(width: int) -> list[Line]:
    """Return every word and key in as many columns as the width holds, whole sections in each."""
    number = max(min(width // _COLUMN, 3), 1)
    each = width // number
    blocks: list[list[Line]] = []
    for place, title in TITLES.items():
        if keys_of(place):
            blocks.append(_block(title, place, each))
        if place == "table":
            blocks.append(_filter_block(each))
    room = -(-sum(map(len, blocks)) // number)
    piles: list[list[Line]] = [[]]
    for block in blocks:
        if len(piles) < number and len(piles[-1]) + len(block) // 2 > room:
            piles.append([])
        piles[-1] += block
    blank = (Cell(" " * each),)
    return [
        tuple(cell for pile in piles for cell in (pile[row] if row < len(pile) else blank))
        for row in range(max(map(len, piles)))
    ]


def _filter_block(width: int) -> list[Line]:
    lines = [section("THE WORDS OF A FILTER, ALL OF WHICH A ROW HAS TO MEET", width)]
    for form, sentence in FORMS:
        head = (Cell(fit(f"  {form}", 20), "accent"),)
        for line in wrapped(sentence, max(width - 21, 10)):
            lines.append(fit_line((*head, Cell(fit(line, max(width - 20, 0)))), width))
            head = (Cell(" " * 20),)
    return lines


def _block(title: str, place: Place, width: int) -> list[Line]:
    lines = [section(title.upper(), width)]
    for key in keys_of(place):
        head = (Cell(fit(f"  {key.shown}", 16), "accent"),)
        for line in wrapped(key.sentence, max(width - 17, 10)):
            lines.append(fit_line((*head, Cell(fit(line, max(width - 16, 0)))), width))
            head = (Cell(" " * 16),)
    return lines
