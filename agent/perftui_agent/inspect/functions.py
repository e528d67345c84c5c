"""The functions profile of a route: what its next requests call in this worker, and how long that takes.

Takes a request, gives `Functions`, or a `Refusal` that says why there are none. Only requests of that route
are measured, and only while they run: see `stepping`. They are some times slower for it, others are not.
Where somebody else measures already, the app's own profiler or a debugger, that is left alone, and there are
none.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from types import CoroutineType
from typing import Any, NamedTuple, Protocol, TypeVar

from perftui_agent.guard import Guard
from perftui_agent.inspect.called import added_up, told
from perftui_agent.inspect.meters import others_measure
from perftui_agent.inspect.profile import Tell
from perftui_agent.inspect.stepping import Job, Run, Steps
from perftui_agent.inspect.text import printable
from perftui_agent.records import RequestRecord
from perftui_agent.wire.actions import (
    LONGEST_WAIT_S,
    MOST_REQUESTS,
    Functions,
    FunctionsRequest,
    Progress,
)
from perftui_agent.wire.dumps import Refusal

Answer = TypeVar("Answer")

LOOK_EVERY_S = 0.05

TELL_EVERY_S = 1.0

ANSWERS_S = 1.0
"""How long the app's loop may take to answer; blocked, it is looked at later."""

INSIDE_S = 1.0
"""How long a step that is under way at the end may still take to be counted."""

_NEAR, _NEAR_ENOUGH = 3, 0.4

_SERVES = "run_asgi"
"""uvicorn's coroutine of a request: one made within another is the next of its connection."""


class Follower(Protocol):
    """Who is around what runs for some requests."""

    def request(self, record: RequestRecord, coroutine: Any) -> Any:
        """Return what is awaited for a request that begins."""

    def task(self, record: RequestRecord, coroutine: Any) -> Any:
        """Return the same for a task that is made for a request."""

    def job(self, record: RequestRecord, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return what is called in a thread for a request."""


class Traffic(NamedTuple):
    """How the requests of this process are got at."""

    follow: Callable[[Follower], AbstractContextManager[None]]
    """Leads them past a follower meanwhile."""
    serves: Callable[[str], bool | None]
    """Tells whether there is a route; None if that is not known yet …"""
    walk: Callable[[], None]
    """… which this mends, where it can be, on the app's loop: an app that is part of another, or that nobody
    has asked yet, has not shown its routes."""
    routes: Callable[[], Iterable[str]]
    """Returns those there are."""
    loop: Callable[[], asyncio.AbstractEventLoop | None]
    """Returns the loop that they run on."""


async def take_functions(
    request: FunctionsRequest,
    pid: int,
    *,
    traffic: Traffic | None,
    guard: Guard,
    tell: Tell,
    finish: asyncio.Event,
) -> Functions | Refusal:
    """Return what the next requests of a route call; nothing measures when this returns or is cancelled."""
    if pid != os.getpid() or traffic is None:
        reason = f"only worker {pid} itself can measure its requests, and it does not answer"
        return Refusal(id=request.id, reason=reason, advice=f"dump it: perftui dump --worker {pid}")
    loop = traffic.loop()
    if traffic.serves(request.route) is None:
        await _on(loop, traffic.walk, guard)
    if traffic.serves(request.route) is False:
        return _unknown(request, traffic)
    if other := await _on(loop, others_measure, guard):
        return _disturbed(request, other)
    asked = min(max(request.requests, 1), MOST_REQUESTS)
    for_s = min(max(request.for_s, 1.0), LONGEST_WAIT_S)
    taken_at, began = time.time_ns(), time.monotonic()
    measured = _Measured(request.route, asked, guard)
    try:
        with traffic.follow(measured):
            await measured.wait(request.id, began + for_s, tell, finish)
        unfinished = await measured.end()
        note, refusal = _judged(request, measured, unfinished, traffic, for_s, finish)
        if refusal is not None:
            return refusal
        whole = list(measured.whole or unfinished)
        # Adding up is Python's work for some milliseconds: others get turns beside a thread.
        functions = await asyncio.to_thread(added_up, whole)
    finally:
        measured.let_go()
    called, calls, cut = told(functions)
    now_ns = time.perf_counter_ns()
    return Functions(
        id=request.id,
        pid=pid,
        taken_at=taken_at,
        took_ns=int((time.monotonic() - began) * 1e9),
        route=printable(request.route, 300),
        requests=len(whole),
        asked=asked,
        elapsed_ns=sum((run.record.left_ns or now_ns) - run.record.started_ns for run in whole),
        loop_ns=sum(run.loop_ns for run in whole),
        threads_ns=sum(sum(run.in_threads_ns) for run in whole),
        functions=called,
        calls=calls,
        functions_cut=cut,
        note=note,
    )


class _Measured:
    """The requests that are measured; it is asked on the app's threads, and looked at on the agent's."""

    def __init__(self, route: str, asked: int, guard: Guard) -> None:
        self._route = route
        self._asked = asked
        self._guard = guard
        method, _, template = route.partition(" ")
        self._method = "" if method.startswith("_") else method
        # What a path has in common with all of its route: much cheaper to ask than the route itself.
        fixed, parameter, _ = template.partition("{")
        self._fixed = "" if template.startswith("(") else fixed
        self._ends = not parameter
        self._open = True
        self._runs: dict[RequestRecord, Run] = {}
        self.whole: list[Run] = []

    def request(self, record: RequestRecord, coroutine: Any) -> Any:
        """Return the coroutine of a request, in steps if it is one of those."""
        scope = record.scope
        if not self._open or scope is None or (self._method and scope["method"] != self._method):
            return coroutine
        path: str = scope["path"]
        if not (path.endswith(self._fixed) if self._ends else self._fixed in path):
            return coroutine
        if len(self._runs) >= self._asked or record in self._runs:
            return coroutine
        if not isinstance(coroutine, CoroutineType) or record.labels.label(scope) != self._route:
            return coroutine
        run = self._runs[record] = Run(record, self._guard)
        return Steps(coroutine, run, ends=True)

    def task(self, record: RequestRecord, coroutine: Any) -> Any:
        """Return the coroutine of a task, in steps if a request of those has made it."""
        run = self._runs.get(record)
        if run is None or run.over or not isinstance(coroutine, CoroutineType):
            return coroutine
        return coroutine if coroutine.__name__ == _SERVES else Steps(coroutine, run, ends=False)

    def job(self, record: RequestRecord, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function for a thread, measured if a request of those has it called."""
        run = self._runs.get(record)
        # One that is on its way through a pool of the loop's and one of the agent's own comes by twice.
        if run is None or run.over or isinstance(function, Job):
            return function
        return Job(function, run)

    @property
    def disturbed(self) -> bool:
        """Whether somebody else has begun to measure."""
        return any(run.disturbed for run in list(self._runs.values()))

    async def wait(self, request_id: str, until: float, tell: Tell, finish: asyncio.Event) -> None:
        """Wait until there are enough, and tell how many there are."""
        told_at = 0.0
        while not finish.is_set() and not self.disturbed and (left_s := until - time.monotonic()) > 0:
            before = len(self.whole)
            self._sort_out()
            if len(self.whole) >= self._asked:
                return
            if len(self.whole) > before or time.monotonic() - told_at >= TELL_EVERY_S:
                told_at = time.monotonic()
                text = f"{len(self.whole)} of {self._asked} requests"
                await tell(Progress(id=request_id, done=len(self.whole) / self._asked, text=text))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(finish.wait(), min(left_s, LOOK_EVERY_S))

    async def end(self) -> list[Run]:
        """Measure nothing any more; return the requests that go on."""
        self._open = False
        self._sort_out()
        runs = list(self._runs.values())
        for run in runs:
            run.over = True
        inside = [meter for run in runs for meter in run.meters]
        until = time.monotonic() + INSIDE_S
        while any(meter.inside for meter in inside) and time.monotonic() < until:  # noqa: ASYNC110 - threads
            await asyncio.sleep(0.005)
        return [run for run in runs if run not in self.whole and run.meters]

    def let_go(self) -> None:
        """Forget everything, on the agent's thread."""
        self._open = False
        for run in list(self._runs.values()):
            run.over = True
            for meter in run.meters:
                if not meter.inside:
                    meter.let_go()
        self._runs.clear()
        self.whole.clear()

    def _sort_out(self) -> None:
        """Take those that have ended, and leave out what turned out to be another route."""
        for record, run in list(self._runs.items()):
            if not record.left_ns or run in self.whole:
                continue
            run.over = True
            if record.route == self._route:
                self.whole.append(run)
            else:
                del self._runs[record]


async def _on(
    loop: asyncio.AbstractEventLoop | None, ask: Callable[[], Answer], guard: Guard
) -> Answer | None:
    """Return what the app's loop answers; None where there is none, and where it does not answer soon."""
    if loop is None:
        return None
    here = asyncio.get_running_loop()
    answer: asyncio.Future[Answer | None] = here.create_future()

    def told(what: Answer | None) -> None:
        if not answer.done():
            answer.set_result(what)

    def asked() -> None:
        what = None
        with guard.guarding("functions"):
            what = ask()
        with contextlib.suppress(RuntimeError):  # the agent is gone
            here.call_soon_threadsafe(told, what)

    try:
        loop.call_soon_threadsafe(asked)
        return await asyncio.wait_for(answer, ANSWERS_S)
    except (RuntimeError, TimeoutError):  # closed, or blocked
        return None


def _judged(
    request: FunctionsRequest,
    measured: _Measured,
    unfinished: Sequence[Run],
    traffic: Traffic,
    for_s: float,
    finish: asyncio.Event,
) -> tuple[str, Refusal | None]:
    """Return what has to be said of the measurement, or why there is none."""
    number, asked = len(measured.whole), min(max(request.requests, 1), MOST_REQUESTS)
    if measured.disturbed:
        return "", _disturbed(request, "one that was switched on meanwhile")
    if number >= asked:
        return "", None
    over = "ended early" if finish.is_set() else f"{for_s:g} s are over"
    if number:
        return f"{over}: {number} of {asked} requests were measured", None
    if unfinished:
        return f"{over}: {len(unfinished)} measured that had not ended, as far as they had come", None
    if traffic.serves(request.route) is False:
        return "", _unknown(request, traffic)
    reason = f"no request of {request.route} came to this worker" + (
        "" if finish.is_set() else f" within {for_s:g} s"
    )
    advice = "send some, wait longer (--for 5m), or ask another worker (--worker PID)"
    return "", Refusal(id=request.id, reason=printable(reason, 400), advice=advice)


def _unknown(request: FunctionsRequest, traffic: Traffic) -> Refusal:
    routes = sorted(set(traffic.routes()))
    near = difflib.get_close_matches(request.route, routes, _NEAR, _NEAR_ENOUGH) or routes[:_NEAR]
    return Refusal(
        id=request.id,
        reason=printable(f"this worker has no route {request.route}", 400),
        advice=printable(f"there are: {', '.join(near)}" if near else "it has none at all", 1_000),
    )


def _disturbed(request: FunctionsRequest, other: str) -> Refusal:
    return Refusal(
        id=request.id,
        reason=printable(
            f"another profiler is on in this worker ({other}): it would be put out by this one", 400
        ),
        advice="switch it off and ask again, or sample instead: perftui profile --route",
    )
