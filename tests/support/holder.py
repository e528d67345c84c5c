"""Holds the terminal as the dashboard does, without the second that the dashboard takes to start.

`python -m tests.support.holder` asks of the terminal what Textual asks, says that it holds it, and waits.
"""

from __future__ import annotations

import os
import signal
import termios

from perftui.terminal import TERMINAL, given_back

ASKED = b"\x1b[?1049h\x1b[?1000h\x1b[?1006h\x1b[?25l\x1b[?1004h\x1b[>25u\x1b[?2004h\x1b[?7lholding"


def hold() -> None:
    """Hold the terminal until a signal ends it."""
    with given_back():
        TERMINAL.take()
        modes = termios.tcgetattr(0)
        modes[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        termios.tcsetattr(0, termios.TCSANOW, modes)
        os.write(2, ASKED)
        while True:
            signal.pause()


if __name__ == "__main__":
    hold()
