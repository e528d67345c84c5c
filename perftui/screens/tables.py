"""What the views 2 to 8 have in common: tables whose rows open, a filter, panes to go between."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container

from perftui.keytable.key import Place
from perftui.messages import RowOpened, RowPointed
from perftui.model.steps import Steps
from perftui.present.text.evidence import Subject
from perftui.screens.filtered import FilteredView
from perftui.screens.view import Host
from perftui.widgets.bindings import bindings
from perftui.widgets.lines import Lines
from perftui.widgets.table import Table


class TablesView(FilteredView, inherit_bindings=False):
    """Tables one below the other; the last pane takes what is left of the height."""

    BINDINGS = bindings("view")
    PLACES: tuple[Place, ...] = ("view", "table", "everywhere")
    TITLE_HERE = ""
    """What the breadcrumbs say."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._panes = self.panes()

    def panes(self) -> Sequence[Lines]:
        """Return the panes, from top to bottom."""
        raise NotImplementedError

    def heights(self, _room: int) -> Sequence[int]:
        """Return the height of each pane but the last, out of so many lines."""
        return ()

    def leads_to(self, table: str, key: str) -> Subject | None:
        """Return what a row of a table is about."""
        raise NotImplementedError

    def crumbs(self) -> tuple[str, ...]:
        """Return which view this is."""
        return (self.TITLE_HERE,)

    def content(self) -> ComposeResult:
        """Return the panes, and the line for the filter."""
        with Container(id="panes"):
            yield from self._panes
        yield self.filter_line

    def showing(self) -> Steps[None]:
        """Share out the screen, then show the picture."""
        self._arrange()
        yield from super().showing()

    def on_resize(self) -> None:
        """Share out the screen anew."""
        self._arrange()

    def _arrange(self) -> None:
        if not self.size.height or not self.is_mounted or self.zoomed:
            return
        for pane, height in zip(self._panes, self.heights(self.size.height - 2), strict=False):
            if pane.styles.height is None or pane.styles.height.value != height:
                pane.styles.height = max(height, 1)

    @on(RowOpened)
    def open_row(self, message: RowOpened) -> None:
        """Go on from a row."""
        subject = self.leads_to(message.table, message.key)
        if subject is not None:
            self.host.open_subject(subject)

    @on(RowPointed)
    def point_row(self) -> None:
        """Show what else there is about the row under the cursor."""
        for pane in self._panes:
            if not isinstance(pane, Table):
                pane.repaint()

    def action_back(self) -> None:
        """Give the other panes back, else clear the filter, else go back to the triage view."""
        if self.unzoom():
            return
        if self.picture.wanted:
            self.clear_filter()
        else:
            self.host.open_subject(Subject("view", "1"))


def table_height(rows: int, most: int, least: int = 2) -> int:
    """Return the height of a table with so many rows: its heading, its rows, a line for none."""
    return max(min(max(rows, 1) + 1, most), least)
