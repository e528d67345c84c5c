"""How the dashboard holds the terminal: what it asks of the mouse, and when it lets go of it.

Buttons and the wheel, never where the pointer is: Textual asks for every move (mode 1003), which over ssh is
a packet for each cell the pointer crosses. Stopped and continued in any way, it stands still as long as it
is in the background, and comes back with the size the terminal has by then.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

from perftui.terminal import TERMINAL, is_ours

if TYPE_CHECKING:
    from textual.app import App


_ARRIVES_S = 0.05
"""Within so much a signal that another thread has taken is handled by the main one, on a busy machine too."""


class ThriftyDriver(LinuxDriver):
    """Textual's driver, with the mouse modes that report nothing as the pointer moves, and job control."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        self._suspended = False
        self._standing_by = False
        super().__init__(app, **options)

    def start_application_mode(self) -> None:
        """Take the terminal, as soon as it is ours."""
        self._stand_by()
        self._suspended = False
        TERMINAL.take()
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's is untyped

    def close(self) -> None:
        """Let go of the terminal: all that was to be undone is written now."""
        super().close()
        TERMINAL.release()

    def _get_terminal_size(self) -> tuple[int, int]:
        """Ask the terminal: COLUMNS and LINES of the environment stand still when it is resized."""
        with suppress(OSError):
            columns, lines = os.get_terminal_size(2)
            if columns and lines:
                return columns, lines
        return super()._get_terminal_size()

    def run_input_thread(self) -> None:
        """Read keys; bytes that are no UTF-8 are none, and no reason to end."""
        while True:
            try:
                super().run_input_thread()
            except UnicodeDecodeError:
                continue
            break

    def _enable_mouse_support(self) -> None:
        if self._mouse:
            self.write("\x1b[?1000h\x1b[?1006h")
            self.flush()

    def _disable_mouse_support(self) -> None:
        if self._mouse:
            # Textual asks for pixels (1016) where a terminal tells its size in them, and leaves it at that.
            self.write("\x1b[?1016l\x1b[?1006l\x1b[?1000l")
            self.flush()

    def _sigtstp_application(self, *_: object) -> None:
        """Give the terminal back, then stop, and all of the job: the shell may wait for another part."""
        if TERMINAL.taken and self._auto_restart:
            self.suspend_application_mode()
            self._suspended = True
            os.killpg(0, signal.SIGTSTP)
        else:
            os.kill(os.getpid(), signal.SIGSTOP)

    def _sigcont_application(self, *_: object) -> None:
        """Come back in a moment: another signal that came meanwhile, as of `kill %1`, goes first."""
        if self._auto_restart and not self._standing_by:
            with suppress(RuntimeError):  # the loop is closed: there is nothing to come back to
                self._loop.call_soon_threadsafe(self._come_back)

    def _come_back(self) -> None:
        """Take the terminal again; stopped without having been asked, it has been changed since by others."""
        if self._app._exit or not (self._suspended or TERMINAL.taken):
            return
        self._stand_by()
        if not self._suspended:
            self.suspend_application_mode()
        self._must_signal_resume = True
        self.resume_application_mode()

    def _stand_by(self) -> None:
        """Stand still as long as the terminal is somebody else's."""
        self._standing_by = True
        while not is_ours():
            # What came together with the continuing, to end it, may still be on its way to this thread.
            time.sleep(_ARRIVES_S)
            os.kill(os.getpid(), signal.SIGSTOP)
        self._standing_by = False
