"""Has this process write the stacks of its threads into a file when it gets a signal.

For others to look at it while C code holds its GIL and nobody may trace it: `faulthandler` writes from
within the handler of the signal, asks for no lock and needs nobody's permission; whoever may signal this
process and read the file (its user, root) has them: see `wire.stacks_on_signal`.

The signal is the first that nobody has taken from SIGRTMIN+5 on. Whether it is still ours is asked of the
system again and again, since an app may take it later, in Python or in C: then it is the app's, and another
one is taken. An app that has `faulthandler` itself write on that very number can't be told from us, since the
handler is the same function: its stacks and ours then go into its file, and the number is free again when the
agent ends. Called on the agent's thread alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import stat
import threading
from pathlib import Path

from perftui_agent.inspect.audit import AuditTrail
from perftui_agent.wire.registration import StacksOnSignal

FIRST = 5
"""After SIGRTMIN: a thread library keeps the first few, and some programs take the next."""

SIGNALS = 10
"""How many are tried."""

_DEFAULT = 0
"""SIG_DFL, as the system tells it."""

# PyDLL keeps the GIL: this is asked once a second, and to let go of it is to wait for it beside a busy app.
_libc = ctypes.PyDLL(None, use_errno=True)

_SigAction = ctypes.c_void_p * 64
"""Larger than it is anywhere; the handler comes first."""


class SignalledStacks:
    """The signal, the file, and what keeps them."""

    def __init__(self, audit: AuditTrail | None = None) -> None:
        self._audit = audit or AuditTrail()
        self._path: Path | None = None
        self._file: int | None = None
        self._file_id = (0, 0)
        self._signal = 0
        self._handler = _DEFAULT
        self._nowhere: int | None = None
        """Where stacks go on a signal that was ours, should who has taken it call what was there before."""
        self._asked_ns = 0
        """When somebody last had it written, as the file tells."""
        self.status = "off: not begun"
        """`on`, or `off: why`."""

    def look_after(self, path: Path) -> StacksOnSignal | None:
        """See that a signal has the stacks written into `path`; return who is to send which, if it can be.

        Costs two calls of the system as long as all is as it was. OSError where the file can't be made.
        """
        if self._signal and not self.listens():
            self._give_up()
        number = self._signal or self._free_signal()
        if not number:
            return None
        if self._file is None or path != self._path or not self._is_there():
            self._write_to(path, number)
        else:
            self._note_who_asked()
        main = threading.main_thread().ident or 0
        return StacksOnSignal(path=str(path), signal=number, main_thread=main)

    def is_as_it_was(self) -> bool:
        """Tell whether `look_after` would find the signal ours and the file as it was left; not whether it is
        there still."""
        if self._file is None or not self.listens():
            return False
        return os.fstat(self._file).st_mtime_ns == self._asked_ns

    def listens(self) -> bool:
        """Tell whether the signal has our stacks written still, and does not end the process."""
        return bool(self._signal) and handler_of(self._signal) == self._handler

    def end(self) -> None:
        """Listen to the signal no more and let go of the file; for a forked child as well."""
        if self.listens():
            faulthandler.unregister(self._signal)
            self._close()
            self._signal = 0
        elif self._signal:
            self._give_up()
        self.status = "off: ended"

    def _write_to(self, path: Path, number: int) -> None:
        former = self._file
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        info = os.fstat(self._file)
        self._path, self._file_id = path, (info.st_dev, info.st_ino)
        self._asked_ns = info.st_mtime_ns
        if number != self._signal:
            # Ours once, taken by the app and set back to the default: faulthandler believes that its handler
            # is there still and would set none, and the signal would end the process.
            faulthandler.unregister(number)
        # Of a signal that is ours already this changes the file alone.
        faulthandler.register(number, file=self._file, all_threads=True)
        self._signal, self._handler, self.status = number, handler_of(number), "on"
        if former is not None:
            os.close(former)

    def _free_signal(self) -> int:
        least = getattr(signal, "SIGRTMIN", None)
        if least is None or not hasattr(faulthandler, "register"):
            self.status = "off: this system has no signals to spare"
            return 0
        try:
            numbers = range(least + FIRST, least + FIRST + SIGNALS)
            free = next((number for number in numbers if handler_of(number) == _DEFAULT), 0)
        except (OSError, AttributeError) as error:
            self.status = f"off: who has which signal can't be told: {error}"
            return 0
        if not free:
            self.status = f"off: the app has all signals from SIGRTMIN+{FIRST} to +{FIRST + SIGNALS - 1}"
        return free

    def _give_up(self) -> None:
        """Leave the signal to who has taken it, who may call what was there before."""
        if handler_of(self._signal) == _DEFAULT:
            faulthandler.unregister(self._signal)
        else:
            if self._nowhere is None:
                self._nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            # faulthandler knows the file by its number, which another one gets once it is closed. Of a signal
            # that it believes to be its own this changes the file alone, and no handler.
            faulthandler.register(self._signal, file=self._nowhere, all_threads=True)
        self._signal = 0
        self._close()

    def _is_there(self) -> bool:
        try:
            info = os.lstat(self._path or "")
        except OSError:
            return False
        return stat.S_ISREG(info.st_mode) and (info.st_dev, info.st_ino) == self._file_id

    def _note_who_asked(self) -> None:
        written_ns = os.fstat(self._file or 0).st_mtime_ns
        if written_ns != self._asked_ns:
            self._asked_ns = written_ns
            self._audit.write(f"stacks of pid {os.getpid()}: written on a signal")

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None


def handler_of(number: int) -> int:
    """Return what the system has for the handler of a signal, whoever has set it; 0 is the default.

    OSError or AttributeError where it can't be asked. `signal.getsignal` knows Python's own alone.
    """
    action = _SigAction()
    if _libc.sigaction(number, None, action) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(action[0] or _DEFAULT)
