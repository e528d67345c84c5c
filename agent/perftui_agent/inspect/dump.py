"""The dump of a worker: the stacks of all its threads at one moment.

Takes a pid, gives a `Dump`, or a `Refusal` that says why there is none. py-spy takes
it; where py-spy can't be used, the agent's own process can still be seen from inside.
"""

from __future__ import annotations

import os
import time

from perftui_agent.inspect.ladder import climb
from perftui_agent.inspect.process_state import ProcessState, read_state
from perftui_agent.inspect.pyspy import PySpy
from perftui_agent.inspect.refusals import refusal_of
from perftui_agent.inspect.source import SourceReader
from perftui_agent.inspect.spy_output import Failure, SpyThread
from perftui_agent.inspect.stacks import fitted, kept, own_threads, thread_dumps, wanted_lines
from perftui_agent.inspect.targets import started_at
from perftui_agent.wire.frames import Dump, Refusal


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
