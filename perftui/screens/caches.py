"""Caches: how often each has what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perftui.model.figures import Row
from perftui.present.tables.caches import CACHE_SORTS, PROBES, caches_grid
from perftui.present.tables.grid import Grid, RowKey, Sort
from perftui.present.text.cells import Line
from perftui.present.text.evidence import Subject, probe_lines
from perftui.screens.tables import TablesView
from perftui.widgets.lines import Lines, Panel
from perftui.widgets.table import Table


class CachesView(TablesView, inherit_bindings=True):
    """View 5."""

    TITLE_HERE = "caches"

    def panes(self) -> Sequence[Lines]:
        """Return the table, and which kinds of caches are not looked at."""
        return (Table(self._caches, CACHE_SORTS, "caches"), Panel(self._unseen, "unseen"))

    def heights(self, room: int) -> Sequence[int]:
        """Give the table all but what is said of the probes."""
        return (room - len(self._probes()),)

    def _caches(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return caches_grid(self.picture, width, sort, before)

    def _unseen(self, _width: int, _height: int) -> list[Line]:
        return self._probes()

    def _probes(self) -> list[Line]:
        summary = self.picture.summary
        return probe_lines(summary, bool(summary.caches), *PROBES)

    def filtered_rows(self) -> Iterable[Sequence[Row]]:
        """Return the caches."""
        return (self.picture.summary.caches,)

    def leads_to(self, _table: str, key: str) -> Subject | None:
        """Return the cache."""
        return Subject("cache", key)
