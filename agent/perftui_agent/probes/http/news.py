"""What a request that takes long waits for: news from inside the process, a nap, or anything else.

A long poll waits on purpose: for an event, a condition or a queue of the app's own, and for no longer than a
time the app has set. What waits for a socket, a lock, a thread or a bare future waits for work to be done,
however idle it looks. Takes the await chain of the request's task (or the stack of its thread); refuses to
guess: what isn't known to be one of the former is something else.
"""

from __future__ import annotations

import asyncio
import gc
import math
import time
from collections.abc import Iterator, Sequence
from types import FrameType, MethodType
from typing import Any, Literal, NamedTuple

from perftui_agent.await_chain import chain_of, links_of
from perftui_agent.foreign_frames import frames_of, locals_of
from perftui_agent.places import is_user_code, short_file

_NEWS = frozenset(
    {
        ("asyncio/locks.py", "Event.wait"),
        ("asyncio/locks.py", "Condition.wait"),
        ("asyncio/locks.py", "Condition.wait_for"),
        ("asyncio/queues.py", "Queue.get"),
        ("anyio/_core/_synchronization.py", "Event.wait"),
        ("anyio/_core/_synchronization.py", "EventAdapter.wait"),
        ("anyio/_core/_synchronization.py", "Condition.wait"),
        ("anyio/_core/_synchronization.py", "Condition.wait_for"),
        ("anyio/_backends/_asyncio.py", "Event.wait"),
        ("anyio/streams/memory.py", "MemoryObjectReceiveStream.receive"),
        ("threading.py", "Event.wait"),
        ("threading.py", "Condition.wait"),
        ("threading.py", "Condition.wait_for"),
        ("queue.py", "Queue.get"),
    }
)
"""Functions that wait for somebody else of the process to have something to say."""

_NAPS = frozenset(
    {
        ("asyncio/tasks.py", "sleep"),
        ("anyio/_core/_eventloop.py", "sleep"),
        ("anyio/_backends/_asyncio.py", "AsyncIOBackend.sleep"),
    }
)

_WITHIN = frozenset({("asyncio/tasks.py", "wait_for")})
"""What only bounds a wait."""


class Wait(NamedTuple):
    """What a request waits for at this moment."""

    kind: Literal["news", "nap"]
    ends_in_s: float | None = None
    """When it gives up waiting, if the app has said so …"""
    within_s: float | None = None
    """… or for how long it waits at most, from whenever it began."""
    read_ns: int = 0
    """At which moment of the steady clock `ends_in_s` was read: on a busy machine a look takes its time."""


def wait_of(tasks: Sequence[asyncio.Task[Any]]) -> Wait | None:
    """Return what a request waits for whose tasks these are, each waiting for the next."""
    if not tasks:
        return None
    frames, _ = chain_of(tasks[-1])
    bounding = _bounded_task(frames)
    inner = [] if bounding is None else [bounding]
    kind = _kind_of([*frames, *(frame for task in inner for frame in chain_of(task)[0])])
    if kind is None:
        return None
    ends_at_s = min((each for task in (*tasks, *inner) for each in _ends_at_s(task)), default=None)
    if ends_at_s is None:
        return Wait(kind)
    ends_in_s = ends_at_s - tasks[-1].get_loop().time()
    return Wait(kind, max(0.0, ends_in_s), read_ns=time.perf_counter_ns())


def wait_of_thread(frames: Sequence[FrameType]) -> Wait | None:
    """Return the same of a request that waits in a thread; `frames` are its stack, innermost first."""
    kind = _kind_of(list(reversed(frames)))
    if kind is None:
        return None
    waits = [locals_of(frame) for frame in frames[: _users_from_the_end(frames)]]
    until = [each for names in waits if isinstance(each := names.get("endtime"), float)]
    if until:
        ends_in_s = max(until) - time.monotonic()
        return Wait(kind, max(0.0, ends_in_s), read_ns=time.perf_counter_ns())
    within = [float(each) for names in waits if isinstance(each := names.get("timeout"), int | float)]
    return Wait(kind, within_s=max(within, default=None))


def _kind_of(outermost_first: Sequence[FrameType]) -> Literal["news", "nap"] | None:
    """Return what the app's innermost line waits for, if nothing but such waits stands below it."""
    beyond = list(outermost_first[len(outermost_first) - _users_from_the_end(outermost_first[::-1]) :])
    names = [_name(frame) for frame in beyond]
    if not names or not all(name in _NEWS or name in _NAPS or name in _WITHIN for name in names):
        return None
    if any(name in _NEWS for name in names):
        return "news" if not any(name in _NAPS for name in names) else None
    return "nap" if any(name in _NAPS for name in names) else None


def _users_from_the_end(innermost_first: Sequence[FrameType]) -> int:
    """Return how many frames there are before the app's innermost one; all of them if it has none."""
    for place, frame in enumerate(innermost_first):
        if is_user_code(frame.f_code.co_filename):
            return place
    return 0


def _name(frame: FrameType) -> tuple[str, str]:
    return short_file(frame.f_code.co_filename), frame.f_code.co_qualname


def _bounded_task(frames: Sequence[FrameType]) -> asyncio.Task[Any] | None:
    """Return the task that `wait_for` has made of what it waits for, as it did until Python 3.11."""
    if not frames or _name(frames[-1]) not in _WITHIN:
        return None
    made = locals_of(frames[-1]).get("fut")
    return made if isinstance(made, asyncio.Task) else None


def _ends_at_s(task: asyncio.Task[Any]) -> Iterator[float]:
    """Yield when each time-out of a task's chain is over, by its loop's clock."""
    for link in links_of(task):
        for frame in frames_of([link]):
            if _name(frame) not in _WITHIN:
                continue
            # Of asyncio's or uvloop's, which have nothing in common but this.
            when = getattr(locals_of(frame).get("timeout_handle"), "when", None)
            if when is not None:
                yield float(when())
        # A context manager that is open stands on the stack of its coroutine, by its way out.
        for held in gc.get_referents(link):
            if isinstance(held, MethodType):
                when = _when(held.__self__)
                if when is not None and math.isfinite(when):
                    yield when


def _when(manager: Any) -> float | None:
    """Return when a time-out is over, by the loop's clock; None for any other context manager."""
    if isinstance(manager, asyncio.Timeout):
        return manager.when()
    if type(manager).__module__.startswith("anyio.") and type(manager).__name__ == "CancelScope":
        return float(manager.deadline)
    generator = getattr(manager, "gen", None)
    for frame in frames_of([generator]):
        if short_file(frame.f_code.co_filename).startswith("anyio/"):
            held = locals_of(frame).values()
            return next((when for each in held if (when := _when(each)) is not None), None)
    return None
