"""Watches anyio's default threadpool, which Starlette and FastAPI run sync endpoints in.

How many threads are in use and how many callers wait is read once a second. How long a caller waited
for a thread is measured around the wait itself: `CapacityLimiter.acquire_on_behalf_of` is replaced on
its class, and does what it did, unless the pool is full. Waits of nothing are not counted.
"""

from __future__ import annotations

import asyncio
import functools
import math
import sys
from collections import deque
from collections.abc import Coroutine
from time import perf_counter_ns
from typing import Any, Protocol

from perftui_agent.guard import Guard
from perftui_agent.probes.patches import takes
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.records import SpanRecord
from perftui_agent.whose import request_at, request_now
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import ThreadpoolStats

SPAN_NAME = "a thread of the pool"

MAX_WAITS = 10_000
"""Waits that are kept until the end of the second."""

_ACQUIRE = "acquire_on_behalf_of"


class Sink(Protocol):
    """Where records go: the window."""

    def put(self, record: SpanRecord) -> None:
        """Take a record that will not be written to any more."""


class Watched(Protocol):
    """Who knows the app's loop: the loop's probe."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The app's loop."""


class ThreadpoolProbe:
    """Watches the default limiter of the loop that the app runs on."""

    name = "threadpool"

    def __init__(self, sink: Sink, guard: Guard, watched: Watched) -> None:
        self._sink = sink
        self._guard = guard
        self._watched = watched
        self._limiter: Any = None
        self._limiter_class: Any = None
        self._original: Any = None
        self._wrapper: Any = None
        self._waits: deque[int] = deque(maxlen=MAX_WAITS)

    def attach(self) -> ProbeStatus:
        """Wrap the limiters' class, once anyio has imported its asyncio side: with the first thread."""
        if "anyio" not in sys.modules:
            return "off: not imported"
        backend = sys.modules.get("anyio._backends._asyncio")
        if backend is None:
            return "off: no thread used yet"
        if self._limiter_class is None:
            limiter_class = getattr(backend, "CapacityLimiter", None)
            original = getattr(limiter_class, _ACQUIRE, None)
            if limiter_class is None or original is None:
                return f"off: an anyio without CapacityLimiter.{_ACQUIRE}"
            if not takes(original, 2):
                return f"off: an anyio whose {_ACQUIRE} takes something else"
            self._limiter_class, self._original = limiter_class, original
            self._wrapper = _timing(self, original)
            setattr(limiter_class, _ACQUIRE, self._wrapper)
        self.find()
        return ON

    def detach(self) -> None:
        """Put the original back, unless somebody else has wrapped ours meanwhile: then do no more."""
        if self._limiter_class is not None:
            if vars(self._limiter_class).get(_ACQUIRE) is self._wrapper:
                setattr(self._limiter_class, _ACQUIRE, self._original)
            self._limiter = self._limiter_class = None

    def fill(self, frame: Frame) -> None:
        """Add the pool as it is now, and the waits that ended in this span."""
        limiter = self._limiter
        if limiter is None or math.isinf(limiter.total_tokens):
            return
        stats = frame.threadpool = ThreadpoolStats(
            used=limiter.borrowed_tokens,
            total=int(limiter.total_tokens),
            waiting=limiter.statistics().tasks_waiting,
        )
        while self._waits:
            stats.wait.add(self._waits.popleft())

    def find(self) -> None:
        """Ask for the default limiter, which each loop has one of: anyio tells it in a task of the app's."""
        to_thread = sys.modules.get("anyio.to_thread")
        if self._limiter is None and self._limiter_class is not None and to_thread is not None:
            try:
                if asyncio.get_running_loop() is self._watched.loop:
                    self._limiter = to_thread.current_default_thread_limiter()
            except Exception:  # noqa: BLE001 - no loop here, or an anyio of another make
                return

    def is_full(self, limiter: Any) -> bool:
        """Tell whether `limiter` is the one that is watched, and has no thread to give."""
        try:
            if self._limiter is None:
                self.find()
            return limiter is self._limiter and bool(limiter.available_tokens <= 0)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a thread
            self._guard.fault("probes.threadpool", error)
            return False

    async def waited(self, acquiring: Coroutine[Any, Any, None]) -> None:
        """Wait for a thread, and put down for how long."""
        started_ns = perf_counter_ns()
        failed = True
        try:
            await acquiring
            failed = False
        finally:
            self._put(started_ns, perf_counter_ns(), failed)

    def _put(self, started_ns: int, ended_ns: int, failed: bool) -> None:
        try:
            self._waits.append(ended_ns - started_ns)
            self._sink.put(
                SpanRecord(request_at(started_ns), "threadpool", SPAN_NAME, started_ns, ended_ns, failed)
            )
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("probes.threadpool", error)


def _timing(probe: ThreadpoolProbe, original: Any) -> Any:
    @functools.wraps(original)
    def acquire_on_behalf_of(limiter: Any, borrower: object) -> Coroutine[Any, Any, None]:
        request_now()  # a task that is none of a request's forgets it, before the thread gets its context
        acquiring: Coroutine[Any, Any, None] = original(limiter, borrower)
        return probe.waited(acquiring) if probe.is_full(limiter) else acquiring

    return acquire_on_behalf_of
