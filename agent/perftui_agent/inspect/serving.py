"""For which request each thread of this process works, and by which task.

Takes this process's own frames; gives a request and a task by thread. The loop's thread works for the task
that is current there, a pool's for the context in which it runs its job. While py-spy looks from outside,
time passes: what was so before and is not after is not told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from time import perf_counter_ns
from types import FrameType
from typing import Any, NamedTuple, Protocol

from perftui_agent.foreign_frames import current_frames
from perftui_agent.inspect.sampler import Eyes
from perftui_agent.records import RequestRecord
from perftui_agent.thread_stack import walked
from perftui_agent.whose import request_in_context

MAX_TASK_NAME = 100


class LoopEyes(Eyes, Protocol):
    """Who knows the app's loop as well."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The app's loop."""


class Served(NamedTuple):
    """What a thread works for."""

    request: RequestRecord | None
    task: str = ""


class Service(NamedTuple):
    """What of it is told."""

    route: str = ""
    age_ns: int | None = None
    task: str = ""


def serving(eyes: LoopEyes) -> dict[int, Served]:
    """Return what each thread works for, if for anything."""
    served = {}
    for ident, frame in current_frames().items():
        if ident == eyes.thread_id:
            what = None if eyes.loop_waits(frame) else Served(eyes.request_on_loop(), _current(eyes))
        else:
            what = _in_a_pool(frame)
        if what is not None and (what.request is not None or what.task):
            served[ident] = what
    return served


def steadily(before: Mapping[int, Served], after: Mapping[int, Served]) -> dict[int, Served]:
    """Return what each thread has worked for all along."""
    return {ident: what for ident, what in after.items() if before.get(ident) == what}


def told(eyes: LoopEyes, served: Mapping[int, Served], tasks: Mapping[int, str]) -> dict[int, Service]:
    """Return it in words; `tasks` are those that wait for a thread."""
    found: dict[int, Service] = {}
    for ident in {*served, *tasks}:
        request, task = served.get(ident, Served(None))
        route, age_ns = "", None
        if request is not None:
            route, age_ns = eyes.route_of(request), max(0, perf_counter_ns() - request.arrived_ns)
        found[ident] = Service(route, age_ns, task or tasks.get(ident, ""))
    return found


def name_of(task: asyncio.Task[Any]) -> str:
    """Return what a task is called, and what it runs: `Task-7 RequestResponseCycle.run_asgi`."""
    runs = getattr(task.get_coro(), "__qualname__", "")
    name = task.get_name()[:MAX_TASK_NAME]
    return f"{name} {runs}" if runs and runs != name else name


def _current(eyes: LoopEyes) -> str:
    with contextlib.suppress(Exception):  # each Python tells in its own way who is current
        task = asyncio.current_task(eyes.loop)
        return name_of(task) if task is not None else ""
    return ""


def _in_a_pool(frame: FrameType) -> Served | None:
    context = walked(frame)[1]
    return Served(request_in_context(context)) if context is not None else None
