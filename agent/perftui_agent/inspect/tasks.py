"""What the tasks of the app's loop wait for, those that wait at the same place as one.

A task that waits has no stack in any thread. Its way leads from coroutine to coroutine (`await_chain`),
through what C code holds, and through the greenlets in which SQLAlchemy's async side runs; at its end is a
future, a thread or other tasks. It is walked on the agent's thread while the loop goes on: two hundred tasks
in one go, since the GIL is held for as long, and one that went on meanwhile is walked once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterable
from time import perf_counter_ns
from types import FrameType
from typing import Any

import msgspec

from perftui_agent.await_chain import chain_of, request_of
from perftui_agent.foreign_frames import frame_of_greenlet, locals_of, stack_of
from perftui_agent.inspect.serving import LoopEyes, name_of
from perftui_agent.places import is_ours, is_the_doors, is_user_code, place_of
from perftui_agent.records import RequestRecord
from perftui_agent.whose import waiters_of

AT_ONCE = 200
"""Tasks that are walked before the GIL is let go of: some 5 ms. A thousand in one go held the loop 77 ms."""

REST_S = 0.005

MAX_TASKS = 10_000
WITHIN_S = 2.0
"""Further tasks are counted, and not looked at."""

MAX_NAMES = 5
MAX_DEPTH = 300

TURN = "its turn on the loop"

_A_THREAD = "run_sync_in_worker_thread"
"""anyio's function that waits for a thread's result, and knows the thread."""

_GREENLET = "greenlet_spawn"
"""SQLAlchemy's, whose greenlet has what it runs."""


class Waiting(msgspec.Struct, eq=False):
    """One task, as it was seen."""

    task: asyncio.Task[Any]
    frames: list[FrameType]
    """Outermost first."""
    lines: list[int]
    waits_for: str
    request: RequestRecord | None
    thread: int = 0
    """The thread that it waits for."""
    of_the_agent: bool = False
    """Whether it is none of the app's: it carries what a client of the remote door is told."""

    @property
    def own(self) -> int | None:
        """The place of the innermost frame of the app's own code."""
        return next((at for at in range(len(self.frames) - 1, -1, -1) if _is_users(self.frames[at])), None)

    @property
    def place(self) -> str:
        """Where it waits, as people say it: in the app's own code, if it is in any."""
        if not self.frames:
            return self.waits_for
        at = self.own if self.own is not None else len(self.frames) - 1
        code = self.frames[at].f_code
        return place_of(code.co_filename, self.lines[at], code.co_qualname)


class Group(msgspec.Struct, eq=False):
    """Tasks that wait at the same place."""

    first: Waiting
    count: int = 0
    names: list[str] = []
    requests: list[RequestRecord] = []
    awaits: Counter[str] = msgspec.field(default_factory=Counter)


class Tasks(msgspec.Struct, eq=False):
    """All that wait."""

    groups: list[Group]
    """Those in the app's own code first, then the most."""
    count: int
    unseen: int
    of_thread: dict[int, str]
    """By thread, the task that waits for it."""
    seen: list[Waiting]
    of_the_agent: int = 0
    """Those of its own that the agent has on the loop: in none of the above."""


async def waiting_tasks(eyes: LoopEyes) -> Tasks | None:
    """Return what waits on the app's loop; None if there is no loop."""
    loop = eyes.loop
    if loop is None:
        return None
    tasks = asyncio.all_tasks(loop)
    running = None
    with contextlib.suppress(Exception):  # each Python tells in its own way who is current
        running = asyncio.current_task(loop)
    tasks.discard(running)
    until = time.monotonic() + WITHIN_S
    seen: list[Waiting] = []
    walked = of_the_agent = 0
    for task in tasks:
        if walked >= MAX_TASKS or time.monotonic() > until:
            break
        if walked and walked % AT_ONCE == 0:
            await asyncio.sleep(REST_S)
        walked += 1
        if not task.done() and (waiting := seen_waiting(task)) is not None:
            if waiting.of_the_agent:
                of_the_agent += 1
            else:
                seen.append(waiting)
    names = {waiting.thread: name_of(waiting.task) for waiting in seen if waiting.thread}
    groups = await _grouped(seen)
    unseen = len(tasks) - walked
    return Tasks(groups, len(seen) + unseen, unseen, names, seen, of_the_agent)


def seen_waiting(task: asyncio.Task[Any]) -> Waiting | None:
    """Return what a task waits in; None if it is done or has no coroutine of Python's."""
    for _ in range(2):
        waits = getattr(task, "_fut_waiter", None)
        frames, future = chain_of(task)
        frames = [at for frame in frames for at in _with_greenlet(frame)][:MAX_DEPTH]
        of_the_agent = any(is_the_doors(frame.f_code.co_filename) for frame in frames)
        frames = [frame for frame in frames if not is_ours(frame.f_code.co_filename)]
        lines = [frame.f_lineno or frame.f_code.co_firstlineno for frame in frames]
        if getattr(task, "_fut_waiter", None) is waits:
            break
    if task.done():
        return None
    thread = _thread_of(frames[-1]) if frames else 0
    request = request_of(task)
    what = _what(frames, future, waits, thread)
    return Waiting(task, frames, lines, what, request, thread, of_the_agent)


def _with_greenlet(frame: FrameType) -> list[FrameType]:
    """Return a frame, and what runs in the greenlet that it waits for, if it is such a frame."""
    if frame.f_code.co_name != _GREENLET or sys.version_info >= (3, 12):
        # From 3.12 on a greenlet's frames are made visible by changing them, which is for its own thread.
        return [frame]
    inner = frame_of_greenlet(locals_of(frame).get("context"))
    return [frame, *reversed(stack_of(inner, MAX_DEPTH))]


def _thread_of(frame: FrameType) -> int:
    if frame.f_code.co_name != _A_THREAD:
        return 0
    return getattr(locals_of(frame).get("worker"), "ident", None) or 0


def _what(frames: list[FrameType], future: asyncio.Future[Any] | None, waits: object, thread: int) -> str:
    """Return what a task waits for, in a few words."""
    if waits is None or (isinstance(waits, asyncio.Future) and waits.done()):
        return TURN
    if thread:
        return "a thread"
    children = getattr(future, "_children", None)  # of `gather`
    if children:
        left = sum(not child.done() for child in children)
        return f"{left} of {len(children)} tasks"
    if isinstance(future, asyncio.Task):
        return "a task"
    if not frames or _is_users(frames[-1]):
        return type(future).__name__ if future is not None else "something"
    return frames[-1].f_code.co_qualname


async def _grouped(seen: list[Waiting]) -> list[Group]:
    """Return those that wait at the same place together."""
    by_task = {waiting.task: waiting for waiting in seen}
    awaits: dict[asyncio.Task[Any], Counter[str]] = {}
    groups: dict[object, Group] = {}
    for number, waiting in enumerate(seen, 1):
        if number % AT_ONCE == 0:
            await asyncio.sleep(REST_S)
        for parent in _parents(waiting.task):
            if parent in by_task and parent is not waiting.task:
                awaits.setdefault(parent, Counter())[waiting.place] += 1
        group = groups.setdefault(_key(waiting), Group(waiting))
        group.count += 1
        if len(group.names) < MAX_NAMES:
            group.names.append(name_of(waiting.task))
        if waiting.request is not None:
            group.requests.append(waiting.request)
    for task, places in awaits.items():
        groups[_key(by_task[task])].awaits += places
    return sorted(groups.values(), key=lambda group: (group.first.own is None, -group.count))


def _parents(task: asyncio.Task[Any]) -> Iterable[asyncio.Task[Any]]:
    with contextlib.suppress(Exception):  # each library has its own ways to wait
        return list(waiters_of(task))
    return ()


def _key(waiting: Waiting) -> object:
    """Return what tasks have in common that wait at the same place: their way in from the app's own code."""
    frames = waiting.frames
    first = next((at for at, frame in enumerate(frames) if _is_users(frame)), 0)
    at = [(frame.f_code, line) for frame, line in zip(frames[first:], waiting.lines[first:], strict=True)]
    return (waiting.waits_for, *at)


def _is_users(frame: FrameType) -> bool:
    return is_user_code(frame.f_code.co_filename)


def routes_of(eyes: LoopEyes, group: Group) -> tuple[dict[str, int], int | None]:
    """Return the routes of a group's requests, and how long ago the oldest of these arrived."""
    routes = Counter(eyes.route_of(request) for request in group.requests)
    oldest = min((request.arrived_ns for request in group.requests), default=None)
    return dict(routes.most_common()), None if oldest is None else max(0, perf_counter_ns() - oldest)
