"""The ladder of ways to see a process's stacks: the exact one first, then what can still be had.

py-spy with the process paused is exact. py-spy without the pause is for a process that can't be
paused, or whose pause would last. A rung that failed for a passing reason is tried once more.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from perftui_agent.inspect.process_state import ProcessState, resume_if_left_stopped, threads_in
from perftui_agent.inspect.pyspy import CANNOT_START, PySpy
from perftui_agent.inspect.spy_output import Failure, SpyThread, read_threads
from perftui_agent.inspect.text import printable

_RETRY_S = 0.15
"""After this a process that was just starting is Python, and a sibling's dump of it is over."""

_IO_S = 0.02
"""Ordinary I/O is shorter: a thread that is in it before and after hangs."""

_PAUSE_FAILED = {
    Failure.STOPPED: "not paused: it is stopped already",
    Failure.HELD: "not paused: another tracer holds it",
    Failure.TIMED_OUT: "not paused: a thread of it would not come to a stop",
}
"""What py-spy can do without, if it doesn't pause the process."""


class Seen(NamedTuple):
    """What the ladder came to: threads, or the failure of its last rung."""

    threads: list[SpyThread] | Failure
    unpaused_because: str
    """Why the process was not paused; empty if it was."""
    detail: str
    """What py-spy itself said, where our own words for it would hide the cause."""
    mended: str
    """What had to be done so that the process was not left stopped."""


async def climb(spy: PySpy, before: ProcessState, *, nonblocking: bool) -> Seen:
    """Return the threads of the process of `before`, or why they can't be seen from outside.

    Whatever happens, the process isn't left stopped when this returns, raises or is cancelled, unless
    someone else had stopped it.
    """
    because = "not paused, as asked" if nonblocking else await _why_not_to_pause(before)
    may_retry, is_others_stop = True, before.is_stopped
    try:
        while True:
            finished = await spy.dump(before.pid, nonblocking=bool(because))
            threads = read_threads(finished)
            # py-spy 0.4.3 pauses without SIGSTOP (it seizes), so a stop that it meets is not its own.
            is_others_stop = is_others_stop or threads is Failure.STOPPED
            if may_retry and threads in (Failure.NOT_PYTHON, Failure.HELD):
                may_retry = False
                await asyncio.sleep(_RETRY_S)
            elif not because and isinstance(threads, Failure) and threads in _PAUSE_FAILED:
                because = _PAUSE_FAILED[threads]
            else:
                break
    finally:
        mended = "" if is_others_stop else resume_if_left_stopped(before)
    return Seen(threads, because, _detail(threads, finished.stderr), mended)


async def _why_not_to_pause(before: ProcessState) -> str:
    """Return why this process should be left running, empty if a pause is short and harmless."""
    if before.is_stopped:
        return _PAUSE_FAILED[Failure.STOPPED]
    if hanging := threads_in(before.pid, "D"):
        await asyncio.sleep(_IO_S)
        if hanging := hanging & threads_in(before.pid, "D"):
            # A pause would last as long as its I/O: threads are stopped one after the other.
            return f"not paused: thread {min(hanging)} is in I/O that can't be interrupted"
    return ""


def _detail(threads: list[SpyThread] | Failure, stderr: str) -> str:
    """Return what py-spy itself said, where our own words for it would hide the cause."""
    line = printable(stderr.strip().partition("\n")[0], 200)
    if threads is Failure.NOT_STARTED:
        return line.removeprefix(CANNOT_START)
    return line if threads is Failure.UNREADABLE else ""
