"""What every thread of a worker does right now."""

from __future__ import annotations

import time

from textual.app import ComposeResult

from perftui.faults import FAULTS
from perftui.keys import Place
from perftui.model.parts import pid_of
from perftui.present.details.dump import DumpRow, dump_rows, dump_title, refusal_rows
from perftui.present.text.cells import BLANK, Cell, Line
from perftui.present.text.units import age
from perftui.screens.confirm import Confirm
from perftui.screens.view import Host, View
from perftui.widgets.bindings import bindings
from perftui.widgets.clicks import ClickedLines
from perftui_agent.wire.frames import Dump, Refusal, WorkerId


def ask_and_dump(view: View[None], worker_id: WorkerId | None) -> None:
    """Ask whether to dump a worker, and show the dump if the answer is yes."""
    worker = view.picture.summary.worker(worker_id) if worker_id else None
    if worker is None or worker_id is None:
        view.host.remark("no worker to dump yet")
        return
    chosen: WorkerId = worker_id

    def answered(yes: bool | None) -> None:
        if yes:
            view.app.push_screen(DumpView(view.host, chosen))

    question = f"Dump worker {worker.pid}? It stands still for some 20 ms."
    view.app.push_screen(Confirm(view.host, question), answered)


class DumpView(View[None], inherit_bindings=False):
    """The dump of one worker, what runs its own code first."""

    BINDINGS = bindings("dump")
    PLACES: tuple[Place, ...] = ("dump", "everywhere")

    def __init__(self, host: Host, worker: WorkerId, taken: Dump | Refusal | None = None) -> None:
        super().__init__(host)
        self._worker = worker
        self._result = taken
        self._route: str | None = None
        self._asked_at = 0.0
        self.body = DumpLines(self)

    def content(self) -> ComposeResult:
        """Return the lines of the dump."""
        yield self.body

    def on_mount(self) -> None:
        """Take the first dump, unless one is to be shown that was taken before."""
        if self._result is None:
            self.action_again()

    def crumbs(self) -> tuple[str, ...]:
        """Return the worker."""
        return (f"worker {pid_of(self._worker)}" if self._worker else "worker",)

    def note(self) -> str:
        """Return when and how the dump was taken."""
        if isinstance(self._result, Dump):
            clock = time.strftime("%H:%M:%S", time.localtime(self._result.taken_at / 1e9))
            return dump_title(self._result, clock)
        return "no dump" if self._result else "dump"

    def rows(self, width: int, opened: frozenset[str]) -> list[DumpRow]:
        """Return the dump as it stands."""
        if self._result is None:
            waited = age(max(time.monotonic() - self._asked_at, 0.0))
            return [
                DumpRow(BLANK),
                DumpRow((Cell("  ○ ", "medium"), Cell(f"taking a dump … {waited}", "text"))),
            ]
        if isinstance(self._result, Refusal):
            return refusal_rows(self._result, width)
        return dump_rows(self._result, width, opened, self._route)

    def action_again(self) -> None:
        """Take a dump, unless one is being taken."""
        if self._asked_at and self._result is None:
            return
        self._result, self._asked_at = None, time.monotonic()
        self.run_worker(self._take(), exclusive=True)
        self.show()

    async def _take(self) -> None:
        result: Dump | Refusal = Refusal(id="", reason="a fault of perftui's own", advice="it is in its log")
        with FAULTS.spared("the dump"):
            result = await self.host.take_dump(self._worker)
        worker = self.picture.summary.worker(self._worker)
        self._route = worker.blocked_route if worker else None
        self._result = result
        self.show()

    def action_fold(self) -> None:
        """Open or close what is folded under the cursor."""
        self.body.turn()

    def action_cursor(self, by: int) -> None:
        """Move the cursor by some lines."""
        self.body.move(by)

    def action_back(self) -> None:
        """Go back to where this was asked for."""
        self.dismiss(None)


class DumpLines(ClickedLines, inherit_bindings=False):
    """The lines of a dump, a cursor, and which folds stand open."""

    def __init__(self, view: DumpView) -> None:
        super().__init__("body")
        self._view = view
        self._rows: list[DumpRow] = []
        self._opened: frozenset[str] = frozenset()
        self._place = 0
        self._first = 0

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the lines around the cursor."""
        self._rows = self._view.rows(width, self._opened)
        self._place = min(self._place, max(len(self._rows) - 1, 0))
        self._first = min(max(self._first, self._place - height + 1, 0), self._place)
        return [row.line for row in self._rows[self._first : self._first + height]]

    def cursor_line(self) -> int | None:
        """Return the line under the cursor."""
        return self._place - self._first if len(self._rows) > 2 else None

    def move(self, by: int) -> None:
        """Move the cursor by some lines."""
        self._place = min(max(self._place + by, 0), max(len(self._rows) - 1, 0))
        self.repaint()

    def click_line(self, line: int) -> bool:
        """Put the cursor on a line."""
        self.move(self._first + line - self._place)
        return True

    def click_again(self) -> None:
        """Open the fold under the cursor, or close it."""
        self.turn()

    def wheel(self, by: int) -> None:
        """Scroll, by moving the cursor."""
        self.move(by)

    def turn(self) -> None:
        """Open the fold under the cursor, or close it."""
        fold = self._rows[self._place].fold if self._place < len(self._rows) else None
        if fold is not None:
            self._opened = self._opened ^ {fold}
            self.repaint()
