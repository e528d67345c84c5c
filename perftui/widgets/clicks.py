"""What the mouse can do with lines that have a cursor: nothing that a key can't.

A click puts the cursor on a line, one on the line under the cursor opens it, and so does a double click.
The wheel scrolls what is under it and leaves the focus where it is.
"""

from __future__ import annotations

from textual import events

from perftui.widgets.lines import Lines

NOTCH = 3
"""Lines that one notch of the wheel scrolls."""


class ClickedLines(Lines, inherit_bindings=False):
    """Lines with a cursor; subclasses say what a click on a line means, and how they scroll."""

    _in_use = False
    """Whether it had the focus before the click that has just come."""
    _armed = False
    """Whether the last click put the cursor on its line: a double click began here."""

    HEADINGS = 0
    """Lines at the top that are none to put a cursor on."""

    def click_heading(self, _x: int) -> None:
        """Do what a click on the heading means."""

    def click_line(self, _line: int) -> bool:
        """Put the cursor on a line in sight; return whether it is there now."""
        raise NotImplementedError

    def click_again(self) -> None:
        """Open what is under the cursor."""
        raise NotImplementedError

    def wheel(self, _by: int) -> None:
        """Scroll by some lines."""
        raise NotImplementedError

    def focus_on_click(self) -> bool:
        """Take the focus when clicked; asked before that, which is when it is known who has it."""
        self._in_use = self.has_focus
        return super().focus_on_click()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the line, or open it."""
        event.stop()
        if event.y < self.HEADINGS:
            self.click_heading(event.x)
            return
        if event.chain == 1:
            in_use = self._in_use or not self.can_focus
            again = in_use and event.y == self.cursor_line()
            self._armed = not again and self.click_line(event.y)
        else:
            # The second click on a line that the first has opened lands on another screen: not there.
            again, self._armed = self._armed, False
        if again:
            self.click_again()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self.wheel(NOTCH)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self.wheel(-NOTCH)
