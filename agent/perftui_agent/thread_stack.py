"""What a thread of the app is at, seen from another: its lines, its request, the CPU it has taken."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from contextvars import Context
from types import CodeType, FrameType
from typing import TypeAlias

from perftui_agent.foreign_frames import MAX_DEPTH, locals_of, stack_of
from perftui_agent.places import is_ours
from perftui_agent.records import RequestRecord, current_request

_POOL = ("anyio/_backends/_asyncio.py", "concurrent/futures/thread.py")
"""Files of the functions that run a job in a thread of a pool, and know its context."""

Line: TypeAlias = tuple[CodeType, int]


# `PyDLL` keeps the GIL: what is asked is what a thread does while somebody else has that.
_system = ctypes.PyDLL(None)
_system.open.argtypes = [ctypes.c_char_p, ctypes.c_int]
_system.read.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
_system.close.argtypes = [ctypes.c_int]

_STAT_BYTES = 512
_Stat = ctypes.c_char * _STAT_BYTES
"""Made once: each time it would be another type, which is left for the collector."""


def walked(innermost: FrameType | None) -> tuple[tuple[Line, ...], Context | None]:
    """Return the lines of a stack, innermost first, and the context in which a pool's thread runs its job."""
    lines: list[Line] = []
    context: Context | None = None
    for frame in stack_of(innermost, MAX_DEPTH):
        code = frame.f_code
        if not is_ours(code.co_filename):
            lines.append((code, frame.f_lineno or code.co_firstlineno))
        if context is None and code.co_name == "run" and code.co_filename.endswith(_POOL):
            held = locals_of(frame).get("context")
            context = held if isinstance(held, Context) else None
    return tuple(lines), context


def request_in(context: Context | None) -> RequestRecord | None:
    """Return the request that a job in a thread is done for, given its context."""
    return context.get(current_request) if context is not None else None


def cpu_of(native_id: int | None) -> int | None:
    """Return what CPU a thread has taken so far, in ns, by its number; None if the system does not tell."""
    if native_id is None or sys.platform != "linux":
        return None
    try:
        # The kernel's clock of a thread, by its number: of one that has ended it is an error, where
        # `pthread_getcpuclockid` would read what is there no more.
        return time.clock_gettime_ns((~native_id << 3) | 6)
    except OSError:
        return None


def wants_to_run(native_id: int) -> bool | None:
    """Tell whether a thread runs, or would if it got a processor, and does not sleep; 20 µs, None: unknown.

    The GIL is kept meanwhile, so a thread that waits for it sleeps.
    """
    descriptor = _system.open(b"/proc/self/task/%d/stat" % native_id, os.O_RDONLY | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    buffer = _Stat()
    read = _system.read(descriptor, buffer, _STAT_BYTES)
    _system.close(descriptor)
    # The name before it may have anything in it.
    return buffer.raw[: max(read, 0)].rpartition(b")")[2][1:2] == b"R"
