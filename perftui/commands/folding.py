"""Following a source for a while without a screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from perftui.clock import now
from perftui.model.dashboard import Dashboard
from perftui.model.events import HistoryReceived
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.sources.live import LiveSource
from perftui_agent.wire.frames import Frame

LATE_S = 2.6
"""How long a live worker may take to deliver a frame that is due; past it, it is silent."""

_MARGIN_S = 3.0
"""Added to a window so that its first frames, which began before it, are all in it."""


class Deadline:
    """When a wait ends: after some seconds, or as soon as somebody says so."""

    def __init__(self, longest_s: float) -> None:
        self._at_s = time.monotonic() + longest_s
        self._limit: asyncio.Timeout | None = None

    @property
    def left_s(self) -> float:
        """How long it is until then; not above 0 once it is over."""
        return self._at_s - time.monotonic()

    def limit(self) -> asyncio.Timeout:
        """Return a limit for one step of the wait, to be entered at once."""
        self._limit = asyncio.timeout(self.left_s)
        return self._limit

    def reach(self) -> None:
        """Have it be now."""
        self._at_s = time.monotonic()
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())


Ending = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Makes a block in which something, a signal for example, calls what it was given."""


def as_planned(_: Callable[[], None]) -> AbstractContextManager[None]:
    """End nothing earlier."""
    return nullcontext()


async def folded(
    source: LiveSource, longest_s: float, until: Callable[[Dashboard], bool] = lambda _: False
) -> Summary:
    """Follow `source` until `until` holds or `longest_s` are over; return what came, not what was before."""
    began = now()
    dashboard = await _fold(source, Dashboard(source.name), began, longest_s, until)
    ended = now()
    return summarize(dashboard, ended, ended - began + _MARGIN_S)


async def watched(
    source: LiveSource,
    for_s: float,
    ready: Callable[[Dashboard], None],
    follow: Callable[[Dashboard], None] = lambda _: None,
    ending: Ending = as_planned,
) -> Summary:
    """Return what happened in `for_s` from the moment every worker is connected, which `ready` is told.

    `follow` sees all that comes, `ending` may end it earlier. It waits a moment longer, until each
    live worker has delivered the frame that covers the end: a request that ended before it is counted, on
    whichever worker.
    """
    began = now()
    dashboard = await _fold(source, Dashboard(source.name), began, LATE_S, _all_connected, follow)
    deadline = Deadline(for_s)
    with ending(deadline.reach):
        ready(dashboard)
        dashboard = await _fold(source, dashboard, began, deadline, follow=follow)
    end = now()

    def covered(dashboard: Dashboard) -> bool:
        return all(
            track.joined_at is None
            or (track.last_frame is not None and track.last_frame.ended_at >= end * 1e9)
            for track in dashboard.alive
        )

    dashboard = await _fold(source, dashboard, began, LATE_S, covered, follow)
    ended = now()
    return summarize(dashboard, ended, ended - began + _MARGIN_S)


async def recalled(source: LiveSource, for_s: float) -> tuple[Dashboard, float]:
    """Follow `source` for `for_s`; return what came, with what its workers remember, and until when."""
    dashboard = await _fold(source, Dashboard(source.name), 0.0, LATE_S, _all_connected)
    dashboard = await _fold(source, dashboard, 0.0, for_s)
    return dashboard, float(dashboard.history.newest)


def _all_connected(dashboard: Dashboard) -> bool:
    return bool(dashboard.workers) and all(track.joined_at is not None for track in dashboard.alive)


async def _fold(
    source: LiveSource,
    dashboard: Dashboard,
    began: float,
    within: Deadline | float,
    until: Callable[[Dashboard], bool] = lambda _: False,
    follow: Callable[[Dashboard], None] = lambda _: None,
) -> Dashboard:
    """Return `dashboard` with what comes; of history what began after `began`, as a dead worker leaves it."""
    deadline = within if isinstance(within, Deadline) else Deadline(within)
    while not until(dashboard) and deadline.left_s > 0:
        try:
            # Not `wait_for`: before Python 3.12 it forgets a ctrl+c that comes together with an event.
            async with deadline.limit():
                event = await anext(source)
        except TimeoutError:
            break
        if isinstance(event, HistoryReceived):
            event = replace(event, frames=tuple(each for each in event.frames if _began(each) >= began))
        dashboard = merge(dashboard, event)
        follow(dashboard)
    return dashboard


def _began(frame: Frame) -> float:
    return (frame.ended_at - frame.span_ns) / 1e9
