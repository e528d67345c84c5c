"""A worker that nobody can look at writes its own stacks: a timer of the kernel's sends it the signal for it.

The agent puts the timer off at each of its beats. Once it can't, since C code computes and holds the GIL, the
kernel sends this process the signal on which `faulthandler` writes its stacks (`inspect.on_signal`), from
within the handler and without asking for the GIL.

`faulthandler` reads stacks that may change under it where another thread runs Python, which has ended
processes. So the timer counts the CPU that the process has had, not the time: one that was stopped, starved,
frozen or held up by a disk has had none, and nothing fires as it goes on. And it goes to the thread that has
computed, which holds the GIL: while that writes, no stack can change. C code that holds the GIL and waits is
therefore seen by siblings alone, and by the agent itself once it is over.

From Linux 6.4 on the kernel gives the signal of a process's timer to the thread that runs; before, it would
be the main one, whoever computes. There the main thread's own time is counted, and its alone.

`faulthandler.dump_traceback_later` has one timer for a process: to set it takes it from an app, or a test
runner, that has set its own, and there is no way to ask. It also starts and joins a thread each time it is
put off. A timer of POSIX is nobody else's, has no thread, and is put off in a microsecond, without letting go
of the GIL.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from perftui_agent.wire.registration import StacksOnSignal

AFTER_NS = 1_500_000_000
"""Of CPU: beside other hogs that takes some times as long, and a supervisor does not wait."""

A_CPU_NS = 100_000_000
"""What threads without the GIL may have had of each CPU between two beats, of which the second was late."""

TURNS = 20
"""Of the GIL, for each thread there is: it is handed on at random. Beside 40 that compute the agent's waited
for 1.6 s once in a hundred times, which is eight turns of each."""

REST_S = 0.26
"""How long a beat is put off at most where nothing happens: signs of life are due every 250 ms."""

PUT_OFF_NS = 100_000_000
"""Of CPU: a process that has had less since the last time need not put it off, as an idle one never does."""

LISTENS_EVERY_NS = 250_000_000
"""How often it is asked of the system whether anybody listens to the signal."""

PREFERS_WHO_RUNS = (6, 4)
"""The first Linux that does."""

_SIGEV_SIGNAL, _SIGEV_THREAD_ID = 0, 4


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


class Alarm:
    """The timer of this process. Belongs to the agent's thread."""

    def __init__(self, listens: Callable[[], bool], release: str | None = None) -> None:
        self._listens = listens
        """Tells whether what writes stacks is still the signal's handler."""
        self._prefers_who_runs = version_of(release or platform.release()) >= PREFERS_WHO_RUNS
        self._libc: Any = None
        self._timer: ctypes.c_void_p | None = None
        self._spec = _TimerSpec()
        self._after_ns = AFTER_NS
        self._signal = 0
        self._clock = 0
        self._put_off_ns = 0
        """By that clock."""
        self._asked_ns = 0
        self._is_disarmed = False
        self.status = "off: not begun"
        """`on`, or `off: why`."""

    def look_after(self, stacks: StacksOnSignal | None) -> None:
        """See that there is a timer for the signal on which stacks are written, and none without it."""
        number = stacks.signal if stacks is not None else 0
        if number == self._signal:
            return
        self.end()
        if number and self._listens():
            self._make(number)
        else:
            self.status = "off: there is no signal on which stacks are written"

    def put_off(self, now_ns: int) -> None:
        """Say that all is well; end it where nobody listens to the signal, which then ends the process."""
        if self._timer is None or self._is_disarmed:
            return
        if now_ns - self._asked_ns >= LISTENS_EVERY_NS:
            self._asked_ns = now_ns
            if not self._listens():
                self.end()
                return
        had_ns = time.clock_gettime_ns(self._clock)
        if had_ns - self._put_off_ns >= PUT_OFF_NS:
            self._put_off_ns = had_ns
            after_ns = max(self._after_ns, waits_ns(threading.active_count()))
            self._spec.value_s, self._spec.value_ns = divmod(after_ns, 1_000_000_000)
            self._libc.timer_settime(self._timer, 0, ctypes.byref(self._spec), None)

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
        main = threading.main_thread()
        if self._libc is None or main.ident is None:
            self.status = "off: this system has no timers of POSIX"
            return
        if self._prefers_who_runs:
            # To none that sleeps: a signal wakes it early from `sleep`, `poll` and their like.
            clock, event = time.CLOCK_PROCESS_CPUTIME_ID, _SigEvent(None, number, _SIGEV_SIGNAL)
            self._after_ns = _after_ns(len(os.sched_getaffinity(0)))
        else:
            clock = time.pthread_getcpuclockid(main.ident)
            event = _SigEvent(None, number, _SIGEV_THREAD_ID, main.native_id or os.getpid())
            self._after_ns = AFTER_NS
        timer = ctypes.c_void_p()
        if self._libc.timer_create(clock, ctypes.byref(event), ctypes.byref(timer)) != 0:
            self.status = f"off: {os.strerror(ctypes.get_errno())}"
            return
        self._timer, self._signal, self.status = timer, number, "on"
        self._clock, self._put_off_ns = clock, -PUT_OFF_NS
        self.put_off(time.monotonic_ns())


def rest_s(cpus: int | None = None) -> float:
    """Return how far apart beats may be without the alarm taking threads that need no GIL for a hang."""
    cpus = cpus or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cpus or 1
    return min(REST_S, 0.8 * _after_ns(cpus) / 1e9 / cpus)


def waits_ns(threads: int) -> int:
    """Return how long the agent's thread may wait for the GIL where so many threads hand it on."""
    return int(TURNS * threads * sys.getswitchinterval() * 1e9)


def _after_ns(cpus: int) -> int:
    return max(AFTER_NS, A_CPU_NS * cpus)


def version_of(release: str) -> tuple[int, int]:
    """Return the version of a kernel by its release; (0, 0) if that can't be read."""
    found = re.match(r"(\d{1,6})\.(\d{1,6})", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


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
