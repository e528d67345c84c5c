"""The terminal is given back as it was, whatever ends the dashboard.

Textual gives it back when an app is left. A signal ends the process without asking Textual, a blocked
terminal can't be waited for, and one that is gone can't be written to: each of them ends it at once.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)

_BACK = (
    b"\x1b[?2026l\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[m\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
    b"\x1b[?1016l\x1b[?1006l\x1b[?1000l"
)
"""Undoes what is asked of a terminal: synchronized and bracketed input, no wrapping, the key protocol,
the other screen, no cursor, reports of focus and mouse."""

_GRACE_S = 0.5


def is_there() -> bool:
    """Tell whether there is a terminal to read keys from and to draw on, as Textual does, on stderr."""
    return os.isatty(0) and os.isatty(2)


@contextmanager
def given_back() -> Iterator[None]:
    """Restore the terminal when a signal ends this process, and end it when the terminal is gone."""
    if not os.isatty(0):
        yield
        return
    modes = termios.tcgetattr(0)

    def leave(number: int, _frame: FrameType | None) -> None:
        with suppress(OSError, termios.error):
            termios.tcsetattr(0, termios.TCSANOW, modes)
        with suppress(OSError):
            _write_at_once(_BACK)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = {number: signal.signal(number, leave) for number in ENDING}
    threading.Thread(target=_end_with_terminal, name="perftui-hang-up", daemon=True).start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_at_once(data: bytes) -> None:
    """Write what the terminal takes without waiting; its mode is shared with the shell that follows."""
    out = sys.__stderr__.fileno() if sys.__stderr__ is not None else 2
    os.set_blocking(out, False)
    try:
        os.write(out, data)
    finally:
        os.set_blocking(out, True)


def _end_with_terminal() -> None:
    """Wait for the terminal to hang up, which a process that ignores SIGHUP isn't told otherwise."""
    watch = select.poll()
    watch.register(0, 0)
    watch.poll()
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(_GRACE_S)
    os._exit(128 + signal.SIGHUP)
