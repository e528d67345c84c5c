"""The databases' own view: asked for when it is opened, and again on demand."""

from __future__ import annotations

from perftui.keytable.key import Place
from perftui.model.database import Databases
from perftui.present.details.database import database_rows, nothing_rows, waiting_rows
from perftui.present.text.cells import BLANK, Cell, fit_line
from perftui.present.text.evidence import Row
from perftui.present.text.units import clock
from perftui.screens.evidence import EvidenceView
from perftui.screens.view import Host
from perftui.widgets.bindings import bindings


class DatabaseScreen(EvidenceView, inherit_bindings=True):
    """What the databases say of the service's sessions, waits and locks."""

    BINDINGS = bindings("database")
    PLACES: tuple[Place, ...] = ("database", "evidence", "rows", "everywhere")

    def __init__(
        self, host: Host, _name: str = "", trail: tuple[str, ...] = ("SQL",), taken: Databases | None = None
    ) -> None:
        super().__init__(host, trail)
        self._answer: Databases | None = taken
        self._asking = False

    def on_mount(self) -> None:
        """Ask, unless it is to be shown what they said before."""
        if self._answer is None:
            self.action_again()

    def name_here(self) -> str:
        """Return what this is."""
        return "database"

    def rows(self, width: int, _height: int) -> list[Row]:
        """Return what they said, and when; or that they are being asked."""
        answer = self._answer
        if answer is None:
            return waiting_rows(width)
        seen = self.picture.summary.databases
        if not answer.views and seen:
            # A recording, or nobody who may be asked: frames tell of what agents saw by themselves.
            told = fit_line((Cell("  as an agent saw it of its own accord", "label"),), width)
            return [Row(told), Row(BLANK), *database_rows(Databases(seen), width)]
        if not answer.views:
            return nothing_rows(
                [f"worker {pid}: {each.reason}" for pid, each in answer.refusals.items()], width
            )
        said = f"  as of {clock(answer.at)}, {answer.answered} of {answer.known} workers heard"
        asking = "  asking again …" if self._asking else ""
        told = fit_line((Cell(said, "label"), Cell(asking, "medium")), width)
        return [Row(told), Row(BLANK), *database_rows(answer, width)]

    def action_again(self) -> None:
        """Ask, unless they are being asked."""
        if self._asking:
            return
        self._asking = True
        self.run_worker(self._ask(), exclusive=True)
        self.show()

    async def _ask(self) -> None:
        try:
            self._answer = await self.host.ask_databases()
        finally:
            self._asking = False
        self.show()
