"""What every thread and task does right now, of one worker, or of all and told once where it is the same."""

from __future__ import annotations

import time

from textual.app import ComposeResult

from perftui.faults import FAULTS
from perftui.findings.figures import plural
from perftui.keytable.key import Place
from perftui.model.parts import pid_of
from perftui.present.details.dump import DumpRow, dump_title, dumps_rows, refusal_rows
from perftui.present.details.threads import LOCALS_WARNING
from perftui.present.text.cells import BLANK, Cell, Line
from perftui.present.text.units import age, ms
from perftui.screens.confirm import Confirm
from perftui.screens.view import Host, View
from perftui.widgets.bindings import bindings
from perftui.widgets.clicks import ClickedLines
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.parts import WorkerId


def ask_and_dump(view: View[None], worker_id: WorkerId | None) -> None:
    """Ask whether to dump a worker, and show the dump if the answer is yes."""
    if why := view.host.refused():
        view.host.remark(why)
        return
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
    """The dump of one worker, or of all, what runs their own code first."""

    BINDINGS = bindings("dump")
    PLACES: tuple[Place, ...] = ("dump", "everywhere")

    def __init__(self, host: Host, worker: WorkerId, taken: Dump | Refusal | None = None) -> None:
        super().__init__(host)
        self._workers: tuple[WorkerId, ...] = (worker,)
        self._alone = self._workers
        """The one that was asked for first."""
        self._locals_of = ""
        self._answers: dict[WorkerId, Dump | Refusal] = {} if taken is None else {worker: taken}
        self._taking = False
        self._asked_at = 0.0
        self._route: str | None = None
        self.body = DumpLines(self)

    def content(self) -> ComposeResult:
        """Return the lines of the dump."""
        yield self.body

    def on_mount(self) -> None:
        """Take the first dump, unless one is to be shown that was taken before."""
        if not self._answers:
            self.action_again()

    def crumbs(self) -> tuple[str, ...]:
        """Return the worker, or how many."""
        if len(self._workers) > 1:
            return (plural(len(self._workers), "worker"),)
        return (f"worker {pid_of(self._workers[0])}" if self._workers[0] else "worker",)

    def note(self) -> str:
        """Return when and how the dump was taken."""
        dumps = self._dumps()
        if not dumps or self._taking:
            return "dump" if self._taking else "no dump"
        clock = time.strftime("%H:%M:%S", time.localtime(dumps[0].taken_at / 1e9))
        if len(self._workers) == 1:
            return dump_title(dumps[0], clock)
        methods = ", ".join(dict.fromkeys(dump.method for dump in dumps))
        longest = max(dump.took_ns for dump in dumps)
        return f"dumps {clock} · {methods} · up to {ms(longest / 1e6)} each"

    def rows(self, width: int, opened: frozenset[str]) -> list[DumpRow]:
        """Return the dumps as they stand."""
        if self._taking:
            waited = age(max(time.monotonic() - self._asked_at, 0.0))
            which = f" {len(self._answers) + 1} of {len(self._workers)}" if len(self._workers) > 1 else ""
            said = f"taking a dump{which} … {waited}"
            return [DumpRow(BLANK), DumpRow((Cell("  ○ ", "medium"), Cell(said, "text")))]
        several = len(self._workers) > 1
        rows: list[DumpRow] = []
        for worker, answer in self._answers.items():
            if isinstance(answer, Refusal):
                rows += refusal_rows(answer, width, pid_of(worker) if several else None)
        return rows + dumps_rows(self._dumps(), width, opened, self._route)

    def _dumps(self) -> list[Dump]:
        return [answer for answer in self._answers.values() if isinstance(answer, Dump)]

    def action_again(self) -> None:
        """Take a dump, unless one is being taken."""
        if self._taking:
            return
        self._taking, self._answers, self._asked_at = True, {}, time.monotonic()
        self.run_worker(self._take(), exclusive=True)
        self.show()

    async def _take(self) -> None:
        answers: dict[WorkerId, Dump | Refusal] = {}
        try:
            # One after the other: siblings that stand still at once would be an outage.
            for worker in self._workers:
                answers[worker] = Refusal(id="", reason="a fault of perftui's own", advice="it is in its log")
                with FAULTS.spared("the dump"):
                    answers[worker] = await self.host.take_dump(worker, locals_of=self._locals_of)
                self._answers = dict(answers)
                self.show()
        finally:
            self._taking = False
        first = self.picture.summary.worker(self._workers[0])
        self._route = first.blocked_route if first and len(self._workers) == 1 else None
        self.show()

    def action_all(self) -> None:
        """Dump all workers that live, or the one alone again; asks before all."""
        if self._taking:
            return
        if len(self._workers) > 1:
            self._workers = self._alone
            self.action_again()
            return
        living = [worker.identity.id for worker in self.picture.summary.workers if worker.state != "gone"]
        others = [worker for worker in living if worker not in self._alone]
        if not others:
            self.host.remark("there is no other worker")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._workers = (*self._alone, *others)
                self.action_again()

        question = f"Dump all {len(others) + 1} workers? One after the other, some 20 ms each."
        self.app.push_screen(Confirm(self.host, question), answered)

    def action_variables(self) -> None:
        """Show the variables of the function under the cursor; asks first. Once more: without them."""
        if self._taking:
            return
        function = self.body.function()
        if self._locals_of:
            self._locals_of = ""
            self.action_again()
            return
        if not function:
            self.host.remark("put the cursor on a function")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._locals_of = function
                self.action_again()

        question = f"Show the variables of {function}? {LOCALS_WARNING[0].upper()}{LOCALS_WARNING[1:]}."
        self.app.push_screen(Confirm(self.host, question), answered)

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

    def function(self) -> str:
        """Return the function under the cursor, by the last part of its name; empty for none."""
        row = self._rows[self._place] if self._place < len(self._rows) else None
        return row.function.rpartition(".")[2] if row is not None else ""

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
