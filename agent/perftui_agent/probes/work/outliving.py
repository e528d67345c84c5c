"""Finds tasks of asyncio that outlive the request they were made in, and tells how long they run.

Nothing is put in their way as they are made: a wrapper around the loop's `create_task` would be called for
every request of every server, and for each of a middleware's tasks again. A task's context names the request
that it was made in, and goes on to. So the loop's tasks are looked over at every tick of its clock; those
that are there still when their request has left are followed to their end. Whatever made them
(`create_task`, `Task(…)`, a group of asyncio's or anyio's) they are seen; one that is over within 50 ms of
its request may not be. Where there are many the agent's thread looks, which holds up nobody, and comes to it
less often: asyncio's own list is copied and compared in one go each, and what is new since the last look is
gone over in pieces. Where looks take too much there are fewer, and the ones left out are counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import threading
import time
import weakref
from contextvars import Context
from time import perf_counter_ns
from types import CodeType
from typing import Any, Protocol, TypeAlias

from perftui_agent.await_chain import chain_of, context_of
from perftui_agent.guard import Guard
from perftui_agent.places import is_ours, is_user_code
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.records import RequestRecord, current_request
from perftui_agent.wire.frames import Frame
from perftui_agent.work import MAX_RUNNING, SETTLED_NS, TASK, Function, Sink, WorkRecord, end

Ref: TypeAlias = "weakref.ref[asyncio.Task[Any]]"
"""Of a task. All that are made without a callback are one object, and any two of one task are equal."""

SHARE = 0.01
AT_ONCE_NS = 50_000_000
"""What looks may take: of the time that goes by, and of CPU at once. One amid cold caches takes 0.1 ms."""

SELDOM_NS = 150_000_000
"""The loop looks so often whatever that seems to take, so that no task of 200 ms goes unseen. Its looks are
at few tasks; one that a collection of the app's garbage falls into takes 70 ms, and would else be the last
for seconds. As often it looks while nothing begins but something goes on, which may make a task any time."""

MANY = 500
"""From so many tasks on the agent's thread looks at them, not the loop's."""

AT_ONCE = 500
"""Tasks that are looked at before the GIL is let go of for a moment: 0.6 ms, when all are new."""

_LISTS = ("_all_tasks", "_scheduled_tasks")
"""What asyncio calls its list of tasks: up to 3.11, and from 3.12 to 3.13. Later it is none of Python's."""

_SERVERS = ("/uvicorn/", "/gunicorn/", "/hypercorn/", "/granian/", "/uvicorn_worker/", "/websockets/")


class Requests(Sink, Protocol):
    """Who knows of requests and of work: the window."""

    bounded: dict[str, int]

    @property
    def begun_so_far(self) -> int:
        """How many requests have begun."""

    @property
    def may_be_in_flight(self) -> bool:
        """Whether any request may be."""


class Watched(Protocol):
    """Who knows the app's loop: the loop's probe."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The app's loop."""


class OutlivingProbe:
    """Looks over the tasks of the app's loop."""

    name = "tasks"

    def __init__(self, sink: Requests, guard: Guard, watched: Watched) -> None:
        self._sink = sink
        self._guard = guard
        self._watched = watched
        self._attached = False
        self._looking = threading.Lock()
        self._seen: set[Ref] | None = None
        """All that were there at the last look; None before the first."""
        self._made_in: dict[Ref, tuple[RequestRecord, int]] = {}
        """Of those, the ones made in a request that has not left yet; and the look before they were seen."""
        self._begun_so_far = -1
        self._under_way = False
        """Whether anything was, since the last look, that may have made a task."""
        self._followed: set[int] = set()
        """Those of the works that go on that are told of from here."""
        self._looked_ns = self._earned_ns = perf_counter_ns()
        self._left_ns = float(AT_ONCE_NS)

    def attach(self) -> ProbeStatus:
        """Begin to look, as soon as there is a loop: it is known right after this, and told of much later."""
        self._attached = True
        return ON if self._watched.loop is not None else "off: no asyncio loop"

    def detach(self) -> None:
        """Follow no further tasks."""
        self._attached = False
        self._seen, self._made_in = None, {}

    def fill(self, _frame: Frame) -> None:
        """Nothing is read: those that are followed are told of as work."""

    def look_from_loop(self) -> None:
        """Look, unless there are many; on the loop's thread, at every tick of its clock."""
        if not self._are_many():
            self.look()

    def look_from_beside(self) -> None:
        """Look, if there are many; on the agent's thread, at every beat."""
        if self._are_many():
            self.look()

    def _are_many(self) -> bool:
        """Tell whether a look would hold up the loop. There may be any number before the first look."""
        listed = _list_of_tasks()
        if listed is not None:
            return len(listed) >= MANY
        return self._seen is None or len(self._seen) >= MANY

    def look(self) -> None:
        """Look for those that outlive their request, unless the other thread is at it."""
        if not self._attached or not self._looking.acquire(blocking=False):
            return
        try:
            self._look()
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a tick
            self._guard.fault("probes.tasks", error)
        finally:
            self._looking.release()

    def _look(self) -> None:
        loop, now_ns = self._watched.loop, perf_counter_ns()
        if loop is None:
            return
        sink = self._sink
        begun = sink.begun_so_far
        under_way = sink.may_be_in_flight or len(sink.works) > len(self._followed)
        self._under_way |= under_way
        is_time = now_ns - self._looked_ns >= SELDOM_NS
        if begun == self._begun_so_far and not self._made_in and not (is_time and self._under_way):
            return  # nobody has made any
        self._left_ns = min(self._left_ns + (now_ns - self._earned_ns) * SHARE, AT_ONCE_NS)
        self._earned_ns = now_ns
        if self._left_ns <= 0 and (not is_time or self._are_many()):
            bounded = sink.bounded
            bounded["looks at tasks"] = bounded.get("looks at tasks", 0) + 1
            return
        self._begun_so_far, self._under_way = begun, under_way
        looked_ns, self._looked_ns = self._looked_ns, now_ns
        spent_ns = time.thread_time_ns()
        self._take_stock(loop, looked_ns)
        outliving = self._settled(now_ns)
        if outliving and asyncio._get_running_loop() is loop:
            self._follow(outliving)
        elif outliving:
            with contextlib.suppress(RuntimeError):  # it was closed
                loop.call_soon_threadsafe(self._follow, outliving, context=Context())
        self._left_ns = max(self._left_ns - (time.thread_time_ns() - spent_ns), -AT_ONCE_NS)

    def _take_stock(self, loop: asyncio.AbstractEventLoop, looked_ns: int) -> None:
        """Remember those that are new since the last look, at `looked_ns`, and were made in a request."""
        there = _refs_of_tasks(loop)
        new = there if self._seen is None else there - self._seen
        self._seen = there
        for number, ref in enumerate(new, 1):
            if number % AT_ONCE == 0:
                time.sleep(0)
            task = ref()
            if task is None or task.done() or task.get_loop() is not loop:
                continue
            request = _request_of(task)
            if request is not None and not _is_servers(task):
                self._made_in[ref] = request, looked_ns

    def _settled(self, now_ns: int) -> list[tuple[Ref, WorkRecord]]:
        """Return those that outlive their request, and forget them and those that are over."""
        outliving = []
        for number, (ref, (request, after_ns)) in enumerate(list(self._made_in.items()), 1):
            if number % AT_ONCE == 0:
                time.sleep(0)
            task = ref()
            if task is None or task.done():
                del self._made_in[ref]
            elif request.left_ns and now_ns - request.left_ns >= SETTLED_NS and not _is_followed(task):
                del self._made_in[ref]
                outliving.append((ref, self._work_of(task, request, after_ns)))
        return outliving

    def _work_of(self, task: asyncio.Task[Any], request: RequestRecord, after_ns: int) -> WorkRecord:
        work = WorkRecord()
        work.ended_ns = work.left_ns = 0
        work.kind, work.function, work.route = TASK, _function_of(task), request.route
        # It was made while its request was there, and after the last look that did not see it.
        work.started_ns = min(max(request.started_ns, after_ns), request.left_ns)
        return work

    def _follow(self, outliving: list[tuple[Ref, WorkRecord]]) -> None:
        """Have each tell when it is over; on the loop's thread, which alone may ask for that."""
        try:
            for ref, work in outliving:
                if len(self._sink.works) < MAX_RUNNING:
                    self._sink.works[id(work)] = work
                    self._followed.add(id(work))
                task = ref()
                if task is None or task.done():
                    self._is_over(work, task)
                else:
                    task.add_done_callback(functools.partial(self._is_over, work), context=Context())
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a task
            self._guard.fault("probes.tasks", error)

    def _is_over(self, work: WorkRecord, task: asyncio.Task[Any] | None) -> None:
        self._followed.discard(id(work))
        try:
            # Not by `exception()`: who has asked for it is taken to have dealt with it.
            end(self._sink, work, getattr(task, "_exception", None))
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("probes.tasks", error)


def _list_of_tasks() -> set[Ref] | None:
    """Return asyncio's own list of the tasks of all loops; None where it shows none."""
    for name in _LISTS:
        data = getattr(getattr(asyncio.tasks, name, None), "data", None)
        if isinstance(data, set):
            return data if sys.version_info < (3, 14) else None
    return None


def _refs_of_tasks(loop: asyncio.AbstractEventLoop) -> set[Ref]:
    """Return references to the tasks of a loop, and perhaps to some of others, or that are over.

    The list is copied within one call of C's: the loop adds to it meanwhile. A task that was begun eagerly
    and waits stands in it as well.
    """
    listed = _list_of_tasks()
    return {weakref.ref(task) for task in asyncio.all_tasks(loop)} if listed is None else listed.copy()


def _request_of(task: asyncio.Task[Any]) -> RequestRecord | None:
    """Return the request that a task was made in, whether or not it is there still."""
    context = context_of(task)
    return None if context is None else context.get(current_request)


def _is_followed(task: asyncio.Task[Any]) -> bool:
    """Tell whether what a task does is known already as work of another kind: a job of a queue."""
    request = _request_of(task)
    return type(request) is WorkRecord and not request.ended_ns


def _is_servers(task: asyncio.Task[Any]) -> bool:
    """Tell the tasks in which servers run requests and connections, and those of the agent's."""
    code = _code_of(task)
    return code is not None and _is_servers_code(code)


@functools.lru_cache(1_024)
def _is_servers_code(code: CodeType) -> bool:
    return is_ours(code.co_filename) or any(name in code.co_filename for name in _SERVERS)


def _code_of(task: asyncio.Task[Any]) -> CodeType | None:
    coroutine = task.get_coro()
    code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)
    return code if isinstance(code, CodeType) else None


def _function_of(task: asyncio.Task[Any]) -> Function:
    """Return the app's own function that a task runs, the outermost, or whatever it runs."""
    code = _code_of(task)
    if code is None or not is_user_code(code.co_filename):
        # A walk takes 20 µs, and most need none.
        frames, _ = chain_of(task)
        code = next((frame.f_code for frame in frames if is_user_code(frame.f_code.co_filename)), code)
    return code or str(getattr(task.get_coro(), "__qualname__", type(task).__qualname__))
