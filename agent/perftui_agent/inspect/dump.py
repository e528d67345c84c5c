"""The dump of a worker: the stacks of all its threads at one moment.

Takes a pid, gives a `Dump`, or a `Refusal` that says why there is none. py-spy takes it. Where py-spy
can't be used, the agent's own process can still be seen from inside, and another one writes its stacks
itself when it gets the signal that its registration names.
"""

from __future__ import annotations

import os
import time

import msgspec

from perftui_agent.inspect.insight import Inside, Insight
from perftui_agent.inspect.ladder import climb
from perftui_agent.inspect.process_state import ProcessState, read_state
from perftui_agent.inspect.pyspy import PySpy
from perftui_agent.inspect.refusals import refusal_of
from perftui_agent.inspect.source import SourceReader
from perftui_agent.inspect.spy_output import Failure, SpyThread
from perftui_agent.inspect.stacks import (
    fitted,
    kept,
    own_threads,
    signalled_threads,
    thread_dumps,
    wanted_lines,
)
from perftui_agent.inspect.targets import started_at
from perftui_agent.inspect.text import printable
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.registration import Registration
from perftui_agent.wire.stacks_on_signal import FAULTHANDLER, NotWrittenError, limits_of, written_stacks

_NO_SIGNAL = frozenset({Failure.GONE, Failure.STOPPED})
"""What a signal is no answer to: one that is stopped would write when somebody lets it go on."""


async def take_dump(
    request_id: str,
    pid: int,
    *,
    taken_by: int,
    nonblocking: bool = False,
    spy: PySpy | None = None,
    sources: SourceReader | None = None,
    registration: Registration | None = None,
    inside: Inside | None = None,
    locals_of: str = "",
) -> Dump | Refusal:
    """Return the stacks of `pid`, by the highest rung that holds.

    That is py-spy; for this process Python itself; and for another one, by its `registration`, what it
    writes on a signal. `inside` looks at this process, if it is the one: for the requests and the tasks.
    Whatever happens, the process isn't left stopped when this returns, raises or is cancelled. Takes some
    40 ms; two limits of 3 s when py-spy hangs.
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
        lower = await _without_py_spy(pid, threads, refusal, registration)
        if isinstance(lower, Refusal):
            return lower
        method, threads, notes = lower
    took_ns = time.monotonic_ns() - began
    stacks = kept(threads)
    insight = await inside.look() if inside is not None else Insight()
    wanted = wanted_lines([*(each.frames for each in stacks), *(frames for _, frames, _ in insight.stacks)])
    lines = await (sources or SourceReader()).read(wanted, unchanged_since=started_at(pid))
    tasks = inside.told_tasks(insight, lines) if inside is not None else None
    no_loop = "no loop of asyncio's is known, so no tasks are told" if inside and tasks is None else ""
    count = insight.tasks.count if insight.tasks is not None else 0
    dump = Dump(
        id=request_id,
        pid=pid,
        taken_at=taken_at,
        took_ns=took_ns,
        taken_by=taken_by,
        method=method,
        threads=thread_dumps(stacks, lines, insight.services),
        threads_cut=len(threads) - len(stacks),
        note="; ".join(note for note in (*notes, seen.mended, no_loop) if note),
        tasks=tasks,
        tasks_count=count,
        tasks_cut=count - sum(each.count for each in tasks or ()),
        tasks_of_agent=insight.tasks.of_the_agent if insight.tasks is not None else 0,
        locals_of=printable(locals_of, 200),
        locals=insight.locals,
        locals_cut=insight.locals_cut,
    )
    return fitted(dump)


async def _without_py_spy(
    pid: int, failure: Failure, refusal: Refusal, registration: Registration | None
) -> tuple[str, list[SpyThread], list[str]] | Refusal:
    """Return what can be had all the same: how, the threads, and what one must know of it."""
    why = f"{refusal.reason} ({refusal.advice})"
    if pid == os.getpid():
        return "python", own_threads(), [f"seen from inside: {why}"]
    if registration is None or failure in _NO_SIGNAL:
        return refusal
    try:
        written = await written_stacks(registration)
    except NotWrittenError as error:
        return msgspec.structs.replace(refusal, reason=f"{refusal.reason}; by a signal: {error}")
    return FAULTHANDLER, signalled_threads(pid, written), [f"written on a signal: {why}", *limits_of(written)]


def _still(before: ProcessState, threads: list[SpyThread] | Failure) -> list[SpyThread] | Failure:
    """Return `threads`, unless the pid went to another process while they were read."""
    after = read_state(before.pid)
    return Failure.GONE if after is not None and after.started != before.started else threads
