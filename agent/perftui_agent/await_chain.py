"""What a task of the app is at, seen from another thread: for which request, and at which line.

A task that waits has no stack in any thread: the line is at the end of its await chain. It leads from
the task's coroutine through `cr_await`, `gi_yieldfrom` and `ag_await`; wrappers written in C
(`anext(…)`, `__await__` of a coroutine) show what they hold to the garbage collector alone. Walking one
chain of 30 frames costs about 20 µs.
"""

from __future__ import annotations

import asyncio
import gc
from contextvars import Context
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

from perftui_agent.foreign_frames import frames_of
from perftui_agent.records import RequestRecord
from perftui_agent.whose import request_in_context

MAX_STEPS = 200
"""Awaitables in one chain."""

_AWAITABLES = (CoroutineType, GeneratorType, AsyncGeneratorType)


def request_of(task: asyncio.Task[Any]) -> RequestRecord | None:
    """Return the request a task works for, if that still lives: tasks made by a request's are its own."""
    context = context_of(task)
    return request_in_context(context) if context is not None else None


def route_of(record: RequestRecord) -> str:
    """Return a request's route, in flight or ended."""
    scope = record.scope
    # It may end in between: then its route has been set.
    return record.route or (record.labels.label(scope) if scope is not None else record.route)


def context_of(task: asyncio.Task[Any]) -> Context | None:
    """Return the context that a task runs in."""
    get_context = getattr(task, "get_context", None)  # Python 3.12
    if get_context is not None:
        context: Context = get_context()
        return context
    # The task's own context comes before those of its callbacks.
    return next((held for held in gc.get_referents(task) if type(held) is Context), None)


def chain_of(task: asyncio.Task[Any]) -> tuple[list[FrameType], asyncio.Future[Any] | None]:
    """Return the frames of what a task waits in, outermost first, and the future it waits for."""
    links = links_of(task)
    last = links[-1] if links else None
    return frames_of(links), last if isinstance(last, asyncio.Future) else None


def links_of(task: asyncio.Task[Any]) -> list[object]:
    """Return what a task waits in, outermost first: coroutines, generators, and the future at the end."""
    links: list[object] = []
    awaitable: object = task.get_coro()
    for _ in range(MAX_STEPS):
        if awaitable is None:
            break
        links.append(awaitable)
        if isinstance(awaitable, CoroutineType):
            awaitable = awaitable.cr_await
        elif isinstance(awaitable, GeneratorType):
            awaitable = awaitable.gi_yieldfrom
        elif isinstance(awaitable, AsyncGeneratorType):
            awaitable = awaitable.ag_await
        elif asyncio.isfuture(awaitable):
            break
        else:
            awaitable = _held_by(awaitable)
    return links


def _held_by(wrapper: object) -> object:
    """Return what a wrapper written in C waits for."""
    for held in gc.get_referents(wrapper):
        if isinstance(held, _AWAITABLES) or asyncio.isfuture(held):
            return held
    return None
