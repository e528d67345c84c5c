"""Work that requests have given away: background tasks, jobs of queues and thread pools, tasks that outlive.

A piece of work is written down as a request is, so that whoever asks for whom the running code works gets one
or the other: while the request that gave it is under way, what the work does is the request's; afterwards it
is the work's own, told of with the function that does it and the route that gave it, and no part of the
route's requests. It is known of as it begins, for who counts what runs, and put when it is over.
"""

from __future__ import annotations

import functools
from asyncio import CancelledError
from time import perf_counter_ns
from types import CodeType
from typing import Any, Protocol, TypeAlias

from perftui_agent.records import Labels, RequestRecord, Scope

BACKGROUND, THREAD, TASK = "background", "thread", "task"
"""Kinds of work: a `BackgroundTask`, a job of a thread pool, a task of asyncio's. Queues have their names."""

MAX_RUNNING = 10_000
"""Pieces of work that are known of while they run; of more there is their end alone."""

MAX_UNWRAPPED = 20

SETTLED_NS = 5_000_000
"""So long after its request has left, what goes on outlives it; until then a server may only tidy up."""

Function: TypeAlias = CodeType | str
"""What does the work: the code of a function, or a name where there is none."""


class _NoLabels:
    """Names no route: that of a piece of work is the one of the request that gave it."""

    def label(self, _scope: Scope, _status: int = 0) -> str:
        return ""


_NO_LABELS: Labels = _NoLabels()


class WorkRecord(RequestRecord):
    """One piece of work. Who looks for the running request has to look further: see `whose`."""

    doubted = True
    labels: Labels = _NO_LABELS
    kind: str = ""
    function: Function = ""
    of: RequestRecord | None = None
    """Who gave it, as long as that matters: until it has been answered."""
    given_ns: int = 0
    """When it was given, if it had to wait for its turn."""
    threaded: bool = False
    """Whether it takes a thread of the pool that sync endpoints run in."""
    error: str = ""
    """What it failed with."""
    held_ns: int = 0
    """For how long the response was not over while it ran."""

    @property
    def outlives(self) -> bool:
        """Whether the request that gave it has been answered."""
        return self.of is None or self.of.ended_ns > 0


class Sink(Protocol):
    """Who is told of work: the window."""

    works: dict[int, WorkRecord]

    def put(self, record: WorkRecord) -> None:
        """Take a piece of work that is over."""


def begin(sink: Sink, kind: str, function: Function, of: RequestRecord | None) -> WorkRecord:
    """Return a piece of work that begins now."""
    work = WorkRecord()
    work.ended_ns = work.left_ns = 0
    work.kind, work.function, work.of = kind, function, of
    work.started_ns = perf_counter_ns()
    works = sink.works
    if len(works) < MAX_RUNNING:
        works[id(work)] = work
    return work


def end(sink: Sink, work: WorkRecord, error: BaseException | None = None, *, told: bool = True) -> None:
    """Note that it is over; where it is not to be `told` of, only that it does not run any more."""
    ended_ns = perf_counter_ns()
    settle(work)
    if error is not None and not isinstance(error, CancelledError):
        work.error = type(error).__qualname__
    work.left_ns = work.ended_ns = ended_ns
    sink.works.pop(id(work), None)
    if told:
        sink.put(work)


def goes_on(work: WorkRecord) -> bool:
    """Say whether work went on after its request was answered: for long, or to ask others something."""
    of = work.of
    if of is None or perf_counter_ns() - of.ended_ns >= SETTLED_NS:
        return work.outlives
    return work.outlives and bool(work.parts or work.counted)


def settle(work: WorkRecord) -> None:
    """Take over the route of the request that gave it, once that has been answered, and let go of it."""
    of = work.of
    if of is None:
        return
    if of.ended_ns:
        work.route = of.route
        if work.kind == BACKGROUND and of.ended_ns > work.started_ns:
            work.held_ns = of.ended_ns - work.started_ns
        work.of = None


def function_of(job: Any) -> Function:
    """Return what a job calls, through partials, contexts and decorators."""
    for inside in _unwrapped(job):
        for called in (inside, vars(type(inside)).get("__call__")):
            code = getattr(called, "__code__", None)
            if isinstance(code, CodeType):
                return code
    return str(getattr(job, "__qualname__", None) or type(job).__qualname__)


def _unwrapped(job: Any) -> list[Any]:
    """Return what is inside of a job, the innermost first."""
    inside: list[Any] = [job]
    for _ in range(MAX_UNWRAPPED):
        job = inside[-1]
        if isinstance(job, functools.partial):
            # `Context.run`, by which `asyncio.to_thread` calls what it was given.
            within = job.args[:1] if getattr(job.func, "__name__", "") == "run" and job.args else ()
            inside.append(within[0] if within and callable(within[0]) else job.func)
        elif (wrapped := getattr(job, "__wrapped__", None)) is not None:
            inside.append(wrapped)
        else:
            break
    return inside[::-1]
