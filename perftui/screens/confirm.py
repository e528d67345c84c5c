"""One line that asks before something intrudes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import ModalScreen

from perftui.present.cells import Cell, Line, clean, filled
from perftui.screens.view import Host, thrifty
from perftui.widgets.bindings import bindings
from perftui.widgets.lines import Panel


class Confirm(ModalScreen[bool], inherit_bindings=False):
    """A question in place of the bottom line; gives whether the answer was yes."""

    BINDINGS = bindings("confirm")

    def __init__(self, host: Host, question: str) -> None:
        super().__init__()
        thrifty(self, host)
        self._question = question

    def compose(self) -> ComposeResult:
        """Show the question."""
        yield Panel(self._line, "question")

    def _line(self, width: int, _height: int) -> list[Line]:
        cells = (Cell(f" {clean(self._question)}   y yes   esc no", "bottom-ask"),)
        return [filled(cells, width, "bottom-ask")]

    def action_answer(self, yes: bool) -> None:
        """Give the answer."""
        self.dismiss(yes)
