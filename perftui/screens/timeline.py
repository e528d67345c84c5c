"""Timeline: everything that happened, the newest first."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.present.evidence import Subject
from perftui.present.grid import Grid, RowKey, Sort
from perftui.present.timeline import TIMELINE_SORTS, moments, timeline_grid
from perftui.screens.tables import TablesView
from perftui.widgets.lines import Lines
from perftui.widgets.table import Table


class TimelineView(TablesView, inherit_bindings=True):
    """View 7."""

    TITLE_HERE = "timeline"

    def panes(self) -> Sequence[Lines]:
        """Return the table."""
        return (Table(self._moments, TIMELINE_SORTS, "moments"),)

    def _moments(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return timeline_grid(self.picture, width, sort, before, self.wanted)

    def leads_to(self, _table: str, key: str) -> Subject | None:
        """Return what the moment is about, if that has a screen."""
        moment = moments(self.picture).get(key)
        if moment is None or moment.leads_to is None:
            self.host.remark("nothing more is known of this")
            return None
        return moment.leads_to
