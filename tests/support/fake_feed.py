"""A made-up service for the screens: any number of workers and routes, in any trouble, at any time.

`python -m tests.support.fake_feed [workers] [routes] [blocked|gone|silent|stale|slo|errors …]` opens
the dashboard on one that lives. Everything is a function of the moment, so the same moment always gives
the same picture.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from perftui.model.database import Databases
from perftui.model.events import EvidenceKept
from perftui.model.happenings import Finding
from perftui.model.measures import Coverage
from perftui.model.steps import Steps
from perftui.model.summary import Summary
from perftui_agent.wire.actions import Functions, Memory, Profile, Progress
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.explain import Explanation
from perftui_agent.wire.parts import RouteLabel, WorkerId
from tests.support.fake_dump import blocked_dump
from tests.support.fake_figures import NOON, moments_in, points_of, totals_of
from tests.support.fake_memory import leaking
from tests.support.fake_plan import scanning
from tests.support.fake_profile import called_by, profile_of
from tests.support.fake_routes import NAMES, many_routes, route_of
from tests.support.fake_troubles import with_troubles
from tests.support.fake_workers import identity_of, worker_of


@dataclass(slots=True)
class FakeFeed:
    """A service that has as many workers and routes as asked for, and the troubles named."""

    workers: int = 4
    names: tuple[tuple[str, float, float], ...] = NAMES
    """Label, requests a second, median in ms."""
    troubles: Collection[str] = ()
    clock: Callable[[], float] = lambda: NOON
    answer: Dump | Refusal | None = None
    dumped: list[WorkerId] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)
    """Whose variables were wanted with each dump."""
    profiled: list[tuple[WorkerId, bool]] = field(default_factory=list)
    """Whose profile was taken, and whether by route."""
    profile_waits: bool = False
    """Whether a profile goes on until it is to end."""
    profile_scale: float = 1.0
    """How much longer its reports take than in others."""
    held: float | None = None
    database: Databases = field(default_factory=Databases)
    """What its databases say."""
    asked_databases: int = 0
    memory_s: float = 900.0
    """How far back it knows."""

    async def run(self, arrived: Callable[[WorkerId | None], None]) -> None:
        """Have every worker speak once a second."""
        while True:
            for number in range(self.workers):
                arrived(identity_of(number).id)
            await asyncio.sleep(1.0)

    def summary_steps(self, window_s: float, cursor: float | None = None) -> Steps[Summary]:
        """Return the summary after one step."""
        yield
        return self.summary(window_s, cursor)

    def past_steps(self, window_s: float, at: float) -> Steps[Summary] | None:
        """Return nothing: what is wrong with it has just begun."""

    def look_back(self) -> None:
        """Do nothing: its past is made up when it is asked for."""

    def asked(self, event: EvidenceKept) -> None:
        """Do nothing: its past is made up."""

    def judged(self, at: float, findings: Sequence[Finding]) -> None:
        """Do nothing: nothing of it is ever overwritten."""

    def hold(self) -> None:
        """Stand still."""
        self.held = self.clock()

    def release(self) -> None:
        """Go on."""
        self.held = None

    async def dump(self, worker: WorkerId, *, locals_of: str = "") -> Dump | Refusal:
        """Give the answer laid in, or a dump of a blocked worker."""
        self.dumped.append(worker)
        self.asked_for.append(locals_of)
        return self.answer or blocked_dump(int(worker.split("/")[1]), locals_of)

    async def profile(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        by_route: bool,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Profile | Refusal:
        """Tell of a half, wait to be let go on, and give the whole; the answer laid in at once."""
        self.profiled.append((worker, by_route))
        if isinstance(self.answer, Refusal):
            return self.answer
        pid = int(worker.split("/")[1])
        told(Progress(id="p", done=0.5, text="half", profile=profile_of(pid, part=0.5)))
        if self.profile_waits:
            await finish.wait()
            return profile_of(pid, part=0.5)
        return profile_of(pid, scale=self.profile_scale)

    async def memory(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Memory | Refusal:
        """Give the answer laid in, or what grows in a worker that leaks."""
        self.profiled.append((worker, False))
        told(Progress(id="m", done=0.5, text="12.0 MB since the start"))
        if self.profile_waits:
            await finish.wait()
        return self.answer if isinstance(self.answer, Refusal) else leaking(int(worker.split("/")[1]))

    async def databases(self) -> Databases:
        """Give what was laid in."""
        self.asked_databases += 1
        return self.database

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
        """Give the answer laid in, or what the requests of a slow route call."""
        self.profiled.append((worker, True))
        told(Progress(id="f", done=0.15, text=f"3 of {requests} requests"))
        if self.profile_waits:
            await finish.wait()
        if isinstance(self.answer, Refusal):
            return self.answer
        number = 3 if self.profile_waits else requests
        return called_by(int(worker.split("/")[1]), route, number, requests)

    async def explain(self, workers: Sequence[WorkerId], fingerprint: str) -> Explanation | Refusal:
        """Give the answer laid in, or the plan of a statement that misses an index."""
        self.profiled.append((workers[0], False))
        return self.answer if isinstance(self.answer, Refusal) else scanning(fingerprint)

    def reach(self) -> tuple[float | None, float]:
        """Return where the memory begins, and the present."""
        now = self.clock()
        return (None if "connecting" in self.troubles else math.floor(now) - self.memory_s), now

    def summary(self, window_s: float, cursor: float | None = None) -> Summary:
        """Return the service at this moment."""
        now = cursor if cursor is not None else self.held if self.held is not None else self.clock()
        return _summary_at(now, window_s, self.workers, self.names, tuple(self.troubles))


@lru_cache(256)
def _summary_at(
    now: float,
    window_s: float,
    number_of_workers: int,
    names: tuple[tuple[str, float, float], ...],
    troubles: tuple[str, ...],
) -> Summary:
    """Return what was made up for this moment: tests look at the same one again and again."""
    if "connecting" in troubles:
        return Summary("localhost:8000", None, now, window_s)
    moments = moments_in(now, window_s)
    routes = (
        ()
        if "idle" in troubles
        else tuple(
            route_of(row, now, window_s, moments, workers=number_of_workers, troubles=troubles)
            for row in names
        )
    )
    totals = totals_of(routes, window_s)
    workers = tuple(
        worker_of(number, now, moments, totals, workers=number_of_workers)
        for number in range(number_of_workers)
    )
    totals = replace(totals, in_flight=sum(worker.in_flight or 0 for worker in workers))
    summary = Summary(
        target="localhost:8000",
        service="shop",
        at=now,
        window_s=window_s,
        link="stale" if "stale" in troubles else "live",
        stale_s=12.0 if "stale" in troubles else None,
        coverage=Coverage(number_of_workers, number_of_workers, 0),
        totals=totals,
        points=points_of(moments, totals),
        routes=tuple(sorted(routes, key=lambda route: -route.total_ms)),
        workers=workers,
    )
    return with_troubles(summary, troubles)


if __name__ == "__main__":
    from perftui.app import show

    given = sys.argv[1:]
    counts = [int(text) for text in given if text.isdigit()]
    sys.exit(
        show(
            FakeFeed(
                workers=counts[0] if counts else 4,
                names=many_routes(counts[1]) if len(counts) > 1 else NAMES,
                troubles=[text for text in given if not text.isdigit()],
                clock=time.time,
            )
        )
    )
