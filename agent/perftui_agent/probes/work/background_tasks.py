"""Times Starlette's background tasks, each by its function; FastAPI's are the same.

Wrapped is `BackgroundTask.__call__`: a list of them (`BackgroundTasks`) calls it for each. As the response is
over when they run, what they do is theirs. Where a middleware hands the response over only when the app is
done with it, they hold it open: then their time is the client's, and a part of the request.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from types import CodeType
from typing import Any

from perftui_agent.guard import Guard
from perftui_agent.handover import hand_over
from perftui_agent.probes.patches import Patches, bound_first, takes
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.records import RequestRecord, SpanRecord, current_request
from perftui_agent.whose import request_now
from perftui_agent.wire.frames import Frame
from perftui_agent.work import BACKGROUND, Function, Sink, WorkRecord, begin, end, function_of

_MODULE = "starlette.background"


class BackgroundTaskProbe:
    """Wraps the one method."""

    name = "background tasks"

    def __init__(self, sink: Sink, guard: Guard) -> None:
        self._sink = sink
        self._guard = guard
        self._patches = Patches()

    def attach(self) -> ProbeStatus:
        """Wrap it, unless it is."""
        if self._patches:
            return ON
        task = getattr(sys.modules.get(_MODULE), "BackgroundTask", None)
        if task is None:
            return NOT_IMPORTED
        call = vars(task).get("__call__")
        if call is None or not takes(call, 1):
            return "off: a Starlette whose BackgroundTask is called in another way"
        self._patches.replace(task, "__call__", self._timed(call))
        return ON

    def detach(self) -> None:
        """Put the original back."""
        self._patches.take_back()

    def fill(self, _frame: Frame) -> None:
        """Nothing is read: each is told of as it ends."""

    def _timed(self, original: Any) -> Callable[..., Awaitable[None]]:
        patches, call = self._patches, bound_first(original)

        @functools.wraps(original)
        async def timed(task: Any) -> None:
            work = self._begin(task) if patches else None
            if work is None:
                await call(task)
                return
            token = current_request.set(work)
            error: BaseException | None = None
            try:
                await call(task)
            except BaseException as failure:
                error = failure
                raise
            finally:
                current_request.reset(token)
                self._end(work, error)
                error = None

        return timed

    def _begin(self, task: Any) -> WorkRecord | None:
        try:
            request = request_now()
            if request is None:  # not in an app that is watched
                return None
            work = begin(self._sink, BACKGROUND, function_of(task.func), request)
            work.threaded = not task.is_async
        except Exception as fault:  # noqa: BLE001 - a fault of ours costs a count, never a task
            self._guard.fault("probes.background", fault)
            return None
        return work

    def _end(self, work: WorkRecord, error: BaseException | None) -> None:
        try:
            of = work.of
            if of is not None and not of.ended_ns:
                _hold(of, work)
            end(self._sink, work, error)
        except Exception as fault:  # noqa: BLE001 - as above
            self._guard.fault("probes.background", fault)


def _hold(request: RequestRecord, work: WorkRecord) -> None:
    """Tell a request that is not over what has held it."""
    until_ns = perf_counter_ns()
    work.held_ns = until_ns - work.started_ns
    hand_over(request, SpanRecord(None, "background", _name_of(work.function), work.started_ns, until_ns))


def _name_of(function: Function) -> str:
    return function.co_qualname if isinstance(function, CodeType) else function
