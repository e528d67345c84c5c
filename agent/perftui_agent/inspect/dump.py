"""The dump of a worker: the stacks of all its threads at one moment.

Takes a pid, gives a `Dump`, or a `Refusal` that says why there is none. The ladder: py-spy with the
process paused, which is exact; py-spy without the pause where a pause can't be had or would last;
for the agent's own process Python's own view of itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from perftui_agent.inspect.actions import Action, Actions
from perftui_agent.inspect.process_state import (
    ProcessState,
    read_state,
    resume_if_left_stopped,
    threads_in,
)
from perftui_agent.inspect.pyspy import CANNOT_START, PySpy
from perftui_agent.inspect.refusals import refusal_of
from perftui_agent.inspect.source import SourceReader
from perftui_agent.inspect.spy_output import Failure, SpyThread, read_threads
from perftui_agent.inspect.stacks import fitted, kept, own_threads, thread_dumps, wanted_lines
from perftui_agent.inspect.targets import allowed_targets, started_at
from perftui_agent.inspect.text import printable
from perftui_agent.wire.frames import Dump, DumpRequest, Refusal
from perftui_agent.wire.registration import Registration

MAX_ID_CHARACTERS = 200

_RETRY_S = 0.15
"""After this a process that was just starting is Python, and a sibling's dump of it is over."""

_IO_S = 0.02
"""Ordinary I/O is shorter: a thread that is in it before and after hangs."""


class _Seen(NamedTuple):
    """What the ladder came to: threads, or the failure of its last rung."""

    threads: list[SpyThread] | Failure
    unpaused_because: str
    """Why the process was not paused; empty if it was."""
    detail: str


class Inspector:
    """What clients may have done to this worker and its siblings. Belongs to the agent's loop."""

    def __init__(
        self,
        own_pid: int,
        *,
        actions_allowed: bool,
        registrations: Callable[[], Iterable[Registration]],
        actions: Actions | None = None,
        spy: PySpy | None = None,
    ) -> None:
        self._own_pid = own_pid
        self._actions_allowed = actions_allowed
        self._registrations = registrations
        self._actions = actions or Actions()
        self._spy = spy or PySpy()
        self._sources = SourceReader()

    async def dump(self, request: DumpRequest, *, peer: str) -> Dump | Refusal:
        """Return the stacks of this worker, or of the sibling with the pid of `request`.

        `peer` says who asks, for the audit trail: `uid 1000, pid 77`. Never raises an Exception.
        """
        if len(request.id) > MAX_ID_CHARACTERS:
            return Refusal(id=printable(request.id, MAX_ID_CHARACTERS), reason="the request's id is too long")
        if not self._actions_allowed:
            return Refusal(
                id=request.id,
                reason="actions are switched off in this service",
                advice="start it without PERFTUI_ACTIONS=0",
            )
        pid = self._own_pid if request.pid is None else request.pid

        async def do() -> Dump | Refusal:
            if not self._may_inspect(pid):
                return Refusal(
                    id=request.id,
                    reason=f"pid {pid} is no worker of this service that is registered here",
                    advice="perftui ls shows the workers there are",
                )
            return await take_dump(
                request.id,
                pid,
                taken_by=self._own_pid,
                nonblocking=request.nonblocking,
                spy=self._spy,
                sources=self._sources,
            )

        action = Action(request_id=request.id, what=f"dump of pid {pid}", peer=printable(peer, 100))
        return await self._actions.run(action, do)

    def _may_inspect(self, pid: int) -> bool:
        if pid == self._own_pid:
            return True
        try:
            known = list(self._registrations())
        except OSError:  # a runtime directory that can't be trusted, or read, names no siblings
            return False
        own = next((one for one in known if one.worker.pid == self._own_pid), None)
        return own is not None and pid in allowed_targets(own, known)


async def take_dump(
    request_id: str,
    pid: int,
    *,
    taken_by: int,
    nonblocking: bool = False,
    spy: PySpy | None = None,
    sources: SourceReader | None = None,
) -> Dump | Refusal:
    """Return the stacks of `pid`, taken by py-spy or, for this process only, by Python itself.

    Whatever happens, the process isn't left stopped when this returns, raises or is cancelled. Takes
    some 40 ms; two limits of 3 s when py-spy hangs.
    """
    taken_at, began = time.time_ns(), time.monotonic_ns()
    before = read_state(pid)
    if before is None:
        return refusal_of(Failure.GONE, request_id, pid)
    try:
        seen = await _climb(spy or PySpy(), before, nonblocking=nonblocking)
    finally:
        mended = resume_if_left_stopped(before)
    threads, method, note = seen.threads, "py-spy", seen.unpaused_because
    if seen.unpaused_because:
        method = "py-spy --nonblocking"
    if isinstance(threads, Failure):
        refusal = refusal_of(threads, request_id, pid, seen.detail)
        if pid != os.getpid():
            return refusal
        threads, method = own_threads(), "python"
        note = f"seen from inside: {refusal.reason} ({refusal.advice})"
    elif (after := read_state(pid)) is not None and after.started != before.started:
        return refusal_of(Failure.GONE, request_id, pid)
    took_ns = time.monotonic_ns() - began
    stacks = kept(threads)
    lines = await (sources or SourceReader()).read(wanted_lines(stacks), unchanged_since=started_at(pid))
    return fitted(
        Dump(
            id=request_id,
            pid=pid,
            taken_at=taken_at,
            took_ns=took_ns,
            taken_by=taken_by,
            method=method,
            threads=thread_dumps(stacks, lines),
            threads_cut=len(threads) - len(stacks),
            note="; ".join(part for part in (note, mended) if part),
        )
    )


_PAUSE_FAILED = {
    Failure.STOPPED: "not paused: it is stopped already",
    Failure.HELD: "not paused: another tracer holds it",
    Failure.TIMED_OUT: "not paused: a thread of it would not come to a stop",
}
"""What py-spy can do without, if it doesn't pause the process."""


async def _climb(spy: PySpy, before: ProcessState, *, nonblocking: bool) -> _Seen:
    because = "not paused, as asked" if nonblocking else await _why_not_to_pause(before)
    may_retry = True
    while True:
        finished = await spy.dump(before.pid, nonblocking=bool(because))
        threads = read_threads(finished)
        if may_retry and threads in (Failure.NOT_PYTHON, Failure.HELD):
            may_retry = False
            await asyncio.sleep(_RETRY_S)
        elif not because and isinstance(threads, Failure) and threads in _PAUSE_FAILED:
            because = _PAUSE_FAILED[threads]
        else:
            return _Seen(threads, because, _detail(threads, finished.stderr))


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
