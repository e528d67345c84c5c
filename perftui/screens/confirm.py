"""One line that asks before something intrudes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import ModalScreen

from perftui.screens.view import Host, thrifty
from perftui.widgets.bindings import bindings
from perftui.widgets.question import Question
from perftui.widgets.spared import Spared


class Confirm(Spared, ModalScreen[bool], inherit_bindings=False):
    """A question in place of the bottom line; gives whether the answer was yes."""

    BINDINGS = bindings("confirm")

    def __init__(self, host: Host, question: str) -> None:
        super().__init__()
        thrifty(self, host)
        self._question = question

    def compose(self) -> ComposeResult:
        """Show the question."""
        yield Question([self._question], "confirm")

    def action_answer(self, yes: bool) -> None:
        """Give the answer."""
        self.dismiss(yes)
