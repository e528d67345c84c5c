"""One request that is measured: each stretch that its tasks and its jobs in threads run, and nothing else.

A request on a loop runs in steps, from one wait to the next, and others run in between. So what is measured
is not from its beginning to its end, but each step of its coroutine: the meter of the thread is started as
the step begins and stopped as it ends, also when that is an exception or a cancellation. Its values,
exceptions, tracebacks and context variables are what they would be without.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from time import perf_counter_ns
from types import AsyncGeneratorType, CodeType, CoroutineType, GeneratorType, TracebackType
from typing import Any

from perftui_agent.guard import Guard
from perftui_agent.inspect.meters import Meter, is_ours, new_meter, who_measures
from perftui_agent.records import RequestRecord, current_request

MOST_METERS = 200
"""Of one request: so many of its jobs may run in threads at once."""

MOST_LINKS = 200
"""Coroutines that wait for each other."""

_AWAITABLES = (CoroutineType, GeneratorType, AsyncGeneratorType)


class Run:
    """A request, and what has been measured of it. Written to on the app's threads, read when it is over."""

    def __init__(self, record: RequestRecord, guard: Guard) -> None:
        self.record = record
        self.over = False
        self.disturbed = False
        """Whether somebody else measures, or has begun to."""
        self.meters: list[Meter] = []
        self.resumed: Counter[CodeType] = Counter()
        """How often each coroutine has gone on after a wait: for a profiler that is one call more."""
        self.resumed_from: Counter[tuple[CodeType, CodeType]] = Counter()
        self.loop_ns = 0
        self.in_threads_ns: list[int] = []
        """Of each job: several may end at once."""
        self._idle: list[Meter] = []
        self._guard = guard

    def enter(self) -> Meter | None:
        """Start a meter in this thread; None if there is one at work, or nothing is to be measured."""
        try:
            if self.over:
                return None
            there = who_measures()
            if there is not None:
                self.disturbed = self.disturbed or not is_ours(there)
                return None
            meter = self._a_meter()
            if meter is None:
                return None
            # Whoever says that it is over looks afterwards who is inside.
            meter.inside = True
            if self._is_over():
                meter.inside = False
                return None
            meter.start()
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a response
            self._guard.fault("functions", error)
            return None
        return meter

    def leave(self, meter: Meter) -> None:
        """Stop the meter that `enter` has started."""
        try:
            if meter.stop():
                self._idle.append(meter)
            else:
                self.disturbed = True
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("functions", error)
        meter.inside = False

    def _is_over(self) -> bool:
        return self.over

    def _a_meter(self) -> Meter | None:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        if len(self.meters) >= MOST_METERS:
            return None
        meter = new_meter()
        self.meters.append(meter)
        return meter


class Steps:
    """A coroutine of a request, which it stands for: to `await`, to a task, and to who looks at it."""

    __slots__ = ("__weakref__", "_ends", "_inner", "_run", "_waits")

    def __init__(self, inner: CoroutineType[Any, Any, Any], run: Run, *, ends: bool) -> None:
        self._inner = inner
        self._run = run
        self._ends = ends
        """Whether the request is over with it."""
        self._waits: list[CodeType] = []
        """The coroutines that wait in it, outermost first."""

    def __getattr__(self, name: str) -> Any:
        """Return what somebody asks of a coroutine: where it is, what it waits for, what it is called."""
        return getattr(self._inner, name)

    def __repr__(self) -> str:
        return repr(self._inner)

    def __await__(self) -> Steps:
        return self

    def __iter__(self) -> Steps:
        return self

    def send(self, value: Any = None) -> Any:
        """Let it go on to its next wait."""
        meter, began_ns = self._enter(), perf_counter_ns()
        try:
            waits_for = self._inner.send(value)
        except BaseException as error:
            self._left(meter, began_ns, ended=True)
            error.__traceback__ = _without_this_frame(error.__traceback__)
            raise
        self._left(meter, began_ns, ended=False)
        return waits_for

    __next__ = send

    def throw(self, *error_: Any) -> Any:
        """Let it go on with an exception."""
        meter, began_ns = self._enter(), perf_counter_ns()
        try:
            waits_for = self._inner.throw(*error_)
        except BaseException as error:
            self._left(meter, began_ns, ended=True)
            error.__traceback__ = _without_this_frame(error.__traceback__)
            raise
        self._left(meter, began_ns, ended=False)
        return waits_for

    def close(self) -> None:
        """End it."""
        try:
            self._inner.close()
        finally:
            self._run.over = self._run.over or self._ends

    def _enter(self) -> Meter | None:
        # A server may have the next request of a connection begin in the context of the one before.
        run = self._run
        return run.enter() if current_request.get() is run.record else None

    def _left(self, meter: Meter | None, began_ns: int, *, ended: bool) -> None:
        run = self._run
        if meter is not None:
            run.leave(meter)
            run.loop_ns += perf_counter_ns() - began_ns
            for code in self._waits:
                run.resumed[code] += 1
            for pair in zip(self._waits, self._waits[1:], strict=False):
                run.resumed_from[pair] += 1
        if ended:
            run.over = run.over or self._ends
            self._waits = []
        elif not run.over:
            self._waits = list(_waiting(self._inner))


class Job:
    """A function that a thread calls for a request."""

    __slots__ = ("_function", "_run")

    def __init__(self, function: Callable[..., Any], run: Run) -> None:
        self._function = function
        self._run = run

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it, measured."""
        run = self._run
        meter, began_ns = run.enter(), perf_counter_ns()
        try:
            return self._function(*args, **kwargs)
        except BaseException as error:
            error.__traceback__ = _without_this_frame(error.__traceback__)
            raise
        finally:
            if meter is not None:
                run.leave(meter)
                run.in_threads_ns.append(perf_counter_ns() - began_ns)

    def __getattr__(self, name: str) -> Any:
        """Return what somebody asks of the function."""
        return getattr(self._function, name)

    def __repr__(self) -> str:
        return repr(self._function)


def _without_this_frame(traceback: TracebackType | None) -> TracebackType | None:
    """Return what a traceback would be if our frame, which it begins with, were not there."""
    return traceback.tb_next if traceback is not None else None


def _waiting(link: object) -> Iterator[CodeType]:
    """Yield the code of the coroutines and generators that wait in each other."""
    for _ in range(MOST_LINKS):
        if isinstance(link, CoroutineType):
            yield link.cr_code
            link = link.cr_await
        elif isinstance(link, GeneratorType):
            yield link.gi_code
            link = link.gi_yieldfrom
        elif isinstance(link, AsyncGeneratorType):
            yield link.ag_code
            link = link.ag_await
        elif link is None or asyncio.isfuture(link):
            return
        else:
            # What is written in C (`anext`, `__await__`) shows what it holds to the collector alone.
            link = next((each for each in gc.get_referents(link) if isinstance(each, _AWAITABLES)), None)
