"""Workers: what each process does, and how the traffic is spread over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perftui.keytable.key import Place
from perftui.model.figures import Row
from perftui.present.details.worker_charts import chart_height, over_time
from perftui.present.tables.grid import Grid, RowKey, Sort
from perftui.present.tables.workers import FULL_COLUMNS, WORKER_SORTS, workers_grid
from perftui.present.text.cells import Line
from perftui.present.text.evidence import Subject
from perftui.screens.dump import ask_and_dump
from perftui.screens.memory import ask_and_watch_memory
from perftui.screens.profile import ask_and_profile
from perftui.screens.tables import TablesView, table_height
from perftui.widgets.bindings import bindings
from perftui.widgets.lines import Lines, Panel
from perftui.widgets.table import Table


class WorkersView(TablesView, inherit_bindings=True):
    """View 6."""

    BINDINGS = bindings("worker")
    PLACES: tuple[Place, ...] = ("worker", "view", "table", "everywhere")
    TITLE_HERE = "workers"

    def panes(self) -> Sequence[Lines]:
        """Return the table, and charts of the worker under its cursor."""
        self._table = Table(self._workers, WORKER_SORTS, "all-workers", descending=False)
        return (self._table, Panel(self._charts, "charts"))

    def heights(self, room: int) -> Sequence[int]:
        """Give the table what it needs, up to what leaves the charts their lines."""
        return (table_height(len(self.picture.summary.workers), room - 5),)

    def _workers(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return workers_grid(self.picture, width, sort, before, FULL_COLUMNS)

    def _charts(self, width: int, height: int) -> list[Line]:
        worker = self.picture.summary.worker(self._table.pointed or "")
        if worker is None:
            return []
        each = chart_height(height)
        return over_time(self.picture.summary, worker, width, each, f"of worker {worker.pid}")

    def filtered_rows(self) -> Iterable[Sequence[Row]]:
        """Return the workers."""
        return (self.picture.summary.workers,)

    def leads_to(self, _table: str, key: str) -> Subject | None:
        """Return the worker."""
        return Subject("worker", key)

    def action_dump(self) -> None:
        """Ask, then dump the worker under the cursor."""
        ask_and_dump(self, self._table.pointed)

    def action_profile(self) -> None:
        """Ask, then profile the worker under the cursor."""
        ask_and_profile(self, [self._table.pointed] if self._table.pointed else None)

    def action_memory(self) -> None:
        """Ask, then watch what grows in this worker."""
        ask_and_watch_memory(self, self._table.pointed)
