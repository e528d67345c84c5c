"""A screen of rows that lead further: what all details of something have in common."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult

from perftui.keytable.key import Place
from perftui.present.text.evidence import Row
from perftui.screens.view import Host, View
from perftui.widgets.bindings import bindings
from perftui.widgets.evidence import EvidenceLines, SubjectOpened


class EvidenceView(View[None], inherit_bindings=False):
    """Rows under the header; ⏎ goes on from one of them, `esc` goes back."""

    BINDINGS = bindings("evidence")
    PLACES: tuple[Place, ...] = ("evidence", "rows", "everywhere")

    def __init__(self, host: Host, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host)
        self._trail = trail
        """Where it was opened from, for the breadcrumbs."""
        self._body = EvidenceLines(self.rows, "body")

    def content(self) -> ComposeResult:
        """Return the rows."""
        yield self._body

    def rows(self, width: int, height: int) -> list[Row]:
        """Return all rows, as many as there are; `height` is what can be seen of them at a time."""
        raise NotImplementedError

    def name_here(self) -> str:
        """Return what this is about, for the breadcrumbs."""
        raise NotImplementedError

    def crumbs(self) -> tuple[str, ...]:
        """Return the way here."""
        return (*self._trail, self.name_here())[-3:]

    def scope(self) -> str:
        """Return no route: only routes have targets of their own."""
        return ""

    @on(SubjectOpened)
    def open_row(self, message: SubjectOpened) -> None:
        """Go on from the line under the cursor."""
        self.host.open_subject(message.subject)

    def action_back(self) -> None:
        """Go back to where this was opened."""
        self.dismiss(None)
