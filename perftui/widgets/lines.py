"""A widget of styled lines that repaints only what changed: all others stand on it.

`python -m perftui.widgets.lines` shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from perftui.faults import FAULTS
from perftui.present.text.cells import BLANK, Cell, Line, clean, fit_line, width_of
from perftui.widgets.palette import depth_for, style_of
from perftui.widgets.spared import Spared


class Lines(Spared, Widget, inherit_bindings=False):
    """Lines of cells; subclasses say which ones, and which of them the cursor is on.

    A fault in the drawing of one takes its picture and nothing else: it is told in its place until the next
    drawing succeeds.
    """

    DEFAULT_CSS = "Lines { width: 1fr; height: 1fr; }"

    ALLOW_SELECT = False

    def __init__(self, name: str | None = None) -> None:
        super().__init__(id=name)
        self._drawn: list[tuple[Line, bool]] = []

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the lines for this size."""
        raise NotImplementedError

    def cursor_line(self) -> int | None:
        """Return the line the cursor is on, if there is one."""
        return None

    def repaint(self) -> None:
        """Draw again, and have the parts of the screen repainted that changed."""
        width, height = self.size
        if not width or not height:
            return
        try:
            lines, cursor = self.draw(width, height)[:height], self.cursor_line()
        except Exception as error:  # noqa: BLE001 - a session is worth more than a pane
            FAULTS.note(self.id or type(self).__name__, error)
            lines, cursor = [_told(error, width)], None
        drawn = [(line, place == cursor) for place, line in enumerate(lines)]
        regions = [
            Region(0, y, width, 1)
            for y, (old, new) in enumerate(zip_longest(self._drawn, drawn, fillvalue=(BLANK, False)))
            if old != new
        ]
        self._drawn = drawn
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        """Draw for the new size."""
        self._drawn = []
        self.repaint()
        self.refresh()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show the cursor, or hide it: only now the focus has really come or gone."""
        super().watch_has_focus(has_focus)
        self.repaint()

    def render_line(self, y: int) -> Strip:
        """Return one line as Textual wants it."""
        width = self.size.width
        line, under_cursor = self._drawn[y] if y < len(self._drawn) else (BLANK, False)
        line = _seen(line, width)
        depth = depth_for(self)
        segments = [
            Segment(cell.text, style_of(depth, cell.style, under_cursor)) for cell in line if cell.text
        ]
        length = width_of(line)
        ground = style_of(depth, "text", under_cursor)
        if length < width:
            segments.append(Segment(" " * (width - length), ground))
            length = width
        strip = Strip(segments, length)
        return strip.crop(0, width) if length > width else strip


def _seen(line: Line, width: int) -> Line:
    """Return what of a line can be seen: one that goes on beyond the edge says so, wherever it is from."""
    if width_of(line) <= width or width_of((Cell("".join(cell.text for cell in line).rstrip()),)) <= width:
        return line
    return fit_line(line, width)


def _told(error: Exception, width: int) -> Line:
    """Return what stands where a picture should: of the fault, what matters to who reads it."""
    said = f"a fault of perftui's own, not the service's: {type(error).__name__}: {clean(str(error))}"
    return fit_line((Cell(" ✗ ", "high"), Cell(said, "bright")), width)


class Panel(Lines):
    """Lines drawn by a function of the size."""

    def __init__(self, drawing: Callable[[int, int], list[Line]], name: str | None = None) -> None:
        super().__init__(name)
        self._drawing = drawing

    def draw(self, width: int, height: int) -> list[Line]:
        """Return what the function draws."""
        return self._drawing(width, height)


if __name__ == "__main__":
    from perftui.present.text.cells import Cell
    from perftui.widgets.palette import PALETTES
    from perftui.widgets.stage import show

    show(Panel(lambda *_: [(Cell(f" {name:<16}", name),) for name in PALETTES["full"]]))
