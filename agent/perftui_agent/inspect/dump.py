"""The dump of a worker: the stacks of all its threads at one moment.

Takes a pid, gives a `Dump`, or a `Refusal` that says why there is none. py-spy takes
it; where py-spy can't be used, the agent's own process can still be seen from inside.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from perftui_agent.inspect.actions import Action, Actions
from perftui_agent.inspect.ladder import climb
from perftui_agent.inspect.process_state import ProcessState, read_state
from perftui_agent.inspect.pyspy import PySpy
from perftui_agent.inspect.refusals import refusal_of
from perftui_agent.inspect.source import SourceReader
from perftui_agent.inspect.spy_output import Failure, SpyThread
from perftui_agent.inspect.stacks import fitted, kept, own_threads, thread_dumps, wanted_lines
from perftui_agent.inspect.targets import allowed_targets, started_at
from perftui_agent.inspect.text import printable
from perftui_agent.wire.frames import Dump, DumpRequest, Refusal
from perftui_agent.wire.registration import Registration

MAX_ID_CHARACTERS = 200


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
        pid = self._own_pid if request.pid is None else request.pid
        action = Action(request_id=request.id, what=f"dump of pid {pid}", peer=printable(peer, 100))
        if not self._actions_allowed:
            advice = "start it without PERFTUI_ACTIONS=0"
            return self._actions.refuse(action, "actions are switched off in this service", advice)

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
    seen = await climb(spy or PySpy(), before, nonblocking=nonblocking)
    method, notes = "py-spy --nonblocking" if seen.unpaused_because else "py-spy", [seen.unpaused_because]
    threads = _still(before, seen.threads)
    if isinstance(threads, Failure):
        refusal = refusal_of(threads, request_id, pid, seen.detail)
        if pid != os.getpid():
            return refusal
        threads = own_threads()
        method, notes = "python", [f"seen from inside: {refusal.reason} ({refusal.advice})"]
    took_ns = time.monotonic_ns() - began
    stacks = kept(threads)
    lines = await (sources or SourceReader()).read(wanted_lines(stacks), unchanged_since=started_at(pid))
    dump = Dump(
        id=request_id,
        pid=pid,
        taken_at=taken_at,
        took_ns=took_ns,
        taken_by=taken_by,
        method=method,
        threads=thread_dumps(stacks, lines),
        threads_cut=len(threads) - len(stacks),
        note="; ".join(note for note in (*notes, seen.mended) if note),
    )
    return fitted(dump)


def _still(before: ProcessState, threads: list[SpyThread] | Failure) -> list[SpyThread] | Failure:
    """Return `threads`, unless the pid went to another process while they were read."""
    after = read_state(before.pid)
    return Failure.GONE if after is not None and after.started != before.started else threads
