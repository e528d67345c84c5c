"""Which functions the next requests of a route call in one worker, and how long that takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container

from perftui.keytable.key import Place
from perftui.present.documents.functions import functions_pstats, summary_of
from perftui.present.tables.functions import FUNCTION_SORTS, functions_grid
from perftui.present.tables.grid import Grid, RowKey, Sort
from perftui.present.text.cells import Cell, Line, clean, fit_line
from perftui.present.text.units import age
from perftui.screens.confirm import Confirm
from perftui.screens.view import Host, View
from perftui.widgets.bindings import bindings
from perftui.widgets.lines import Panel
from perftui.widgets.table import Table
from perftui_agent.wire.actions import Functions, Progress
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.parts import RouteLabel, WorkerId

REQUESTS = 20

FOR_S = 60.0


def ask_and_measure(view: View[None], route: RouteLabel | None) -> None:
    """Ask whether to measure the next requests of a route, in the worker that has most of them."""
    if why := view.host.refused():
        view.host.remark(why)
        return
    summary = view.picture.summary
    row = summary.route(route) if route else None
    there = {worker.identity.id: worker for worker in summary.workers if worker.state != "gone"}
    if row is None or not there:
        view.host.remark("no route to measure here" if there else "no worker to measure in yet")
        return
    shares = sorted(row.shares, key=lambda share: -share.requests)
    chosen = next((share.worker for share in shares if share.worker in there), next(iter(there)))

    def answered(yes: bool | None) -> None:
        if yes:
            view.app.push_screen(FunctionsView(view.host, chosen, row.route))

    what = f"the next {REQUESTS} requests in worker {there[chosen].pid}"
    view.app.push_screen(
        Confirm(
            view.host,
            f"Measure the functions of {what}? These take three to four times as long; no others do.",
            f"Measure {what}? They take 3 to 4 times as long.",
        ),
        answered,
    )


class FunctionsView(View[None], inherit_bindings=False):
    """The functions of one route, in one worker."""

    BINDINGS = bindings("functions")
    PLACES: tuple[Place, ...] = ("functions", "everywhere")
    AUTO_FOCUS = "#functions"

    def __init__(
        self, host: Host, worker: WorkerId, route: RouteLabel, taken: Functions | None = None
    ) -> None:
        super().__init__(host)
        self._worker = worker
        self._route = route
        self._result: Functions | Refusal | None = taken
        self._progress: Progress | None = None
        self._finish = asyncio.Event()
        self._asked_at = 0.0
        self._head = Panel(self._head_lines, "functions-head")
        self._table = Table(self._grid, FUNCTION_SORTS, "functions")

    def content(self) -> ComposeResult:
        """Return what was measured, and the table."""
        with Container(id="panes"):
            yield self._head
            yield self._table

    def on_mount(self) -> None:
        """Begin to measure, unless it is to be shown what was measured before."""
        self._head.styles.height = 2
        if self._result is None:
            self.action_again()

    def on_unmount(self) -> None:
        """End it: nobody looks any more."""
        self._finish.set()

    def crumbs(self) -> tuple[str, ...]:
        """Return the route and the worker."""
        worker = self.picture.summary.worker(self._worker)
        return (self._route, f"worker {worker.pid}" if worker else "worker", "functions")

    def scope(self) -> str:
        """Return the route: its own targets count here."""
        return self._route

    def action_again(self) -> None:
        """Measure, unless it is being measured."""
        if self._asked_at and self._result is None:
            return
        self._result, self._progress, self._asked_at = None, None, time.monotonic()
        self._finish = asyncio.Event()
        self.run_worker(self._take(), exclusive=True)
        self.show()

    def action_finish(self) -> None:
        """End it now, with what there is."""
        self._finish.set()

    def action_sort(self, by: int) -> None:
        """Sort by the next or previous column."""
        self._table.action_sort(by)

    def action_invert(self) -> None:
        """Turn the order around."""
        self._table.action_invert()

    def action_save(self) -> None:
        """Write the file that Python's `pstats` and its viewers open."""
        if not isinstance(self._result, Functions):
            self.host.remark("nothing to save yet")
            return
        name = f"perftui-functions-{time.strftime('%Y%m%d-%H%M%S')}.pstats"
        try:
            with open(name, "wb") as file:
                file.write(functions_pstats(self._result))
        except OSError as error:
            self.host.remark(f"can't be written: {error.strerror}")
            return
        self.host.remark(f"wrote {name}: python -m pstats opens it")

    def action_back(self) -> None:
        """Go back to where this was opened."""
        self.dismiss(None)

    async def _take(self) -> None:
        def told(progress: Progress) -> None:
            self._progress = progress
            self.show()

        self._result = await self.host.measure_functions(
            self._worker, route=self._route, requests=REQUESTS, for_s=FOR_S, told=told, finish=self._finish
        )
        self.show()

    def _head_lines(self, width: int, _height: int) -> list[Line]:
        result = self._result
        if isinstance(result, Refusal):
            return [
                fit_line((Cell("  ✗ ", "high"), Cell(clean(result.reason), "bright")), width),
                fit_line((Cell(f"    {clean(result.advice)}", "label"),), width),
            ]
        if isinstance(result, Functions):
            note = clean(result.note) or "what it waits for on the loop is in no function's time"
            return [
                fit_line((Cell(f"  {clean(summary_of(result))}", "text"),), width),
                fit_line((Cell(f"  {note}", "medium" if result.note else "dim"),), width),
            ]
        left = age(max(FOR_S - (time.monotonic() - self._asked_at), 0.0))
        so_far = clean(self._progress.text) if self._progress is not None else f"0 of {REQUESTS} requests"
        return [
            fit_line((Cell("  ○ ", "medium"), Cell(f"{so_far} … {left} left", "text")), width),
            fit_line((Cell("    measured are those of this route alone, while they run", "dim"),), width),
        ]

    def _grid(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        result = self._result
        if not isinstance(result, Functions):
            nothing = Functions(id="", pid=0, taken_at=0, took_ns=0, route=self._route)
            return functions_grid(nothing, width, sort, before, "there are none to be shown yet")
        return functions_grid(result, width, sort, before)
