"""What stands at a service, second by second, as `perftui watch` would say it.

What workers remember from before is left out: a near miss is not to be told of what was on before it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from perftui.clock import now
from perftui.commands.judging import EVERY_S, WINDOW_S
from perftui.findings.steady import LATELY_S, Steady
from perftui.model.dashboard import Dashboard
from perftui.model.events import HistoryReceived
from perftui.model.happenings import Finding
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui.sources.live import LiveSource
from perftui.sources.target import parse_live


@dataclass(frozen=True, slots=True)
class Picture:
    """What stood at one moment of the monotonic clock."""

    at_s: float
    findings: tuple[Finding, ...]
    waited: float
    """How much of the last seconds a worker was ready to run and had no processor."""


class Watcher:
    """Follows a target in a thread of its own, and keeps what it has seen."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), daemon=True)
        self.pictures: list[Picture] = []

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def first(self, holds: Callable[[Picture], bool], since_s: float, within_s: float) -> float | None:
        """Return after how many seconds something first held; None if it didn't within some."""
        while True:
            over = time.monotonic() > since_s + within_s + EVERY_S
            for picture in self.since(since_s):
                if holds(picture):
                    return picture.at_s - since_s
            if over:
                return None
            time.sleep(0.1)

    def since(self, since_s: float) -> list[Picture]:
        """Return what was seen from a moment on."""
        return [picture for picture in list(self.pictures) if picture.at_s >= since_s]

    async def _watch(self) -> None:
        async with LiveSource(parse_live([self._target])) as source:
            dashboard, steady = Dashboard(source.name), Steady()

            async def read() -> None:
                nonlocal dashboard
                async for event in source:
                    if not isinstance(event, HistoryReceived):
                        dashboard = merge(dashboard, event)

            reading = asyncio.ensure_future(read())
            while not self._ended.is_set():
                await asyncio.sleep(EVERY_S)
                at = now()
                lately = summarize(dashboard, at, LATELY_S)
                steady, findings = steady.next(summarize(dashboard, at, WINDOW_S), lately)
                waits = [worker.contention.waited_share or 0.0 for worker in lately.workers]
                self.pictures.append(Picture(time.monotonic(), findings, max(waits, default=0.0)))
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
