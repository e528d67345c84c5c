"""Lists the requests in flight, the oldest first, and says where those that take long wait.

A request knows neither its task nor its line, since keeping them would cost every request. So, when one
is older than a second, the tasks of the app's loop are asked which request they work for, and the await
chain of that request's own task is walked to the app's innermost line. Where the request itself waits
for tasks it made (a TaskGroup, `gather`, a middleware that runs the app in a task), the way leads on
through those; where it waits for a thread, into the stack of that thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from heapq import nsmallest
from time import perf_counter_ns
from types import FrameType
from typing import Any, Protocol, TypeAlias

from perftui_agent.await_chain import chain_of, request_of, route_of
from perftui_agent.foreign_frames import current_frames, locals_of, stack_of
from perftui_agent.places import is_ours, is_router, is_user_code, place_of, short_file
from perftui_agent.probes.http.long_polls import LongPolls
from perftui_agent.probes.http.news import Wait, wait_of, wait_of_thread
from perftui_agent.probes.loop.block import Line, stack_on_loop
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.records import RequestRecord
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.parts import CodePlace
from perftui_agent.wire.requests import InFlight

MAX_ROWS = 50

MAX_HOLDERS = 20
"""Of those rows, for requests that have what others wait for."""

MAX_PATH = 300
"""Characters of a path."""

LONG_NS = 1_000_000_000
"""From this age on it is asked where a request waits."""

MAX_TASKS_OF_ONE = 20
"""Tasks of one request that are followed."""

TASKS_AT_ONCE = 500
"""Tasks asked before the GIL is let go of for a moment: 1 ms."""

REST = 100
"""After asking the tasks, the agent's thread rests a hundred times as long: 1 % of a core at most."""

_WRAPPER = "perftui_agent/probes/http/timing.py"
"""Where the frame of our own is that each request's own task has; those that pass messages on are not it."""

_JOINS = frozenset({"TaskGroup.__aexit__", "_wait", "wait", "wait_for"})
"""Functions that wait for other tasks; with those of Starlette's middleware."""

_MIDDLEWARE = "starlette/middleware/base.py"

_IN_A_THREAD = "run_sync_in_worker_thread"
"""anyio's function that waits for a thread's result, and knows the thread."""


Found: TypeAlias = tuple[CodePlace | None, Wait | None]
"""Where a request waits, and for what, as far as either is known."""

NOTHING: Found = (None, None)


class Requests(Protocol):
    """Who knows the requests in flight: the window."""

    @property
    def in_flight(self) -> list[RequestRecord]:
        """Those that have not ended."""


class Watched(Protocol):
    """Who knows the app's loop: the loop's probe."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The app's loop."""

    @property
    def thread_id(self) -> int | None:
        """The thread that it runs in."""


class InFlightProbe:
    """Reads the requests in flight as a frame closes."""

    name = "in flight"

    def __init__(
        self,
        requests: Requests,
        watched: Watched,
        long_polls: LongPolls | None = None,
        who_holds: Callable[[], Mapping[RequestRecord, str]] = dict,
    ) -> None:
        self._requests = requests
        self._watched = watched
        self._long_polls = long_polls or LongPolls()
        self._who_holds = who_holds
        """Who has what others wait for: where those are is asked, however young they be."""
        self._rested_ns = 0

    def attach(self) -> ProbeStatus:
        """There is nothing to attach to."""
        return ON

    def detach(self) -> None:
        """There is nothing to take back."""

    def fill(self, frame: Frame) -> None:
        """Add the oldest requests in flight; open streams are no part of them."""
        now = perf_counter_ns()
        records = [record for record in self._requests.in_flight if not record.streaming]
        holds = self._who_holds() if records else {}
        oldest = _oldest(records, holds)
        long = [record for record in oldest if record in holds or now - record.arrived_ns >= LONG_NS]
        found: dict[RequestRecord, Found] = {}
        if long and now >= self._rested_ns:
            found = self._found(long)
            waits = {record: wait for record, (_, wait) in found.items() if wait is not None}
            self._long_polls.note(found, waits)
        self._long_polls.mark(frame)
        for record in oldest:
            row = self._row(record, now, *found.get(record, NOTHING), holds.get(record, ""))
            if row is not None:
                frame.in_flight_rows.append(row)

    def _row(
        self, record: RequestRecord, now: int, place: CodePlace | None, wait: Wait | None, holds: str
    ) -> InFlight | None:
        scope = record.scope
        if scope is None:  # it has just ended
            return None
        route, age_ns = route_of(record), max(0, now - record.arrived_ns)
        gives_up_ns = None if wait is None or wait.kind != "news" else _gives_up_ns(wait, record, age_ns)
        return InFlight(
            route=route,
            method=str(scope["method"]),
            path=str(scope["path"])[:MAX_PATH],
            age_ns=age_ns,
            waiting_at=place,
            on_purpose=gives_up_ns is not None or bool(self._long_polls.kind(route)),
            gives_up_ns=gives_up_ns,
            holds=holds,
        )

    def _found(self, records: list[RequestRecord]) -> dict[RequestRecord, Found]:
        """Return where each of them waits, and for what; those without a task of their own are left out."""
        loop = self._watched.loop
        if loop is None:
            return {}
        # Of CPU: where others hold the GIL, the agent's thread waits long and costs little.
        started_ns = time.thread_time_ns()
        tasks = _tasks_of(records, asyncio.all_tasks(loop))
        threads = current_frames()
        found = {record: _waiting_at(own, threads) for record, own in tasks.items() if own}
        running = asyncio.current_task(loop)
        if running is not None and (record := request_of(running)) in found:
            # It waits for nothing: its coroutines are in the stack of the loop's thread.
            line = _users(stack_on_loop(threads.get(self._watched.thread_id or 0), ()))
            found[record] = _place(line) or found[record][0], None
        self._rested_ns = perf_counter_ns() + REST * (time.thread_time_ns() - started_ns)
        return found


def _gives_up_ns(wait: Wait, record: RequestRecord, age_ns: int) -> int | None:
    """Return at which age a request gives up, that waits for news; None if the app has set no time for it."""
    if wait.ends_in_s is not None:
        asked_ns = wait.read_ns - record.arrived_ns if wait.read_ns else age_ns
        return max(0, asked_ns) + int(wait.ends_in_s * 1e9)
    return None if wait.within_s is None else age_ns + int(wait.within_s * 1e9)


def _oldest(records: list[RequestRecord], holds: Mapping[RequestRecord, str]) -> list[RequestRecord]:
    """Return the oldest, among them some of those that have what others wait for."""
    holders = nsmallest(MAX_HOLDERS, (each for each in records if each in holds), key=_arrival)
    others = (each for each in records if each not in holders)
    return sorted([*holders, *nsmallest(MAX_ROWS - len(holders), others, key=_arrival)], key=_arrival)


def _arrival(record: RequestRecord) -> int:
    return record.arrived_ns


def _tasks_of(
    records: list[RequestRecord], tasks: Iterable[asyncio.Task[Any]]
) -> dict[RequestRecord, list[asyncio.Task[Any]]]:
    """Return the tasks that work for each of `records`."""
    found: dict[RequestRecord, list[asyncio.Task[Any]]] = {record: [] for record in records}
    for number, task in enumerate(tasks, 1):
        if number % TASKS_AT_ONCE == 0:
            time.sleep(0.001)
        request = request_of(task)
        if request is not None and request in found and len(found[request]) < MAX_TASKS_OF_ONE:
            found[request].append(task)
    return found


def _waiting_at(tasks: list[asyncio.Task[Any]], threads: dict[int, FrameType]) -> Found:
    """Return the line that a request waits at, whose tasks these are, and what it waits for."""
    chains = {task: chain_of(task) for task in tasks}
    own = next((task for task, (frames, _) in chains.items() if any(map(_is_wrapper, frames))), None)
    best: Line | None = None
    last: list[Line] = []
    way: list[asyncio.Task[Any]] = []
    wait: Wait | None = None
    while own is not None:
        frames, future = chains.pop(own)
        inside = _inside_of_wrapper(frames)
        if not inside:
            break
        way.append(own)
        wait = wait_of_thread(_stack_of_thread(inside[-1], threads))
        last = [(frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno) for frame in reversed(inside)]
        best = _users(_lines_of_thread(inside[-1], threads)) or _users(last) or best
        own = _joined(inside, future, chains)
    place = _place(best or next((line for line in last if not _is_plumbing(line)), None))
    return place, wait or wait_of(way)


def _users(innermost_first: Iterable[Line]) -> Line | None:
    """Return the innermost line of the app's own, but for those that only pass a request on."""
    for line in innermost_first:
        if is_user_code(line[0].co_filename):
            return line
        if is_router(line[0].co_filename):
            break
    return None


def _is_plumbing(line: Line) -> bool:
    """Tell what says nothing of a request: the ways in which asyncio and anyio wait."""
    file = line[0].co_filename
    return short_file(file).startswith(("asyncio/", "anyio/")) or is_ours(file)


def _place(line: Line | None) -> CodePlace | None:
    return None if line is None else place_of(line[0].co_filename, line[1], line[0].co_qualname)


def _joined(
    frames: list[FrameType],
    future: asyncio.Future[Any] | None,
    others: dict[asyncio.Task[Any], tuple[list[FrameType], asyncio.Future[Any] | None]],
) -> asyncio.Task[Any] | None:
    """Return one of the other tasks if the chain waits for them, one in the app's own code if any is."""
    children = getattr(future, "_children", [future])  # of `gather`
    awaited = [task for task in children if task in others]
    innermost = max((at for at, frame in enumerate(frames) if _is_user(frame)), default=-1)
    if not awaited and any(map(_waits_for_tasks, frames[innermost + 1 :])):
        awaited = list(others)
    return next((task for task in awaited if any(map(_is_user, others[task][0]))), None)


def _waits_for_tasks(frame: FrameType) -> bool:
    code = frame.f_code
    return code.co_qualname in _JOINS or code.co_filename.endswith(_MIDDLEWARE)


def _lines_of_thread(frame: FrameType, threads: dict[int, FrameType]) -> list[Line]:
    """Return what the thread is at that this frame of anyio's waits for."""
    innermost = _thread_of(frame, threads)
    return [] if innermost is None else stack_on_loop(innermost, ())


def _stack_of_thread(frame: FrameType, threads: dict[int, FrameType]) -> list[FrameType]:
    return stack_of(_thread_of(frame, threads))


def _thread_of(frame: FrameType, threads: dict[int, FrameType]) -> FrameType | None:
    if frame.f_code.co_name != _IN_A_THREAD:
        return None
    return threads.get(getattr(locals_of(frame).get("worker"), "ident", None) or 0)


def _inside_of_wrapper(frames: list[FrameType]) -> list[FrameType]:
    for at in range(len(frames) - 1, -1, -1):
        if _is_wrapper(frames[at]):
            return frames[at + 1 :]
    return frames


def _is_wrapper(frame: FrameType) -> bool:
    code = frame.f_code
    return code.co_filename.endswith(_WRAPPER) and not code.co_name.startswith("observed_")


def _is_user(frame: FrameType) -> bool:
    return is_user_code(frame.f_code.co_filename)
