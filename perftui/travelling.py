"""Moving through time by keys: every screen of the app shows the same moment."""

from __future__ import annotations

from perftui.viewing import Viewing


class Travelling:
    """The part of the app that moves through time."""

    _viewing: Viewing

    def repaint(self) -> None:
        """Take a new picture and show it on every screen."""
        raise NotImplementedError

    def remark(self, text: str) -> None:
        """Say something in the bottom line for a moment."""
        raise NotImplementedError

    def marked(self) -> None:
        """Have a mark that was set noted."""
        raise NotImplementedError

    def action_pause(self) -> None:
        """Freeze the picture, or let it go on."""
        self._moved(self._viewing.pause())

    def action_step(self, by: int) -> None:
        """Step through time by a tick of the chart."""
        self._moved(self._viewing.step(by))

    def action_leap(self, by: int) -> None:
        """Leap through time by a window."""
        self._moved(self._viewing.leap(by))

    def go_to(self, moment: float) -> None:
        """Show the service as it was at a moment."""
        self._moved(self._viewing.go_to(moment))

    def action_live(self) -> None:
        """Return to the present."""
        self._moved(self._viewing.to_live())

    def action_mark(self) -> None:
        """Mark this moment."""
        remark = self._viewing.mark()
        self.marked()
        self._moved(remark)

    def action_window(self) -> None:
        """Look at the next longer window; after the longest, the shortest."""
        self._viewing.next_window()
        self.repaint()

    def _moved(self, remark: str) -> None:
        """Show where one is now, and what is to be said of it."""
        if remark:
            self.remark(remark)
        self.repaint()
