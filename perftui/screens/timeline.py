"""Timeline: everything that happened, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perftui.keytable.key import Place
from perftui.model.figures import Row
from perftui.present.tables.grid import Grid, RowKey, Sort
from perftui.present.tables.timeline import TIMELINE_SORTS, moments, timeline_grid
from perftui.present.text.evidence import Subject
from perftui.screens.tables import TablesView
from perftui.widgets.bindings import bindings
from perftui.widgets.lines import Lines
from perftui.widgets.table import Table


class TimelineView(TablesView, inherit_bindings=True):
    """View 7."""

    BINDINGS = bindings("timeline")
    PLACES: tuple[Place, ...] = ("timeline", "view", "table", "everywhere")
    TITLE_HERE = "timeline"

    def panes(self) -> Sequence[Lines]:
        """Return the table."""
        self._table = Table(self._moments, TIMELINE_SORTS, "moments")
        return (self._table,)

    def _moments(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return timeline_grid(self.picture, width, sort, before)

    def filtered_rows(self) -> Iterable[Sequence[Row]]:
        """Return everything that happened."""
        return ((*self.picture.summary.events, *self.picture.summary.incidents, *self.picture.findings),)

    def leads_to(self, _table: str, key: str) -> Subject | None:
        """Return what a moment is about; the present knows no more of what is past, so go there first."""
        moment = moments(self.picture).get(key)
        if moment is None:
            return None
        summary = self.picture.summary
        past = not moment.stands and moment.over_at < summary.at - summary.window_s
        if past or moment.leads_to is None:
            self.host.go_to(moment.over_at)
        return moment.leads_to

    def action_go(self) -> None:
        """Look at the service as it was at the moment under the cursor."""
        moment = moments(self.picture).get(self._table.pointed or "")
        if moment is not None:
            self.host.go_to(moment.over_at)
