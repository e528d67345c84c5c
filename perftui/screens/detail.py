"""A screen of lines that can be scrolled: what the details of a route and of a worker have in common."""

from __future__ import annotations

from textual.app import ComposeResult

from perftui.keytable.key import Place
from perftui.present.text.cells import Cell, Line, filled
from perftui.screens.view import Host, View
from perftui.widgets.bindings import bindings
from perftui.widgets.clicks import NOTCH
from perftui.widgets.lines import Panel


class DetailView(View[None], inherit_bindings=False):
    """Lines under the header; `esc` goes back."""

    BINDINGS = bindings("detail")
    PLACES: tuple[Place, ...] = ("detail", "everywhere")

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._first = 0
        self._body = Panel(self._visible, "body")

    def content(self) -> ComposeResult:
        """Return the lines."""
        yield self._body

    def lines(self, width: int, height: int) -> list[Line]:
        """Return all lines, as many as there are; `height` is what can be seen of them at a time."""
        raise NotImplementedError

    def _visible(self, width: int, height: int) -> list[Line]:
        lines = self.lines(width, height)
        self._first = min(self._first, max(len(lines) - height, 0))
        shown = lines[self._first : self._first + height]
        below = len(lines) - self._first - height
        if below > 0:
            shown[-1] = filled((Cell(f"  ↓ {below + 1} more lines", "dim"),), width)
        return shown

    def action_scroll(self, by: int) -> None:
        """Move what is seen by some lines."""
        self._first = max(self._first + by, 0)
        self._body.repaint()

    def on_mouse_scroll_down(self) -> None:
        """Scroll down."""
        self.action_scroll(NOTCH)

    def on_mouse_scroll_up(self) -> None:
        """Scroll up."""
        self.action_scroll(-NOTCH)

    def action_back(self) -> None:
        """Go back to where this was opened."""
        self.dismiss(None)
