"""What a task of the app is at, seen from another thread: for which request, and at which line.

A task that waits has no stack in any thread: the line is at the end of its await chain. It leads from
the task's coroutine through `cr_await`, `gi_yieldfrom` and `ag_await`; wrappers written in C
(`anext(…)`, `__await__` of a coroutine) show what they hold to the garbage collector alone. A task that
waits for others (a TaskGroup, `gather`, a middleware that runs the app in a task of its own) is followed
into them by whoever knows the tasks: see `probes.in_flight`. Walking one chain costs about 20 µs.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextvars import Context
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

from perftui_agent.records import RequestRecord, current_request

MAX_STEPS = 100
"""Awaitables in one chain: deeper ones are cut off at their outer end, which is the frameworks'."""

_AWAITABLES = (CoroutineType, GeneratorType, AsyncGeneratorType)


def request_of(task: asyncio.Task[Any]) -> RequestRecord | None:
    """Return the request a task works for, as its context says: tasks made by a request's are its own."""
    context = _context_of(task)
    return context.get(current_request) if context is not None else None


def route_of(record: RequestRecord) -> str:
    """Return a request's route, in flight or ended."""
    scope = record.scope
    # It may end in between: then its route has been set.
    return record.route or (record.labels.label(scope) if scope is not None else record.route)


def _context_of(task: asyncio.Task[Any]) -> Context | None:
    get_context = getattr(task, "get_context", None)  # Python 3.12
    if get_context is not None:
        context: Context = get_context()
        return context
    # The task's own context comes before those of its callbacks.
    return next((held for held in gc.get_referents(task) if type(held) is Context), None)


def frames_of(task: asyncio.Task[Any]) -> list[FrameType]:
    """Return the frames of what a task waits in, outermost first; empty once it is done."""
    return list(_chain(task.get_coro()))


def _chain(awaitable: object) -> Iterator[FrameType]:
    for _ in range(MAX_STEPS):
        step = _step(awaitable)
        if step is None:
            return
        frame, awaitable = step
        if frame is not None:
            yield frame


def _step(awaitable: object) -> tuple[FrameType | None, object] | None:
    """Return the frame of one awaitable and what it waits for in turn; None where the chain ends."""
    if isinstance(awaitable, CoroutineType):
        return awaitable.cr_frame, awaitable.cr_await
    if isinstance(awaitable, GeneratorType):
        return awaitable.gi_frame, awaitable.gi_yieldfrom
    if isinstance(awaitable, AsyncGeneratorType):
        return awaitable.ag_frame, awaitable.ag_await
    if awaitable is None or isinstance(awaitable, asyncio.Future):
        return None
    held = next((held for held in gc.get_referents(awaitable) if isinstance(held, _AWAITABLES)), None)
    return None if held is None else (None, held)
