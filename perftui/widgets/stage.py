"""A bare app that shows one widget by itself; `q` leaves it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from perftui.widgets.palette import DARK


class Stage(App[None], inherit_bindings=False):
    """One widget on an empty screen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,ctrl+c", "quit", "quit")]
    CSS = "Screen { background: $background; }"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self._widget = widget
        self.register_theme(DARK)
        self.theme = DARK.name

    def compose(self) -> ComposeResult:
        """Show the widget."""
        yield self._widget


def show(widget: Widget) -> None:
    """Show a widget until `q` is pressed."""
    Stage(widget).run(mouse=False)
