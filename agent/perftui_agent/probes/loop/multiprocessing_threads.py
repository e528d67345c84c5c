"""Carries the request into the jobs that it gives to the thread pool of `multiprocessing`.

`multiprocessing.pool.ThreadPool` is no executor. Each of its ways to give jobs is wrapped on its own class: a
pool of processes, which would have to pickle them, stays as it is.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from perftui_agent.guard import Guard
from perftui_agent.probes.loop.executors import Job
from perftui_agent.probes.patches import Patches
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.whose import request_now
from perftui_agent.wire.frames import Frame
from perftui_agent.work import Sink

_WAYS = ("apply_async", "_map_async", "imap", "imap_unordered")
"""All others lead to one of these, whose first argument is the function that is to be called."""


class MultiprocessingThreads:
    """Wraps the four."""

    name = "thread pools"

    def __init__(self, sink: Sink, guard: Guard) -> None:
        self._sink = sink
        self._guard = guard
        self._patches = Patches()

    def attach(self) -> ProbeStatus:
        """Wrap them, unless they are."""
        if self._patches:
            return ON
        module = sys.modules.get("multiprocessing.pool")
        pool = getattr(module, "ThreadPool", None)
        if pool is None:
            return NOT_IMPORTED
        found = {name: getattr(pool, name, None) for name in _WAYS}
        if not all(map(callable, found.values())):
            return "off: a multiprocessing.pool that is given jobs in another way"
        for name, theirs in found.items():
            self._patches.put(pool, name, self._carrying(theirs))
        return ON

    def detach(self) -> None:
        """Put the originals back."""
        self._patches.take_back()

    def fill(self, _frame: Frame) -> None:
        """Nothing is read: what jobs do comes with their requests, or as work of their own."""

    def _carrying(self, give: Any) -> Callable[..., Any]:
        patches, sink, guard = self._patches, self._sink, self._guard

        @functools.wraps(give)
        def carrying(self: Any, func: Any, *args: Any, **options: Any) -> Any:
            request = request_now() if patches else None
            return give(self, func if request is None else Job(sink, guard, request, func), *args, **options)

        return carrying
