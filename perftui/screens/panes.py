"""Going between the panes of a screen, and giving one of them all of it."""

from __future__ import annotations

from textual.css.scalar import Scalar
from textual.dom import DOMNode
from textual.widget import Widget

from perftui.screens.view import View
from perftui.widgets.bottom import Bottom, FilterLine


class PanesView(View[None], inherit_bindings=False):
    """A screen of several panes; the header, the bottom line and the filter stay whatever is zoomed."""

    _zoomed: Widget | None = None
    _height_before: Scalar | None = None
    _hidden: tuple[Widget, ...] = ()

    def action_pane(self, by: int) -> None:
        """Go to the next or the previous pane; if one has the whole screen, so does the one gone to."""
        before, zoomed = self.focused, self._zoomed is not None
        with self.app.batch_update():
            self.unzoom()
            after = self.focus_next() if by > 0 else self.focus_previous()
            if zoomed:
                self._zoom(after)
        if after is before:
            self.host.remark("there is no other pane to go to")

    def action_zoom(self) -> None:
        """Give the pane that has the focus the whole screen, or give it back."""
        with self.app.batch_update():
            if self.unzoom():
                self.host.remark("")
                return
            self._zoom(self.focused)
            self.host.remark("z gives the others back" if self._hidden else "it is the only pane here")

    def unzoom(self) -> bool:
        """Show all panes again; return whether one had the whole screen."""
        pane, self._zoomed = self._zoomed, None
        if pane is None:
            return False
        pane.styles.height = self._height_before
        for other in self._hidden:
            other.display = True
        self.remove_class("zoomed")
        self.show()
        return True

    @property
    def zoomed(self) -> bool:
        """Whether one pane has the whole screen."""
        return self._zoomed is not None

    def _zoom(self, pane: Widget | None) -> None:
        if pane is None or isinstance(pane, FilterLine):
            return
        self._zoomed, self._height_before = pane, pane.styles.height
        self._hidden = tuple(self._beside(pane))
        for other in self._hidden:
            other.display = False
        pane.styles.height = "1fr"
        self.add_class("zoomed")

    def _beside(self, pane: Widget) -> list[Widget]:
        """Return what takes room from a pane: its siblings, and those of what it stands in."""
        found: list[Widget] = []
        node: DOMNode = pane
        while node is not self and node.parent is not None:
            found += [each for each in node.parent.children if each is not node and self._gives_way(each)]
            node = node.parent
        return found

    def _gives_way(self, widget: Widget) -> bool:
        return widget.display and widget.id != "header" and not isinstance(widget, Bottom | FilterLine)
