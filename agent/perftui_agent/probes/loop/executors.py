"""Carries the request into the jobs that it gives to thread pools of `concurrent.futures`.

`loop.run_in_executor` and a pool of the app's own run a job without its context: what it asks of databases,
caches and pools would be nobody's. Wrapped is `ThreadPoolExecutor.submit`, and of the context nothing is
carried but our one variable. A job that is not over when its request has been answered is work of its own
from then on, and is told of, unless it only tidies up: the thread in which an app of WSGI is served ends just
after the answer that it gave. `multiprocessing` has a pool of threads as well: see `multiprocessing_threads`.
Others are left alone: a process's have no use for it, and what a plain `threading.Thread` does says nothing
of who waits for it; libraries start what outlives every request so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Any

from perftui_agent.guard import Guard
from perftui_agent.probes.patches import Patches
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.records import RequestRecord, current_request
from perftui_agent.whose import request_now
from perftui_agent.wire.frames import Frame
from perftui_agent.work import THREAD, Sink, WorkRecord, begin, end, function_of, goes_on

TO_OTHER_INTERPRETERS = "InterpreterPoolExecutor"
"""A kind of thread pool (Python 3.14) that sends its jobs away by pickling them."""


class ExecutorProbe:
    """Wraps the one method."""

    name = "executors"

    def __init__(self, sink: Sink, guard: Guard) -> None:
        self._sink = sink
        self._guard = guard
        self._patches = Patches()

    def attach(self) -> ProbeStatus:
        """Wrap it, unless it is."""
        if not self._patches:
            submit = vars(ThreadPoolExecutor).get("submit")
            if submit is None:
                return "off: a ThreadPoolExecutor without submit"
            self._patches.replace(ThreadPoolExecutor, "submit", self._carrying(submit))
        return ON

    def detach(self) -> None:
        """Put the original back."""
        self._patches.take_back()

    def fill(self, _frame: Frame) -> None:
        """Nothing is read: what jobs do comes with their requests, or as work of their own."""

    def _carrying(self, submit: Callable[..., Any]) -> Callable[..., Any]:
        patches, sink, guard = self._patches, self._sink, self._guard

        @functools.wraps(submit)
        def carrying_submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            request = request_now() if patches else None
            if request is None or type(self).__name__ == TO_OTHER_INTERPRETERS:
                return submit(self, fn, *args, **kwargs)
            return submit(self, Job(sink, guard, request, fn), *args, **kwargs)

        return carrying_submit


class Job:
    """A function to be called for a request."""

    __slots__ = ("_function", "_guard", "_request", "_sink")

    def __init__(
        self, sink: Sink, guard: Guard, request: RequestRecord, function: Callable[..., Any]
    ) -> None:
        self._sink = sink
        self._guard = guard
        self._request = request
        self._function = function

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it, in the thread that the pool has chosen."""
        work = self._begin(args)
        token = current_request.set(work or self._request)
        error: BaseException | None = None
        try:
            return self._function(*args, **kwargs)
        except BaseException as failure:
            error = failure
            raise
        finally:
            current_request.reset(token)
            self._end(work, error)
            error = None

    def _begin(self, args: tuple[Any, ...]) -> WorkRecord | None:
        try:
            job: Any = self._function
            owner = getattr(job.func if isinstance(job, functools.partial) else job, "__self__", None)
            within = isinstance(owner, Context)
            called = args[0] if within and not isinstance(job, functools.partial) and args else job
            work = begin(self._sink, THREAD, function_of(called), self._request)
            if within:
                # The job is run in a context of its own, a copy of the request's: `asyncio.to_thread`.
                _set_in(owner, work)
        except Exception as fault:  # noqa: BLE001 - a fault of ours costs a count, never a job
            self._guard.fault("probes.executors", fault)
            return None
        return work

    def _end(self, work: WorkRecord | None, error: BaseException | None) -> None:
        try:
            if work is not None:
                end(self._sink, work, error, told=goes_on(work))
        except Exception as fault:  # noqa: BLE001 - as above
            self._guard.fault("probes.executors", fault)

    def __repr__(self) -> str:
        return repr(self._function)


def _set_in(context: Any, work: WorkRecord) -> None:
    """Have what runs in a context work for `work`; not if that is somebody's already."""
    try:
        context.run(current_request.set, work)
    except RuntimeError:  # it runs somewhere right now
        return
