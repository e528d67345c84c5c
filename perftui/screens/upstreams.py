"""Other services: what is asked of them over HTTP, and who holds things up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perftui.model.figures import Row
from perftui.model.upstreams import PROBES
from perftui.present.tables.grid import Grid, RowKey, Sort
from perftui.present.tables.upstreams import UPSTREAM_SORTS, upstreams_grid
from perftui.present.text.cells import Line
from perftui.present.text.evidence import Subject, probe_lines
from perftui.screens.tables import TablesView
from perftui.widgets.lines import Lines, Panel
from perftui.widgets.table import Table


class UpstreamsView(TablesView, inherit_bindings=True):
    """View 8."""

    TITLE_HERE = "upstreams"

    def panes(self) -> Sequence[Lines]:
        """Return the table, and which libraries are not looked at."""
        return (Table(self._upstreams, UPSTREAM_SORTS, "upstreams"), Panel(self._unseen, "unseen"))

    def heights(self, room: int) -> Sequence[int]:
        """Give the table all but what is said of the probes."""
        return (room - len(self._probes()),)

    def _upstreams(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return upstreams_grid(self.picture, width, sort, before)

    def _unseen(self, _width: int, _height: int) -> list[Line]:
        return self._probes()

    def _probes(self) -> list[Line]:
        summary = self.picture.summary
        return probe_lines(summary, bool(summary.upstreams), *PROBES)

    def filtered_rows(self) -> Iterable[Sequence[Row]]:
        """Return the upstreams."""
        return (self.picture.summary.upstreams,)

    def leads_to(self, _table: str, key: str) -> Subject | None:
        """Return the upstream."""
        return Subject("upstream", key)
