"""Routes: all of them, and how the latencies of the selected one move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perftui.keytable.key import Place
from perftui.model.figures import Row
from perftui.present.charts.heat import heat_lines
from perftui.present.charts.latency import latencies
from perftui.present.tables.grid import Grid, RowKey, Sort
from perftui.present.tables.routes import ROUTE_SORTS, routes_grid
from perftui.present.text.cells import Line
from perftui.present.text.evidence import Subject
from perftui.screens.functions import ask_and_measure
from perftui.screens.profile import ask_and_profile
from perftui.screens.tables import TablesView
from perftui.widgets.bindings import bindings
from perftui.widgets.lines import Lines, Panel
from perftui.widgets.table import Table
from perftui_agent.wire.parts import RouteLabel


class RoutesView(TablesView, inherit_bindings=True):
    """View 2."""

    BINDINGS = bindings("route")
    PLACES: tuple[Place, ...] = ("route", "view", "table", "everywhere")
    TITLE_HERE = "routes"

    def panes(self) -> Sequence[Lines]:
        """Return the table, and the latencies of the route under its cursor."""
        self._table = Table(self._routes, ROUTE_SORTS, "all-routes")
        return (self._table, Panel(self._latencies, "latencies"))

    def heights(self, room: int) -> Sequence[int]:
        """Give the latencies a third of a tall screen."""
        return (room - (room * 2 // 5 if room >= 28 else 7 if room >= 20 else 1),)

    def _routes(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return routes_grid(self.picture, width, sort, before)

    def _latencies(self, width: int, height: int) -> list[Line]:
        route = self.picture.summary.route(self._table.pointed or "")
        if route is None:
            return []
        heat = heat_lines(route, width, height - 2, route.route)
        return heat or latencies(route, width, max(height - 3, 1))

    def filtered_rows(self) -> Iterable[Sequence[Row]]:
        """Return the routes."""
        return (self.picture.summary.routes,)

    def route_here(self) -> RouteLabel | None:
        """Return the route under the cursor."""
        return self._table.pointed

    def action_profile(self) -> None:
        """Ask, then profile all workers, to show the route under the cursor."""
        ask_and_profile(self, None, self._table.pointed)

    def action_functions(self) -> None:
        """Ask, then measure the functions of the next requests of the route under the cursor."""
        ask_and_measure(self, self._table.pointed)

    def leads_to(self, _table: str, key: str) -> Subject | None:
        """Return the route."""
        return Subject("route", key)
