"""A worker that nobody can look at writes its own stacks: a timer of the kernel's sends it the signal for it.

The agent puts the timer off four times a second. Once it can't, since C code holds the GIL, the kernel sends
this process the signal on which `faulthandler` writes its stacks (`inspect.on_signal`), from within the
handler and without the GIL.

`faulthandler.dump_traceback_later` would do the same, but there is one such timer in a process: to set it
takes it from an app, or a test runner, that has set its own, and there is no way to ask. It also starts and
joins a thread each time it is put off. A timer of POSIX is nobody else's, has no thread, and is put off in a
microsecond, without letting go of the GIL.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from typing import Any

from perftui_agent.siblings.pulse import EVERY_NS
from perftui_agent.wire.registration import StacksOnSignal

AFTER_NS = 2_500_000_000
"""After the last sign of life: a sibling looks after two seconds, and its dump is better."""

_SIGEV_THREAD_ID = 4


class _SigEvent(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("rest", ctypes.c_char * 64),
    )


class _TimerSpec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


_NEVER = _TimerSpec(0, 0, 0, 0)

_SPEC = _TimerSpec(0, 0, *divmod(AFTER_NS, 1_000_000_000))


class Alarm:
    """The timer of this process. Belongs to the agent's thread."""

    def __init__(self) -> None:
        self._libc: Any = None
        self._timer: ctypes.c_void_p | None = None
        self._signal = 0
        self._put_off_ns = 0
        self._is_disarmed = False
        self.status = "off: not begun"
        """`on`, or `off: why`."""

    def look_after(self, stacks: StacksOnSignal | None) -> None:
        """See that there is a timer for the signal on which stacks are written, and none without it."""
        number = stacks.signal if stacks is not None else 0
        if number == self._signal:
            return
        self.end()
        if number:
            self._make(number)
        else:
            self.status = "off: there is no signal on which stacks are written"

    def put_off(self, now_ns: int) -> None:
        """Say that all is well."""
        is_due = now_ns - self._put_off_ns >= EVERY_NS
        if is_due and self._timer is not None and not self._is_disarmed:
            self._put_off_ns = now_ns
            self._libc.timer_settime(self._timer, 0, ctypes.byref(_SPEC), None)

    def disarm(self) -> None:
        """Send nothing from now on, whoever puts it off; from any thread, as the process ends."""
        self._is_disarmed = True
        if self._timer is not None:
            self._libc.timer_settime(self._timer, 0, ctypes.byref(_NEVER), None)

    def end(self) -> None:
        """Send nothing any more: before nobody listens to the signal, which would then end the process."""
        if self._timer is not None:
            self._libc.timer_delete(self._timer)
        self.forget()

    def forget(self) -> None:
        """Know of no timer: a forked child has none of its parent's."""
        self._timer, self._signal, self.status = None, 0, "off: ended"

    def _make(self, number: int) -> None:
        self._libc = _libc()
        if self._libc is None:
            self.status = "off: this system has no timers of POSIX"
            return
        # To this thread, which waits for the GIL: a signal interrupts what the app's threads wait in, and
        # `sleep`, `poll` and their like come back early from that.
        timer, event = ctypes.c_void_p(), _SigEvent(None, number, _SIGEV_THREAD_ID, threading.get_native_id())
        if self._libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)) != 0:
            self.status = f"off: {os.strerror(ctypes.get_errno())}"
            return
        self._timer, self._signal, self.status = timer, number, "on"
        self._put_off_ns = 0
        self.put_off(time.monotonic_ns())


def _libc() -> Any:
    """Return the library with the timers; None where there is none."""
    if not sys.platform.startswith("linux") or sys.maxsize < 2**32:
        return None
    for name in (None, "librt.so.1"):  # of a glibc before 2.34
        try:
            # PyDLL, not CDLL: to let go of the GIL for a microsecond may cost 5 ms of waiting for it.
            library = ctypes.PyDLL(name, use_errno=True)
            library.timer_create.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
            library.timer_settime.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
            library.timer_delete.argtypes = (ctypes.c_void_p,)
        except (OSError, AttributeError):
            continue
        return library
    return None
