"""What the dashboard lives on: summaries of a service, and dumps of its workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from perftui.clock import now
from perftui.faults import FAULTS
from perftui.freezing import Freezing
from perftui.model.dashboard import Dashboard
from perftui.model.database import Databases
from perftui.model.events import EvidenceKept, FrameReceived, SourceEvent
from perftui.model.happenings import Finding
from perftui.model.left import with_left
from perftui.model.merge import merge
from perftui.model.steps import Steps, finished
from perftui.model.summarize import summary_steps
from perftui.model.summary import Summary
from perftui.sources.actions import take_dump, take_explanation, take_functions, take_memory, take_profile
from perftui.sources.databases import take_databases
from perftui.sources.live import LiveSource
from perftui_agent.wire.actions import Functions, Memory, Profile, Progress
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.explain import Explanation
from perftui_agent.wire.parts import RouteLabel, WorkerId


class Feed(Protocol):
    """A live target, a recording, or made-up data: the screens can't tell."""

    async def run(self, arrived: Callable[[WorkerId | None], None]) -> None:
        """Follow the target until cancelled; tell of each frame who sent it, None for any other news."""

    def summary(self, window_s: float, cursor: float | None = None) -> Summary:
        """Return the state over the window that ends at `cursor`, else now, or at the hold."""

    def past_steps(self, window_s: float, at: float) -> Steps[Summary] | None:
        """Return the state over the window that ended at a moment, in steps; None if it is not all known."""

    def reach(self) -> tuple[float | None, float]:
        """Return the first moment there is data of, None without any, and the present."""

    def summary_steps(self, window_s: float, cursor: float | None = None) -> Steps[Summary]:
        """Return what `summary` does now, in steps: what comes meanwhile is not in it."""

    def look_back(self) -> None:
        """Let the past come: the first picture has been painted."""

    def asked(self, event: EvidenceKept) -> None:
        """Take what somebody has asked for here: it is on the timeline from now on."""

    def judged(self, at: float, findings: Sequence[Finding]) -> None:
        """Take what stands in a picture of the present: what begins gravely is to be kept."""

    def hold(self) -> None:
        """Let `summary` tell of this moment from now on; data keeps coming."""

    def release(self) -> None:
        """Let `summary` tell of the present again."""

    async def dump(self, worker: WorkerId, *, locals_of: str = "") -> Dump | Refusal:
        """Return the stacks of every thread of a worker, or why there are none; see `sources.actions`."""

    async def profile(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        by_route: bool,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Profile | Refusal:
        """Return where a worker spends its time, or why nobody could tell."""

    async def memory(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Memory | Refusal:
        """Return what grows in a worker, or why it can't be told."""

    async def databases(self) -> Databases:
        """Return what the service's databases say themselves; see `sources.databases`."""

    async def functions(
        self,
        worker: WorkerId,
        *,
        route: RouteLabel,
        requests: int,
        for_s: float,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Functions | Refusal:
        """Return what the next requests of a route call in a worker, or why there is nothing."""

    async def explain(self, workers: Sequence[WorkerId], fingerprint: str) -> Explanation | Refusal:
        """Return how the database goes about a statement, by the first worker that has run it; or why not."""


class LiveFeed:
    """The workers of a live source, merged."""

    def __init__(self, source: LiveSource, clock: Callable[[], float] = now) -> None:
        self._source = source
        self._clock = clock
        self._dashboard = Dashboard(target=source.name)
        self._held: tuple[Dashboard, float] | None = None
        self._freezing = Freezing(source)

    async def run(self, arrived: Callable[[WorkerId | None], None]) -> None:
        """Merge what the source yields."""
        async for event in self._source:
            # A frame that can't be merged is missing in the sequence, and counted there as lost.
            with FAULTS.spared(f"a {type(event).__name__}"):
                self._dashboard = merge(self._dashboard, event)
            arrived(event.worker if isinstance(event, FrameReceived) else None)

    def settle_at(self, at: float, told: Iterable[tuple[float, SourceEvent]]) -> None:
        """Let `summary` tell of a moment from now on, with what workers have left that had ended by then."""
        with FAULTS.spared("what the dead have left"):
            self._dashboard = with_left(self._dashboard, told)
        self._held = (self._dashboard, at)

    def summary(self, window_s: float, cursor: float | None = None) -> Summary:
        """Return the state over the window that ends at `cursor`, else now, or at the hold."""
        return finished(self.summary_steps(window_s, cursor))

    def summary_steps(self, window_s: float, cursor: float | None = None) -> Steps[Summary]:
        """Return what `summary` does now, in steps."""
        dashboard, at = self._held or (self._dashboard, self._clock())
        return summary_steps(dashboard, at, window_s, cursor)

    def past_steps(self, window_s: float, at: float) -> Steps[Summary] | None:
        """Return the state over the window that ended at a moment, in steps; None if it is not all known."""
        first, now = self.reach()
        return None if first is None or at - window_s < first else self.summary_steps(window_s, min(at, now))

    def reach(self) -> tuple[float | None, float]:
        """Return the first moment there is data of, None without any, and the present."""
        first = min(self._dashboard.history.blocks, default=None)
        return (float(first) if first is not None else None), self._clock()

    def look_back(self) -> None:
        """Have the source tell of the past."""
        self._source.look_back()

    def asked(self, event: EvidenceKept) -> None:
        """Take what somebody has asked for here."""
        with FAULTS.spared("what was asked for"):
            self._dashboard = merge(self._dashboard, event)

    def judged(self, at: float, findings: Sequence[Finding]) -> None:
        """Have the workers keep what is around the beginning of a grave one."""
        with FAULTS.spared("what is to be kept"):
            self._freezing.judged(at, findings)

    def hold(self) -> None:
        """Stand still: a dashboard never changes, so the one of this moment is kept."""
        self._held = (self._dashboard, self._clock())

    def release(self) -> None:
        """Go on with the present."""
        self._held = None

    async def dump(self, worker: WorkerId, *, locals_of: str = "") -> Dump | Refusal:
        """Ask the worker's agent, or a sibling's, or the worker itself by a signal."""
        return await take_dump(self._source, worker, locals_of=locals_of)

    async def profile(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        by_route: bool,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Profile | Refusal:
        """Ask the worker's agent, or a sibling's."""
        return await take_profile(
            self._source, worker, for_s=for_s, by_route=by_route, told=told, finish=finish
        )

    async def memory(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Memory | Refusal:
        """Ask the worker's agent."""
        return await take_memory(self._source, worker, for_s=for_s, told=told, finish=finish)

    async def databases(self) -> Databases:
        """Have one worker ask them, and all say which sessions are theirs."""
        return await take_databases(self._source)

    async def functions(
        self,
        worker: WorkerId,
        *,
        route: RouteLabel,
        requests: int,
        for_s: float,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Functions | Refusal:
        """Ask the worker's agent."""
        return await take_functions(
            self._source, worker, route=route, requests=requests, for_s=for_s, told=told, finish=finish
        )

    async def explain(self, workers: Sequence[WorkerId], fingerprint: str) -> Explanation | Refusal:
        """Ask the workers' agents, one after the other."""
        return await take_explanation(self._source, workers, fingerprint)
