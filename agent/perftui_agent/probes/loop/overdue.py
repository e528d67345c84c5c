"""Wakes the agent's thread when a tick of the app's loop is overdue, and not before.

To look twenty times a second whether the loop turns was most of what an idle agent cost: each look wakes a
thread and finds its code in cold caches. So each tick puts off a timer of the kernel's, 1 µs on the app's
thread, and as long as they come in time nobody wakes. The timer is a file, which the agent's thread waits for
along with all else. On Linux; elsewhere there is none, and the agent looks at every beat.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from time import perf_counter_ns
from typing import Any

_ABSOLUTE = 1


class _Spec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class OverdueTimer:
    """The timer of one life of the agent's thread.

    Opened, set and closed by that; put off by the app's, under the GIL. What else may have its number, should
    it be closed at that very moment, is no timer, and the system sets it to nothing.
    """

    def __init__(self, after_ns: int) -> None:
        self.after_ns = after_ns
        """How long a tick is overdue before anybody wakes."""
        self.file: int | None = None
        """None where there is none."""
        self._by_ticks, self._by_us, self._never = _Spec(), _Spec(), _Spec()
        self._set: Any = None
        self._due_ns = 0
        """The tick that it has been set for; 0 for none."""

    def open(self) -> int | None:
        """Open it; return its descriptor, or None if this system has no such thing."""
        if not sys.platform.startswith("linux") or sys.maxsize < 2**32:
            return None
        try:
            # PyDLL, not CDLL: neither waits for anything, and to let go of the GIL may cost 5 ms.
            libc = ctypes.PyDLL(None, use_errno=True)
            create, self._set = libc.timerfd_create, libc.timerfd_settime
        except (OSError, AttributeError):
            return None
        self._set.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        file = create(time.CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK)
        self.file = file if file >= 0 else None
        return self.file

    def put_off(self, due_ns: int) -> None:
        """Have it wake the agent's thread if a tick that is due then, by `perf_counter_ns`, does not come."""
        self._set_to(self._by_ticks, due_ns)
        self._due_ns = due_ns

    def has_woken(self, due_ns: int) -> None:
        """Be still until the next tick; one that is not overdue yet is waited for all the same."""
        file = self.file
        if due_ns + self.after_ns > perf_counter_ns():
            if self._due_ns != due_ns:
                self._set_to(self._by_us, due_ns)
                self._due_ns = due_ns
        elif file is not None:
            self._due_ns = 0
            self._set(file, _ABSOLUTE, ctypes.byref(self._never), None)

    def _set_to(self, spec: _Spec, due_ns: int) -> None:
        file = self.file
        if file is not None:
            spec.value_s, spec.value_ns = divmod(due_ns + self.after_ns, 1_000_000_000)
            self._set(file, _ABSOLUTE, ctypes.byref(spec), None)

    def close(self) -> None:
        """Close it; in a forked child as well, which has its parent's."""
        file, self.file = self.file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)
