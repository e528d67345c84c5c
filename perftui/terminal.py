"""The terminal is given back as it was, whatever ends the dashboard, and never taken from somebody else.

Textual gives it back when an app is left. A signal ends the process without asking Textual, a blocked
terminal can't be waited for, and one that is gone can't be written to: each of them ends it at once.

In the background the terminal belongs to the shell or to what it runs: who touches it there is stopped by the
system (SIGTTOU), so a dashboard that only wanted to tidy up could not be ended by `kill`. It dies without.
"""

from __future__ import annotations

import faulthandler
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
from typing import Any

import psutil

INTERRUPTED = 130

BROKEN = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})
"""What also comes from within, when the process is broken: a handler in Python would come back to the same
instruction for ever. They are held back, which those from within do not heed, and waited for by a thread."""

_NAMES = (
    *("HUP", "INT", "QUIT", "TRAP", "ABRT", "USR1", "USR2", "ALRM", "TERM"),
    *("STKFLT", "XCPU", "VTALRM", "PROF", "IO", "PWR", "SYS"),
)

_REAL_TIME = (getattr(signal, "SIGRTMIN", 1), getattr(signal, "SIGRTMAX", 0))

ENDING: frozenset[int] = frozenset(
    {getattr(signal, f"SIG{name}") for name in _NAMES if hasattr(signal, f"SIG{name}")}
    | set(range(_REAL_TIME[0], _REAL_TIME[1] + 1))
)
"""What ends a process that does nothing about it, as far as it can be caught; SIGPIPE and SIGXFSZ are errors
to Python."""

_BACK = (
    b"\x1b[?2026l\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[m\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
    b"\x1b[?1016l\x1b[?1006l\x1b[?1000l"
)
"""Undoes what is asked of a terminal: synchronized and bracketed input, no wrapping, the key protocol,
the other screen, no cursor, reports of focus and mouse."""

_GRACE_S = 0.5


class Terminal:
    """The terminal of this process, and how it was before the dashboard took it."""

    def __init__(self) -> None:
        self._modes: list[Any] | None = None

    @property
    def taken(self) -> bool:
        """Whether something has been asked of it that is not undone yet."""
        return self._modes is not None

    def take(self) -> None:
        """Remember how it is, in the foreground: whoever had it until now has set it as it is to be again."""
        with suppress(termios.error):
            self._modes = termios.tcgetattr(0)

    def release(self) -> None:
        """Note that all of it is undone."""
        self._modes = None

    def give_back(self) -> None:
        """Undo what was asked of it, if it is still ours; without waiting for it."""
        modes, self._modes = self._modes, None
        if modes is None or not is_ours():
            return
        # Who moves us to the background in this very moment stops nobody who is about to end.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        with suppress(OSError, termios.error):
            termios.tcflush(0, termios.TCIFLUSH)
            termios.tcsetattr(0, termios.TCSANOW, modes)
        with suppress(OSError):
            _write_at_once(_BACK)


TERMINAL = Terminal()
"""There is one for each process."""


def is_there() -> bool:
    """Tell whether there is a terminal to read keys from and to draw on, as Textual does, on stderr.

    A dumb one can't place its cursor: of an editor's shell, or a log of a build, a dashboard makes noise.
    """
    return os.isatty(0) and os.isatty(2) and os.environ.get("TERM") != "dumb"


def is_ours() -> bool:
    """Tell whether we are in the foreground; where there is no job control, everybody is."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return True


def would_be_brought_back() -> bool:
    """Tell whether a shell of this session looks after our process group: else nobody continues it."""
    group, session = os.getpgrp(), os.getsid(0)
    try:
        parent = psutil.Process(os.getppid())
        while os.getpgid(parent.pid) == group:
            parent = psutil.Process(parent.ppid())
        return os.getsid(parent.pid) == session
    except (psutil.Error, OSError):
        return False


@contextmanager
def given_back() -> Iterator[None]:
    """Restore the terminal when a signal ends this process, and end it when the terminal is gone."""
    if not os.isatty(0):
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        TERMINAL.give_back()
        if number == signal.SIGINT:
            os._exit(INTERRUPTED)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    # What is ignored stays ignored, as under nohup; what somebody handles is theirs.
    unheeded = {signal.SIG_DFL, signal.default_int_handler}
    caught = [number for number in ENDING if signal.getsignal(number) in unheeded]
    before = {number: signal.signal(number, leave) for number in caught}
    if not faulthandler.is_enabled():
        signal.pthread_sigmask(signal.SIG_BLOCK, BROKEN)
        threading.Thread(target=_end_with_broken, name="perftui-broken", daemon=True).start()
    threading.Thread(target=_end_with_terminal, name="perftui-hang-up", daemon=True).start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BROKEN)


def _write_at_once(data: bytes) -> None:
    """Write what the terminal takes without waiting; its mode is shared with the shell that follows."""
    out = sys.__stderr__.fileno() if sys.__stderr__ is not None else 2
    os.set_blocking(out, False)
    try:
        os.write(out, data)
    finally:
        os.set_blocking(out, True)


def _end_with_broken() -> None:
    """Wait for what is held back, and die of it with the terminal restored."""
    number = signal.sigwait(BROKEN)
    TERMINAL.give_back()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BROKEN)
    signal.pthread_kill(threading.get_ident(), number)


def _end_with_terminal() -> None:
    """Wait for the terminal to hang up, which a process that ignores SIGHUP isn't told otherwise."""
    watch = select.poll()
    watch.register(0, 0)
    watch.poll()
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(_GRACE_S)
    os._exit(128 + signal.SIGHUP)
