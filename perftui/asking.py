"""What screens have a worker or a database asked for: the feed is asked, and the recording told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from perftui.clock import now
from perftui.feed import Feed
from perftui.model.asked import databases_evidence
from perftui.model.database import Databases
from perftui.model.events import EvidenceKept
from perftui.model.parts import pid_of
from perftui_agent.wire.actions import Functions, Memory, Profile, Progress
from perftui_agent.wire.asked import asked_evidence
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.explain import Explanation
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.messages import ActionResult
from perftui_agent.wire.parts import RouteLabel, WorkerId


class Asking:
    """The part of the app that asks."""

    _feed: Feed

    def keep(self, event: EvidenceKept) -> None:
        """Have what a worker was asked for kept."""
        raise NotImplementedError

    def took(self, worker: WorkerId, result: ActionResult) -> None:
        """Have what a worker was asked for on the timeline, and in the recording."""
        self._asked(asked_evidence(worker, result))

    def _asked(self, evidence: Evidence | None) -> None:
        if evidence is not None:
            event = EvidenceKept(evidence.worker, (evidence,), now())
            self._feed.asked(event)
            self.keep(event)

    async def take_dump(self, worker: WorkerId, *, locals_of: str = "") -> Dump | Refusal:
        """Return the stacks of a worker, or why there are none."""
        answer = await self._feed.dump(worker, locals_of=locals_of)
        if isinstance(answer, Dump):
            self.took(worker, answer)
        return answer

    async def take_profile(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        by_route: bool,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Profile | Refusal:
        """Return where a worker spends its time, or why nobody could tell."""
        answer = await self._feed.profile(worker, for_s=for_s, by_route=by_route, told=told, finish=finish)
        if isinstance(answer, Profile):
            self.took(worker, answer)
        return answer

    async def watch_memory(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Memory | Refusal:
        """Return what grows in a worker, or why it can't be told."""
        answer = await self._feed.memory(worker, for_s=for_s, told=told, finish=finish)
        if isinstance(answer, Memory):
            self.took(worker, answer)
        return answer

    async def ask_databases(self) -> Databases:
        """Return what the service's databases say themselves."""
        databases = await self._feed.databases()
        self._asked(databases_evidence(databases))
        return databases

    async def measure_functions(
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
        answer = await self._feed.functions(
            worker, route=route, requests=requests, for_s=for_s, told=told, finish=finish
        )
        if isinstance(answer, Functions):
            self.took(worker, answer)
        return answer

    async def explain(self, workers: Sequence[WorkerId], fingerprint: str) -> Explanation | Refusal:
        """Return how the database goes about a statement, or why nobody could tell."""
        answer = await self._feed.explain(workers, fingerprint)
        if isinstance(answer, Explanation):
            by = next((each for each in workers if pid_of(each) == answer.pid), workers[0])
            self.took(by, answer)
        return answer
