"""What screens have a worker or a database asked for: the feed is asked, and the recording told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from perftui.feed import Feed
from perftui.model.database import Databases
from perftui_agent.wire.actions import Functions, Memory, Profile, Progress
from perftui_agent.wire.explain import Explanation
from perftui_agent.wire.frames import Dump, Refusal, RouteLabel, WorkerId
from perftui_agent.wire.messages import ActionResult


class Asking:
    """The part of the app that asks."""

    _feed: Feed

    def took(self, worker: WorkerId, kind: str, result: ActionResult, text: str) -> None:
        """Have what a worker was asked for noted."""
        raise NotImplementedError

    async def take_dump(self, worker: WorkerId, *, locals_of: str = "") -> Dump | Refusal:
        """Return the stacks of a worker, or why there are none."""
        answer = await self._feed.dump(worker, locals_of=locals_of)
        if isinstance(answer, Dump):
            self.took(worker, answer.method, answer, "a dump was taken")
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
            self.took(worker, answer.engine, answer, "a profile was taken")
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
            self.took(worker, "memory", answer, "it was watched what grows")
        return answer

    async def ask_databases(self) -> Databases:
        """Return what the service's databases say themselves."""
        return await self._feed.databases()

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
            self.took(worker, "functions", answer, f"the functions of {route} were measured")
        return answer

    async def explain(self, workers: Sequence[WorkerId], fingerprint: str) -> Explanation | Refusal:
        """Return how the database goes about a statement, or why nobody could tell."""
        return await self._feed.explain(workers, fingerprint)
