"""A screen whose tables follow the filter, and the line in which it is typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from textual import on
from textual.widget import Widget

from perftui.messages import FilterChanged
from perftui.model.draft import Draft
from perftui.model.figures import Row
from perftui.present.picture import Picture
from perftui.screens.panes import PanesView
from perftui.screens.view import Host
from perftui.widgets.bottom import Bottom, FilterLine
from perftui.widgets.table import Table


class FilteredView(PanesView, inherit_bindings=False):
    """Each has a filter of its own, which waits while others are shown: that of statements hides no route."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._draft = Draft()
        self._back_to: Widget | None = None
        """What has the focus again when the filter has been typed."""
        self.filter_line = FilterLine()

    @property
    def picture(self) -> Picture:
        """What is to be shown, with the filter of this screen."""
        return replace(self.host.picture, wanted=self._draft.wanted)

    def filtered_rows(self) -> Iterable[Sequence[Row]]:
        """Return all rows of each table of this screen."""
        raise NotImplementedError

    def action_filter(self) -> None:
        """Let a filter be typed in place of the bottom line, beginning with the one that is on."""
        self._back_to = self.focused if isinstance(self.focused, Table) else self.query(Table).first()
        self.query_one(Bottom).display = False
        self.filter_line.display = True
        self.filter_line.begin(self._draft.text)
        self.filter_line.focus()

    @on(FilterChanged)
    def type_filter(self, message: FilterChanged) -> None:
        """Show what is understood of the filter so far, and tell what isn't."""
        self._take(self._draft.typed(message.text, self.filtered_rows))

    def _take(self, draft: Draft) -> None:
        self._draft = draft
        self.filter_line.say(draft.problem)
        self.show()

    def action_keep(self) -> None:
        """Keep the filter and go on with the table; one that isn't understood wants to be mended first."""
        self._take(self._draft.kept())
        if not self._draft.problem:
            self._close()

    def on_mouse_down(self) -> None:
        """Keep the filter when one clicks elsewhere, if it is understood."""
        if self.filter_line.display and self.focused not in {None, self.filter_line}:
            self._back_to = self.focused
            self.action_keep()
            if self._draft.problem:
                self.filter_line.focus()

    def action_drop(self) -> None:
        """Clear the filter and go on with the table."""
        self.clear_filter()
        self._close()

    def clear_filter(self) -> None:
        """Show all rows again."""
        self._take(Draft())

    def _close(self) -> None:
        self.filter_line.display = False
        self.query_one(Bottom).display = True
        self.set_focus(self._back_to)
