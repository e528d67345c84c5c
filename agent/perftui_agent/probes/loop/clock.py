"""A clock on the app's own event loop: it ticks there, and whoever is late with that is late with everything.

It sees lateness whoever caused it: code on the loop, C code that holds the GIL, a collection, a stopped
process, a machine with too little CPU. Nothing here keeps a loop alive or from closing; of a loop that was
closed, or that a forked child does not run, the clock just stands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from time import perf_counter_ns
from typing import NamedTuple, Protocol

from perftui_agent.probes.loop.overdue import OverdueTimer

MAX_TICKS = 4_096
"""Ticks that wait for the agent's thread: minutes."""


class Tick(NamedTuple):
    """When a tick was due, and when it ran: a callback that was due then has waited as long."""

    due_ns: int
    ran_ns: int


class Pace(Protocol):
    """Who is told of every tick at once."""

    def turned(self, due_ns: int, now_ns: int) -> None:
        """Take a tick that was due then and runs now."""


class LoopClock:
    """Ticks on one loop; made and started on its thread, read on the agent's."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        period_ns: int,
        pace: Pace,
        timer: OverdueTimer | None = None,
    ) -> None:
        self.period_ns = period_ns
        self.due_ns = 0
        """When the next tick is due."""
        self.ticks: deque[Tick] = deque(maxlen=MAX_TICKS)
        self._loop = loop
        self._period_s = period_ns / 1e9
        self._pace = pace
        self._timer = timer
        """Wakes the agent's thread where a tick does not come."""
        # That of a request would live on here.
        self._context = Context()
        self._stopped = False

    def start(self) -> None:
        """Begin to tick."""
        self._schedule(perf_counter_ns())

    def stop(self) -> None:
        """Tick no more; on any thread."""
        self._stopped = True

    def _schedule(self, now_ns: int) -> None:
        self.due_ns = now_ns + self.period_ns
        self._loop.call_later(self._period_s, self._tick, context=self._context)
        if self._timer is not None:
            self._timer.put_off(self.due_ns)

    def _tick(self) -> None:
        if self._stopped:
            return
        due_ns, now_ns = self.due_ns, perf_counter_ns()
        self._pace.turned(due_ns, now_ns)
        # The next one first: whoever has taken this one must not find it overdue.
        self._schedule(now_ns)
        self.ticks.append(Tick(due_ns, now_ns))


def waits_of(late_ns: int, apart_ns: int) -> range:
    """Return how long callbacks would have waited that were due with a tick, and regularly while it was late.

    Without the later ones a block of 5 s would be one late tick among hundreds: coordinated omission.
    """
    return range(late_ns, 0, -apart_ns)
