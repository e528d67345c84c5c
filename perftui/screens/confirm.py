"""One line that asks before something intrudes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import ModalScreen

from perftui.screens.view import Host, thrifty
from perftui.widgets.bindings import bindings
from perftui.widgets.question import Question
from perftui.widgets.spared import Spared


class Confirm(Spared, ModalScreen[bool], inherit_bindings=False):
    """A question in place of the bottom line, the longest wording that fits; gives whether it was yes."""

    BINDINGS = bindings("confirm")

    def __init__(self, host: Host, *wordings: str) -> None:
        super().__init__()
        thrifty(self, host)
        self._wordings = wordings

    def compose(self) -> ComposeResult:
        """Show the question."""
        yield Question(self._wordings, "confirm")

    def action_answer(self, yes: bool) -> None:
        """Give the answer."""
        self.dismiss(yes)
