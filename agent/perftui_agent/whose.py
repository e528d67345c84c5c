"""For which request the code that runs here works, if for any.

The context says which request a task or thread came from, and goes on to say it after the request has
left: a refresher that the first visitor starts would be his for as long as the process lives. So nobody
reads `current_request` itself; who asks is told of a request that still lives, or of none.

Work that a request has given away (a background task, a job) is the request's while that is under way, and
then its own: see `work`.

While a request that is answered soon lives, whatever it has started is taken for its own. One that streams,
is long under way, or was answered long ago and goes on, may have started what outlives it: a consumer that
everybody's events go through. Its own is then its task and those that it waits for, by `await`, `gather`, a
group or a middleware of its own. Any other task forgets the request, for good. Not known is: a task that is
awaited only later, which is forgotten as well; and a thread, which is believed to work for who started its
job.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Iterator
from contextvars import Context
from time import perf_counter_ns
from types import CodeType, CoroutineType, FrameType, FunctionType, GeneratorType
from typing import Any

from perftui_agent.records import RequestRecord, current_request
from perftui_agent.work import WorkRecord

GOES_ON_NS = 5_000_000_000
"""A request that has been answered for so long is asked what is its own, as one that long under way is."""

MAX_FRAMES = 200

MAX_WAITERS = 20
"""Tasks that wait for each other, from one up to the request's own."""

_WRAPPERS = ("perftui_agent/probes/http/timing.py", "perftui_agent/probes/http/channels.py")

_current = current_request.get


def request_now() -> RequestRecord | None:
    """Return the request that the running code works for."""
    request = _current()
    if request is None or not (request.ended_ns or request.doubted):
        return request
    if type(request) is WorkRecord:
        return _of_work(request)
    return None if request.left_ns else _if_its_own(request)


def request_at(began_ns: int) -> RequestRecord | None:
    """Return the request that the running code worked for when it began something, at `began_ns`."""
    request = _current()
    if request is None or not (request.ended_ns or request.doubted):
        return request
    if type(request) is WorkRecord:
        return _of_work(request, began_ns)
    return None if 0 < request.left_ns <= began_ns else _if_its_own(request)


def request_in_context(context: Context) -> RequestRecord | None:
    """Return the request that what runs in `context` works for; from any thread."""
    request = context.get(current_request)
    if type(request) is WorkRecord:
        return _of_work(request)
    return None if request is None or request.left_ns else request


def _of_work(work: WorkRecord, began_ns: int | None = None) -> RequestRecord | None:
    """Return for whom a piece of work is done, or was at a moment: the request that gave it, or its own."""
    of = work.of
    if of is not None and (not of.ended_ns or (began_ns is not None and of.ended_ns > began_ns)):
        return of
    if work.ended_ns and (began_ns is None or work.ended_ns <= began_ns):
        return None
    return work


def _if_its_own(request: RequestRecord) -> RequestRecord | None:
    """Return `request` if what runs here is part of it; else have its context forget it."""
    if not request.doubted and perf_counter_ns() - request.ended_ns < GOES_ON_NS:
        return request
    try:
        loop = asyncio._get_running_loop()
        if loop is None:
            return request
        task = asyncio.current_task(loop)
        if task is not None and _works_for(task, request):
            return request
        current_request.set(None)
    except Exception:  # noqa: BLE001 - each Python, and each kind of task, has its own ways to wait
        return request
    return None


def _works_for(task: asyncio.Task[Any], request: RequestRecord) -> bool:
    """Say whether a task, the running one, is the request's own or one that waits for it is."""
    if id(task) == request.task_id:
        return True
    if any(_is_call_of(frame, request) for frame in _running_frames()):
        request.task_id = id(task)  # it lives as long as the request
        return True
    asked = [task]
    for waiting in asked:
        for waiter in waiters_of(waiting):
            if id(waiter) == request.task_id or any(_is_call_of(at, request) for at in _frames_of(waiter)):
                request.task_id = id(waiter)
                return True
            if waiter not in asked and len(asked) < MAX_WAITERS:
                asked.append(waiter)
    return False


def _running_frames() -> Iterator[FrameType]:
    """Yield the frames of the running task; SQLAlchemy's async side runs in greenlets of their own."""
    frame: FrameType | None = sys._getframe(1)
    module = sys.modules.get("greenlet")
    greenlet: Any = module.getcurrent() if module is not None else None
    for _ in range(MAX_FRAMES):
        if frame is None:
            greenlet = getattr(greenlet, "parent", None)
            frame = getattr(greenlet, "gr_frame", None)
            if frame is None:
                return
        yield frame
        frame = frame.f_back


def _frames_of(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """Yield the frames of a task that waits, the outermost first."""
    awaitable: Any = task.get_coro()
    for _ in range(MAX_FRAMES):
        if isinstance(awaitable, CoroutineType):
            frame, awaitable = awaitable.cr_frame, awaitable.cr_await
        elif isinstance(awaitable, GeneratorType):
            frame, awaitable = awaitable.gi_frame, awaitable.gi_yieldfrom
        else:
            return
        if frame is not None:
            yield frame


def _is_call_of(frame: FrameType, request: RequestRecord) -> bool:
    """Tell the frame in which a request, or a WebSocket, is timed, which its own task alone has."""
    return _is_call(frame.f_code) and frame.f_locals.get("record") is request


@functools.lru_cache(4_096)
def _is_call(code: CodeType) -> bool:
    return code.co_name == "call" and code.co_filename.endswith(_WRAPPERS)


def waiters_of(future: asyncio.Future[Any]) -> Iterator[asyncio.Task[Any]]:
    """Yield the tasks that wait for a future, as what is to be called when it is done tells.

    `await` leaves the waiting task itself there, a group (asyncio's, anyio's) its method, and `gather`,
    `wait`, `wait_for` and `shield` a function that knows a future of theirs.
    """
    for callback, *_ in getattr(future, "_callbacks", None) or ():
        for held in _held_by(callback):
            if isinstance(held, asyncio.Task):
                yield held
            elif isinstance(held, asyncio.Future):
                yield from waiters_of(held)
            else:
                scope = getattr(held, "cancel_scope", None)
                host = getattr(scope, "_host_task", None) or getattr(held, "_parent_task", None)
                if isinstance(host, asyncio.Task):
                    yield host


def _held_by(callback: Any) -> Iterator[Any]:
    if isinstance(callback, functools.partial):
        yield from callback.args
        callback = callback.func
    owner = getattr(callback, "__self__", None)
    if owner is not None:
        yield owner
    elif isinstance(callback, FunctionType) and callback.__module__.startswith(("asyncio", "anyio")):
        for cell in callback.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # it is empty still
                continue
