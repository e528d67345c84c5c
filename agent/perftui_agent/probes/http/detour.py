"""Leads what runs for some requests past somebody who wants to be around it, for as long as they want to.

Takes a follower; it is asked about every request as it begins, and given the coroutine of those that it
wants, those of the tasks that they make, and their jobs in threads. Nothing of this is there while nobody
follows: the way of the requests is led elsewhere, the loop's task factory and two functions that start jobs
are replaced only meanwhile. What is under way when it ends goes on to its end as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from perftui_agent.guard import Guard
from perftui_agent.probes.http.departures import Receive
from perftui_agent.probes.http.timing import Send, Untimed, roads
from perftui_agent.probes.loop.executors import TO_OTHER_INTERPRETERS
from perftui_agent.probes.patches import Patches
from perftui_agent.records import RequestRecord, Scope, current_request

_IN_THREAD = "run_sync_in_worker_thread"

_MAKE_EAGER: Any = getattr(asyncio, "create_eager_task_factory", None)  # Python 3.12
_EAGER_CODE = getattr(getattr(asyncio, "eager_task_factory", None), "__code__", None)


class Follower(Protocol):
    """Who wants to be around what runs for some requests. Its faults are counted, and cost the app none."""

    def request(self, record: RequestRecord, coroutine: Any) -> Any:
        """Return what is awaited for a request that begins: `coroutine` itself, or something around it."""

    def task(self, record: RequestRecord, coroutine: Any) -> Any:
        """Return the same for a task that is made for a request."""

    def job(self, record: RequestRecord, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return what is called in a thread for a request: `function` itself, or something around it."""


class Watched(Protocol):
    """Who knows the app's loop: the loop's probe."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The app's loop."""


class Detour:
    """The way past a follower."""

    def __init__(self, watched: Watched, guard: Guard) -> None:
        self._watched = watched
        self._guard = guard

    @contextlib.contextmanager
    def follow(self, follower: Follower) -> Iterator[None]:
        """Lead requests, their tasks and jobs past `follower` meanwhile; on the agent's thread."""
        patches = Patches()
        led = list(roads)
        loop = self._watched.loop
        undo_factory: Callable[[], None] | None = None
        try:
            for road in led:
                road.lead(self._leading(road.untimed, follower))
            if loop is not None:
                undo_factory = self._make_tasks(loop, follower)
            self._start_jobs(patches, follower)
            yield
        finally:
            for road in led:
                road.lead(road.untimed)
            if undo_factory is not None:
                undo_factory()
            patches.take_back()

    def _leading(self, untimed: Untimed, follower: Follower) -> Untimed:
        guard = self._guard

        def led(app: Any, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            awaitable = untimed(app, scope, receive, send)
            # Not a coroutine, so that those who are not wanted have no frame more than before.
            try:
                record = current_request.get()
                if (
                    record is not None
                    and record.scope is scope
                    and record.labels is getattr(app._perftui_probe, "labels", None)
                ):
                    around: Awaitable[None] = follower.request(record, awaitable)
                    return around
            except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a response
                guard.fault("probes.detour", error)
            return awaitable

        return led

    def _make_tasks(self, loop: asyncio.AbstractEventLoop, follower: Follower) -> Callable[[], None]:
        guard = self._guard
        theirs = loop.get_task_factory()
        eager = _eager_constructor(theirs)
        over = False

        def followed(coroutine: Any) -> Any:
            try:
                record = None if over else current_request.get()
                return coroutine if record is None else follower.task(record, coroutine)
            except Exception as error:  # noqa: BLE001 - as above
                guard.fault("probes.detour", error)
                return coroutine

        def factory(of: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
            if theirs is not None:
                return theirs(of, followed(coroutine), **options)
            return asyncio.Task(followed(coroutine), loop=of, **options)

        def constructor(coroutine: Any, **options: Any) -> Any:
            return eager(followed(coroutine), **options)

        # anyio knows an eager factory by its code, and has to know it: so ours is made by the same function.
        ours: Any = factory if eager is None else _MAKE_EAGER(constructor)

        def undo() -> None:
            nonlocal over
            over = True
            # Somebody else's stays, and what it calls does nothing any more.
            if loop.get_task_factory() is ours:
                loop.set_task_factory(theirs)

        loop.set_task_factory(ours)
        return undo

    def _start_jobs(self, patches: Patches, follower: Follower) -> None:
        if "submit" in vars(ThreadPoolExecutor):
            patches.replace(ThreadPoolExecutor, "submit", self._submitting(patches, follower))
        backend = getattr(sys.modules.get("anyio._backends._asyncio"), "AsyncIOBackend", None)
        original = vars(backend).get(_IN_THREAD) if backend is not None else None
        if isinstance(original, classmethod):
            running = self._running(patches, original.__func__, follower)
            patches.replace(backend, _IN_THREAD, classmethod(running))

    def _submitting(self, patches: Patches, follower: Follower) -> Callable[..., Any]:
        submit: Callable[..., Any] = ThreadPoolExecutor.submit
        job = self._job_of(follower)

        @functools.wraps(submit)
        def followed_submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            if patches and type(self).__name__ != TO_OTHER_INTERPRETERS:
                fn = job(fn)
            return submit(self, fn, *args, **kwargs)

        return followed_submit

    def _running(
        self, patches: Patches, run: Callable[..., Coroutine[Any, Any, Any]], follower: Follower
    ) -> Callable[..., Coroutine[Any, Any, Any]]:
        job = self._job_of(follower)

        @functools.wraps(run)
        def followed_run(cls: Any, func: Any, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
            return run(cls, job(func) if patches else func, *args, **kwargs)

        return followed_run

    def _job_of(self, follower: Follower) -> Callable[[Any], Any]:
        guard = self._guard

        def job(function: Any) -> Any:
            try:
                record = current_request.get()
                return function if record is None else follower.job(record, function)
            except Exception as error:  # noqa: BLE001 - as above
                guard.fault("probes.detour", error)
                return function

        return job


def _eager_constructor(factory: Any) -> Any:
    """Return what makes the tasks of an eager factory; None if it is none."""
    if factory is None or _EAGER_CODE is None or getattr(factory, "__code__", None) is not _EAGER_CODE:
        return None
    return factory.__closure__[0].cell_contents
