"""Is it bad, since when, where: targets, what stands out, charts, routes and workers in one picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container

from perftui.keytable.key import Place
from perftui.messages import RowOpened
from perftui.model import figures
from perftui.model.steps import Steps
from perftui.present.tables.grid import Grid, RowKey, Sort
from perftui.present.tables.routes import ROUTE_SORTS, routes_grid
from perftui.present.tables.workers import WORKER_SORTS, workers_grid
from perftui.present.text.cells import Line
from perftui.present.text.evidence import Row, Subject
from perftui.present.triage.attention import Notice, attention_rows, notices
from perftui.present.triage.layout import Triage, triage_layout
from perftui.present.triage.ruler import ruler_line
from perftui.present.triage.vitals import vitals_lines
from perftui.screens.filtered import FilteredView
from perftui.screens.view import Host
from perftui.widgets.bindings import bindings
from perftui.widgets.evidence import EvidenceLines, SubjectOpened
from perftui.widgets.lines import Panel
from perftui.widgets.table import Table

LEAD_S = 5.0
"""So long after the first picture findings that appear still take the cursor: history comes in chunks."""


class TriageView(FilteredView, inherit_bindings=False):
    """The first screen."""

    BINDINGS = bindings("triage")
    PLACES: tuple[Place, ...] = ("triage", "table", "everywhere")
    AUTO_FOCUS = "#routes"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._led = False
        self._first_seen = 0.0
        self._arranged: Triage | None = None
        # Only ever more: a route that comes and goes must not make the charts jump.
        self._most_routes = 0
        self.route_table = Table(self._routes_grid, ROUTE_SORTS, "routes")
        self.worker_table = Table(self._workers_grid, WORKER_SORTS, "workers", descending=False)
        self._vitals = Panel(self._vitals_lines, "vitals")
        self._attention = EvidenceLines(self._attention_rows, "attention", strip=True)

    def content(self) -> ComposeResult:
        """Return the four blocks of the view."""
        yield self._vitals
        yield self._attention
        with Container(id="tables"):
            yield self.route_table
            yield self.worker_table
        yield self.filter_line

    def places(self) -> tuple[Place, ...]:
        """Return whose keys work now: findings are no table."""
        return ("triage", "rows", "everywhere") if self.focused is self._attention else self.PLACES

    def showing(self) -> Steps[None]:
        """Share out the screen, then show the picture."""
        self._arrange()
        yield from super().showing()
        self._lead()

    def _lead(self) -> None:
        """Let the cursor wait on the findings if there are some at first, until a key has been pressed."""
        summary, anything = self.picture.summary, bool(self._notices())
        self._attention.can_focus = anything or self._attention.has_focus
        if self._led or summary.link == "connecting" or not self.is_mounted:
            return
        self._first_seen = self._first_seen or summary.at
        if anything:
            self.set_focus(self._attention)
            self._led = True
        self._led = self._led or summary.at - self._first_seen > LEAD_S

    def on_key(self) -> None:
        """Leave the focus where it is: somebody is at the keys."""
        self._led = True

    def on_mouse_down(self) -> None:
        """Leave the focus where it is put."""
        self._led = True

    def on_resize(self) -> None:
        """Share out the screen anew."""
        self._arranged = None
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.size
        summary = self.picture.summary
        if not width or not self.is_mounted or self.zoomed:
            return
        self._most_routes = max(self._most_routes, len(summary.routes))
        layout = triage_layout(width, height, len(self._notices()), len(summary.workers), self._most_routes)
        if layout == self._arranged:
            return
        self._arranged = layout
        self._vitals.styles.height = 3 * layout.chart_height + 1
        self._attention.styles.height = layout.attention
        self.worker_table.styles.height = "1fr" if layout.side_by_side else layout.workers
        self.set_class(layout.side_by_side, "side-by-side")
        self.set_class(layout.gaps, "gaps")

    def _vitals_lines(self, width: int, height: int) -> list[Line]:
        mark = self.picture.mark
        charts = vitals_lines(
            self.picture.summary, width, max((height - 1) // 3, 1), mark.at if mark else None
        )
        return [*charts, ruler_line(self.picture, width)]

    def _attention_rows(self, width: int, _height: int) -> list[Row]:
        now = self.picture.summary.at
        return attention_rows(self._notices(), None if self.picture.looks_back else now, width)

    def _notices(self) -> list[Notice]:
        return notices(self.picture.summary, self.picture.findings)

    def _routes_grid(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return routes_grid(self.picture, width, sort, before)

    def _workers_grid(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return workers_grid(self.picture, width, sort, before)

    @on(RowOpened)
    def open_row(self, message: RowOpened) -> None:
        """Drill into a route or a worker."""
        self.host.open_subject(Subject("route" if message.table == "routes" else "worker", message.key))

    @on(SubjectOpened)
    def open_notice(self, message: SubjectOpened) -> None:
        """Show the evidence of what stands out."""
        self.host.open_subject(message.subject)

    def action_dump(self) -> None:
        """Ask, then dump the worker under the cursor of the workers table."""
        from perftui.screens.dump import ask_and_dump  # noqa: PLC0415 - the first picture needs no dump

        ask_and_dump(self, self.worker_table.pointed)

    def action_profile(self) -> None:
        """Ask, then profile all workers; from the routes, to show the selected one."""
        from perftui.screens.profile import ask_and_profile  # noqa: PLC0415 - as above

        ask_and_profile(self, None, self.route_table.pointed if self.route_table.has_focus else None)

    def action_functions(self) -> None:
        """Ask, then measure the functions of the next requests of the selected route."""
        from perftui.screens.functions import ask_and_measure  # noqa: PLC0415 - as above

        ask_and_measure(self, self.route_table.pointed)

    def filtered_rows(self) -> Iterable[Sequence[figures.Row]]:
        """Return the routes and the workers."""
        return (self.picture.summary.routes, self.picture.summary.workers)

    def action_clear_filter(self) -> None:
        """Show all panes again, else all routes and workers."""
        if not self.unzoom():
            self.clear_filter()
