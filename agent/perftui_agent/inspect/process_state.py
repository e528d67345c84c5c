"""How a process and its threads stand, and the way back for one that a tracer left stopped.

Takes a pid, gives what the system says of it now; None where it is gone or hidden. Nothing here
waits on the process: `stat` and `status` need no lock of it, so a thread in uninterruptible I/O
(state D) is told apart instead of joined. `cmdline` and `maps` would wait with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

import msgspec
import psutil

MAX_THREADS_READ = 1000
"""Reading one thread's state takes about 20 µs."""

_STOP = 1 << (signal.SIGSTOP - 1) if hasattr(signal, "SIGSTOP") else 0
"""As the kernel shows it among a thread's pending signals."""

_TRIES = 20
_TRY_S = 0.005


class ProcessState(msgspec.Struct, frozen=True):
    """One process at one moment."""

    pid: int
    letter: str
    """As in `ps`: R, S, D, T (stopped), t (traced), Z."""
    started: float
    """When its life began, in a unit of the system: only good for being compared."""

    @property
    def is_stopped(self) -> bool:
        """Whether someone has sent it SIGSTOP, or ctrl+z."""
        return self.letter == "T"


def read_state(pid: int) -> ProcessState | None:
    """Return how `pid` stands, None if it is gone (a zombie is gone too) or can't be read."""
    if not sys.platform.startswith("linux"):
        return _read_state_elsewhere(pid)
    fields = _stat(f"/proc/{pid}/stat")
    if fields is None or fields[0] in "ZXx":
        return None
    return ProcessState(pid, fields[0], float(fields[19]))


def _read_state_elsewhere(pid: int) -> ProcessState | None:
    try:
        process = psutil.Process(pid)
        status, started = process.status(), process.create_time()
    except (psutil.Error, ValueError):
        return None
    if status == psutil.STATUS_ZOMBIE:
        return None
    return ProcessState(pid, "T" if status == psutil.STATUS_STOPPED else "S", started)


def threads_in(pid: int, letters: str) -> set[int]:
    """Return the threads of `pid` whose state is one of `letters`; Linux only, else none."""
    try:
        tids = os.listdir(f"/proc/{pid}/task")[:MAX_THREADS_READ]
    except OSError:
        return set()
    found = set()
    for tid in tids:
        fields = _stat(f"/proc/{pid}/task/{tid}/stat")
        if fields is not None and fields[0] in letters:
            found.add(int(tid))
    return found


def stopping_in(pid: int) -> set[int]:
    """Return the threads of `pid` that have been sent SIGSTOP and have not stopped yet; Linux only."""
    try:
        tids = os.listdir(f"/proc/{pid}/task")[:MAX_THREADS_READ]
    except OSError:
        return set()
    return {int(tid) for tid in tids if _is_to_stop(f"/proc/{pid}/task/{tid}/status")}


def _is_to_stop(path: str) -> bool:
    """Tell whether a stop is pending, for this thread or for whichever of its process comes first."""
    try:
        with open(path, "rb") as file:
            pending = [line.split()[1] for line in file if line.startswith((b"SigPnd:", b"ShdPnd:"))]
        return any(int(signals, 16) & _STOP for signals in pending)
    except (OSError, ValueError, IndexError):
        return False


def tracer_of(pid: int, tid: int) -> int:
    """Return the pid that traces this thread, 0 if none does."""
    try:
        with open(f"/proc/{pid}/task/{tid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"TracerPid:"):
                    return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return 0


def resume_if_left_stopped(before: ProcessState) -> str:
    """Make sure that the process of `before` isn't left stopped; return what had to be done.

    `before` is how it stood before it was traced; not for one that someone had stopped then. The
    kernel lets a tracer's threads go when the tracer dies, before its parent can reap it; so a
    thread that is still held after 100 ms is held by something else. Another tracer's hold is left
    alone, a stop that nobody holds is ended with SIGCONT. So is one that a thread has yet to obey: to
    stop it has to run, and on a busy machine that takes its time.
    """
    for _ in range(_TRIES):
        now = read_state(before.pid)
        if now is None or now.started != before.started:
            return ""
        held = threads_in(before.pid, "Tt") or ({before.pid} if now.is_stopped else set())
        held = held or stopping_in(before.pid)
        if not held:
            return ""
        time.sleep(_TRY_S)
    if tracer := next((by for tid in sorted(held) if (by := tracer_of(before.pid, tid))), 0):
        return f"pid {before.pid} is held by another tracer, pid {tracer}"
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(before.pid, signal.SIGCONT)
    return f"pid {before.pid} was left stopped: sent SIGCONT"


def _stat(path: str) -> list[str] | None:
    """Return the fields after the name, which may itself hold blanks and brackets."""
    try:
        with open(path, "rb") as file:
            text = file.read(4096).decode("ascii", "replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields if len(fields) > 19 else None
