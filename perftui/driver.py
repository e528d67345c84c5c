"""What is asked of the terminal's mouse: buttons and the wheel, never where the pointer is.

Textual asks for every move (mode 1003), which over ssh is a packet for each cell the pointer crosses.
"""

from __future__ import annotations

from textual.drivers.linux_driver import LinuxDriver


class ClicksDriver(LinuxDriver):
    """Textual's driver, with the mouse modes that report nothing as the pointer moves."""

    def _enable_mouse_support(self) -> None:
        if self._mouse:
            self.write("\x1b[?1000h\x1b[?1006h")
            self.flush()

    def _disable_mouse_support(self) -> None:
        if self._mouse:
            # Textual asks for pixels (1016) where a terminal tells its size in them, and leaves it at that.
            self.write("\x1b[?1016l\x1b[?1006l\x1b[?1000l")
            self.flush()
