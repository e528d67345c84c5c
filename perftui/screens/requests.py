"""Requests: the slowest, those in flight and where each waits, what goes on after them; and connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from perftui.model.figures import Row
from perftui.present.tables.background import BACKGROUND_SORTS, background_grid
from perftui.present.tables.channels import CHANNEL_SORTS, channels_grid
from perftui.present.tables.grid import Grid, RowKey, Sort
from perftui.present.tables.requests import FLIGHT_SORTS, SLOW_SORTS, flights_grid, slow_grid
from perftui.present.text.evidence import Subject, SubjectKind
from perftui.screens.tables import TablesView, table_height
from perftui.widgets.lines import Lines
from perftui.widgets.table import Table

_KINDS: Mapping[str, SubjectKind] = {
    "slowest": "request",
    "flights": "flight",
    "background": "background",
    "channels": "channel",
}
"""What the rows of each table are."""


class RequestsView(TablesView, inherit_bindings=True):
    """View 3."""

    TITLE_HERE = "requests"

    def panes(self) -> Sequence[Lines]:
        """Return the tables."""
        return (
            Table(self._slow, SLOW_SORTS, "slowest"),
            Table(self._flights, FLIGHT_SORTS, "flights"),
            Table(self._background, BACKGROUND_SORTS, "background"),
            Table(self._channels, CHANNEL_SORTS, "channels"),
        )

    def heights(self, room: int) -> Sequence[int]:
        """Give those in flight a third: they come and go, and the rest must not jump with them."""
        summary = self.picture.summary
        after = table_height(len(summary.background), room // 4)
        over = table_height(len(summary.channels), room // 4)
        flights = max((room - after - over) // 3, 3)
        return (room - after - over - flights, flights, after)

    def _flights(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return flights_grid(self.picture, width, sort, before)

    def _background(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return background_grid(self.picture, width, sort, before)

    def _channels(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return channels_grid(self.picture, width, sort, before)

    def _slow(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return slow_grid(self.picture, width, sort, before)

    def filtered_rows(self) -> Iterable[Sequence[Row]]:
        """Return the slowest requests, those in flight, what goes on after them, and connections."""
        summary = self.picture.summary
        return (summary.slowest, summary.in_flight, summary.background, summary.channels)

    def leads_to(self, table: str, key: str) -> Subject | None:
        """Return the request, what goes on after some, or a route's connections."""
        return Subject(_KINDS[table], key)
