"""Requests: those in flight and where each waits, and the slowest of the window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perftui.model.figures import Row
from perftui.present.tables.grid import Grid, RowKey, Sort
from perftui.present.tables.requests import FLIGHT_SORTS, SLOW_SORTS, flights_grid, slow_grid
from perftui.present.text.evidence import Subject
from perftui.screens.tables import TablesView
from perftui.widgets.lines import Lines
from perftui.widgets.table import Table


class RequestsView(TablesView, inherit_bindings=True):
    """View 3."""

    TITLE_HERE = "requests"

    def panes(self) -> Sequence[Lines]:
        """Return the two tables."""
        return (Table(self._slow, SLOW_SORTS, "slowest"), Table(self._flights, FLIGHT_SORTS, "flights"))

    def heights(self, room: int) -> Sequence[int]:
        """Give those in flight a third: they come and go, and the rest must not jump with them."""
        return (room - max(room // 3, 4),)

    def _flights(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return flights_grid(self.picture, width, sort, before)

    def _slow(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return slow_grid(self.picture, width, sort, before)

    def filtered_rows(self) -> Iterable[Sequence[Row]]:
        """Return the slowest requests and those in flight."""
        return (self.picture.summary.slowest, self.picture.summary.in_flight)

    def leads_to(self, table: str, key: str) -> Subject | None:
        """Return the request."""
        return Subject("flight" if table == "flights" else "request", key)
