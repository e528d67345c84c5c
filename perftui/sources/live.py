"""A live target as the dashboard wants it: events folded into a picture that can be held still."""

from __future__ import annotations

import time
from collections.abc import Callable

from perftui.model.dashboard import Dashboard
from perftui.model.events import FrameReceived
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.sources.dumps import take_dump
from perftui.sources.local import LocalSource
from perftui_agent.wire.frames import Dump, Refusal, WorkerId


class LiveFeed:
    """What `perftui connect` shows; `run` it, and ask it for summaries meanwhile."""

    def __init__(self, source: LocalSource) -> None:
        self.dashboard = Dashboard(source.name)
        self._source = source
        self._held: tuple[Dashboard, float] | None = None

    async def run(self, arrived: Callable[[WorkerId | None], None]) -> None:
        """Follow the target until cancelled; tell of each frame who sent it, None for any other news.

        Raises `TargetError` if there is nothing to follow.
        """
        async with self._source as source:
            self.dashboard = Dashboard(source.name)
            async for event in source:
                self.dashboard = merge(self.dashboard, event)
                arrived(event.worker if isinstance(event, FrameReceived) else None)

    def summary(self, window_s: float) -> Summary:
        """Return the picture over the window that ends now, or at the hold."""
        dashboard, at = self._held or (self.dashboard, time.time())
        return summarize(dashboard, at, window_s)

    def hold(self) -> None:
        """Let `summary` tell of this moment from now on; data keeps coming."""
        self._held = self.dashboard, time.time()

    def release(self) -> None:
        """Let `summary` tell of the present again."""
        self._held = None

    async def dump(self, worker: WorkerId) -> Dump | Refusal:
        """Return the stacks of every thread of a worker, or why there are none."""
        return await take_dump(self._source, worker)
