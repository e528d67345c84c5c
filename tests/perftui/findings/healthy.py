"""An hour of a service that is well, as its workers' frames would tell it: `for events in Hour(seed=1)`.

Nothing in it stands still: the rate follows a day that takes an hour, with rushes; routes have latencies of
their own, among them a report that is slow and meant to be, and some that are hardly asked for; workers have
collections, moments in which the loop answers late, caches that warm up and expire, statements of which one
in a hundred is slow, answers of another service, errors of which there are always some; and at some moment
all of them are replaced by a new version, one after the other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from perftui.findings.steady import LATELY_S, Steady
from perftui.model.dashboard import Dashboard
from perftui.model.events import SourceEvent
from perftui.model.happenings import Finding
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.channels import ChannelFrame
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import SloTarget, WorkerIdentity
from perftui_agent.wire.outside import CacheFrame, PoolFrame, StatementFrame, UpstreamFrame
from perftui_agent.wire.process import GcStats, LoopStats, ProcessStats, ThreadpoolStats
from perftui_agent.wire.requests import RepeatedShape, RouteFrame, StatusCounts
from tests.support.frames import T, gone, joined, received, sketch, worker

HOUR_S = 3600

SPAN_S = 2
"""Of a frame: an agent whose worker is busy sends one every other second."""

WINDOWS_S = (10.0, 22.0, 60.0)
"""A snapshot's, that of `perftui watch` (together with the first), the dashboard's: judged in turns, …"""

EVERY_S = 10
"""… each time after so many seconds."""

TARGETS = (
    SloTarget(route=None, p95_ms=250.0, error_rate=0.02),
    SloTarget(route="GET /reports", p95_ms=2_000.0),
)


@dataclass(frozen=True, slots=True)
class _Route:
    """One route as it is on a good day."""

    label: str
    share: float
    median_ms: float
    sigma: float
    body_bytes: int
    statements: int = 0
    fails: float = 0.0003


ROUTES = (
    _Route("GET /items/{item_id}", 40.0, 4.0, 0.5, 600, statements=1),
    _Route("GET /items", 22.0, 12.0, 0.5, 9_000, statements=1),
    _Route("POST /orders", 9.0, 45.0, 0.4, 200, statements=4),
    _Route("GET /orders", 9.0, 25.0, 0.5, 30_000, statements=2),
    _Route("GET /search", 12.0, 30.0, 0.7, 8_000, statements=1),
    _Route("GET /weather", 5.0, 70.0, 0.4, 400),
    _Route("GET /reports", 0.6, 600.0, 0.35, 40_000, statements=1),
    _Route("GET /catalog", 0.5, 60.0, 0.4, 300_000, statements=1),
    _Route("GET /healthz", 2.0, 0.4, 0.6, 15),
    _Route("DELETE /orders/{order_id}", 0.02, 30.0, 0.6, 0, statements=2),
)


@dataclass(slots=True)
class Hour:
    """The events of an hour, frame by frame; the same seed gives the same hour."""

    seed: int
    workers: int = 2
    rps: float = 30.0
    rng: random.Random = field(init=False)
    _living: list[WorkerIdentity] = field(init=False)
    _deploy_at: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self._living = [worker(1000 + number, T - 90.0) for number in range(self.workers)]
        first = 2 * self.rng.randint(450, 1200)
        self._deploy_at = [first + 20 * number for number in range(self.workers)]

    def __iter__(self) -> Iterator[tuple[float, Sequence[SourceEvent]]]:
        """Yield the end of each span, and what was learnt in it."""
        seq = dict.fromkeys((each.id for each in self._living), 0)
        yield float(T), [joined(each, T, TARGETS) for each in self._living]
        for second in range(SPAN_S, HOUR_S + 1, SPAN_S):
            at = float(T + second)
            events: list[SourceEvent] = []
            for place, identity in enumerate(self._living):
                if second == self._deploy_at[place]:
                    renewed = worker(2000 + place, at - 2.0)
                    self._living[place] = renewed
                    seq[renewed.id], before = 0, seq[identity.id] + 1
                    # It has finished what it had.
                    last = self._frame(identity, before, at, in_flight=0)
                    events += [received(identity, last), gone(identity, at), joined(renewed, at, TARGETS)]
                    continue
                seq[identity.id] += 1
                events.append(received(identity, self._frame(identity, seq[identity.id], at)))
            yield at, events

    def rate(self, at: float) -> float:
        """Return how many requests a second come: a day in an hour, and two rushes of half a minute."""
        passed = (at - T) / HOUR_S
        curve = 0.55 - 0.45 * math.cos(2 * math.pi * passed)
        rush = 1.7 if passed % 0.5 > 0.49 else 1.0
        return self.rps * curve * rush + 0.5

    def _frame(self, identity: WorkerIdentity, seq: int, at: float, in_flight: int | None = None) -> Frame:
        rng, age_s = self.rng, at - identity.started_at
        # Connections are kept, so a few clients load one worker more than the other for some time.
        leaning = 1.0 + 0.35 * math.sin(at / 97.0 + identity.pid)
        rate = self.rate(at) / self.workers * leaning
        whole = sum(each.share for each in ROUTES)
        slower = 1.0 + 0.3 * rng.random() + (0.4 if age_s < 20 else 0.0)
        counts = {each: _poisson(rng, SPAN_S * rate * each.share / whole) for each in ROUTES}
        served = [(each, number) for each, number in counts.items() if number]
        return Frame(
            seq=seq,
            ended_at=round(at * 1e9),
            span_ns=SPAN_S * 1_000_000_000,
            routes=[self._route(each, number, slower) for each, number in served],
            in_flight=rng.randint(0, 3) if in_flight is None else in_flight,
            open_websockets=3,
            listen_overflows=0,
            process=self._process(age_s, rate),
            loop=LoopStats(lag=sketch([*(rng.uniform(0.1, 3.0) for _ in range(18)), self._late_ms()])),
            threadpool=ThreadpoolStats(used=rng.randint(0, 6), total=40, waiting=0),
            gc=GcStats(pauses=sketch([rng.uniform(0.5, 9.0)] if rng.random() < 0.4 else [])),
            statements=self._statements(served, slower),
            pools=[self._pool(sum(each.statements * number for each, number in served))],
            caches=[self._cache(age_s, rate)],
            upstreams=[self._upstream(counts[ROUTES[5]], slower)] if counts[ROUTES[5]] else [],
            channels=[self._channel()],
        )

    def _late_ms(self) -> float:
        return self.rng.uniform(15.0, 60.0) if self.rng.random() < 0.03 else self.rng.uniform(0.2, 5.0)

    def _route(self, each: _Route, number: int, slower: float) -> RouteFrame:
        rng = self.rng
        took = [each.median_ms * slower * rng.lognormvariate(0.0, each.sigma) for _ in range(number)]
        queued = [rng.uniform(2.0, 30.0) if rng.random() < 0.02 else 0.3 for _ in took]
        failed = sum(rng.random() < each.fails for _ in took)
        refused = sum(rng.random() < 0.01 for _ in took[failed:])
        bodies = LatencySketch()
        for _ in took:
            bodies.add(round(each.body_bytes * rng.uniform(0.8, 1.2)))
        sql_ns = round(0.5e6 * each.median_ms * slower * number) if each.statements else 0
        repeats = []
        if each.statements > 2:
            # Three look-ups of a shape, as code does.
            repeats.append(
                RepeatedShape(
                    fingerprint=f"{each.label} 1",
                    call_site="app/orders.py:20 price",
                    requests=number,
                    executions=3 * number,
                    distinct_binds=3 * number,
                    total_ns=4_000_000 * number,
                    most=3,
                )
            )
        return RouteFrame(
            route=each.label,
            status=StatusCounts(success=number - failed - refused, client_error=refused, server_error=failed),
            latency=sketch([one + wait for one, wait in zip(took, queued, strict=True)]),
            queue_known=number,
            queue=sketch(queued),
            ttfb=sketch(took),
            body_bytes=bodies,
            serialized=number,
            serialize_ns=round(0.4e6 * number),
            sql_count=each.statements * number,
            sql_ns=sql_ns,
            http_count=number if each is ROUTES[5] else 0,
            http_ns=round(sum(took) * 0.8e6) if each is ROUTES[5] else 0,
            repeats=repeats,
        )

    def _statements(self, served: Sequence[tuple[_Route, int]], slower: float) -> list[StatementFrame]:
        rng, frames = self.rng, []
        for each, number in served:
            for place in range(each.statements):
                usual_ms = 0.4 * each.median_ms * slower / each.statements
                took = [usual_ms * rng.lognormvariate(0.0, 0.4) for _ in range(number)]
                # One in two hundred is slow: a cold page, a lock, a busy machine.
                took = [one + 120.0 if rng.random() < 0.005 else one for one in took]
                frames.append(
                    StatementFrame(
                        fingerprint=f"{each.label} {place}",
                        statement=f"SELECT {place} FROM t WHERE id = ?",
                        latency=sketch(took),
                        slow=sum(one >= 100.0 for one in took),
                        routes={each.label: number},
                        database="shop",
                        same_binds=sum(rng.random() < 0.3 for _ in took),
                    )
                )
        return frames

    def _pool(self, checkouts: int) -> PoolFrame:
        rng = self.rng
        waits = [rng.uniform(5.0, 40.0) if rng.random() < 0.004 else 0.02 for _ in range(checkouts)]
        out = min(checkouts, rng.randint(0, 8))
        return PoolFrame(
            name="shop",
            kind="QueuePool",
            size=5,
            checked_out=out,
            overflow=max(0, out - 5),
            max=15,
            checkouts=checkouts,
            wait=sketch(waits),
            waiting=0,
        )

    def _cache(self, age_s: float, rate: float) -> CacheFrame:
        rng, lookups = self.rng, _poisson(self.rng, SPAN_S * rate * 0.6)
        hit = 0.85 if age_s > 90 else 0.85 * age_s / 90
        hits = sum(rng.random() < hit for _ in range(lookups))
        misses = lookups - hits
        full = min(4096, round(age_s * 20))
        together = int(misses > 1 and rng.random() < 0.05)
        return CacheFrame(
            name="items",
            kind="cachetools.TTLCache",
            hits=hits,
            misses=misses,
            evictions=0,
            expirations=misses // 2,
            stampedes=together,
            filled=misses,
            size=full,
            maxsize=4096,
        )

    def _upstream(self, calls: int, slower: float) -> UpstreamFrame:
        rng = self.rng
        answers = sketch([55.0 * slower * rng.lognormvariate(0.0, 0.35) for _ in range(calls)])
        failed = int(rng.random() < 0.004 * calls)
        return UpstreamFrame(
            host="api.weather.example",
            method="GET",
            library="httpx",
            latency=answers,
            answer=answers,
            errors=failed,
            requests=calls,
            opened=int(rng.random() < 0.1),
            connections=5,
            idle=4,
            limit=100,
            routes={"GET /weather": calls},
            spent={"GET /weather": answers.total},
        )

    def _channel(self) -> ChannelFrame:
        handled = sketch([self.rng.lognormvariate(2.3, 0.5) for _ in range(_poisson(self.rng, 2.0 * SPAN_S))])
        return ChannelFrame(route="WS /ws/prices", kind="websocket", open=3, handling=handled)

    def _process(self, age_s: float, rate: float) -> ProcessStats:
        # It grows as it warms up, and breathes from then on.
        warm = 90e6 + 40e6 * min(1.0, age_s / 120.0)
        rss = warm + 6e6 * math.sin(age_s / 40.0) + self.rng.uniform(0, 4e6)
        return ProcessStats(
            cpu_percent=min(85.0, 4.0 + 1.3 * rate * self.rng.uniform(0.7, 1.3)),
            rss_bytes=round(rss),
            threads=8,
            open_files=30,
            uptime_s=age_s,
            memory_left_bytes=4_000_000_000,
            memory_left_in="host",
        )


def _poisson(rng: random.Random, mean: float) -> int:
    """Return how many come of which `mean` come on average (Knuth)."""
    least, number, product = math.exp(-mean), 0, rng.random()
    while product > least:
        number, product = number + 1, product * rng.random()
    return number


Said: TypeAlias = tuple[float, float, Finding]
"""In which window, at which moment, and what."""


def told(seed: int, every_s: int = EVERY_S) -> Iterator[Said]:
    """Yield every finding of an hour."""
    steady = dict.fromkeys(WINDOWS_S, Steady())
    dashboard = Dashboard("localhost:8000")
    for at, events in Hour(seed):
        second = round(at - T)
        for event in events:
            dashboard = merge(dashboard, event)
        if second and second % every_s == 0:
            window_s = WINDOWS_S[second // every_s % len(WINDOWS_S)]
            summary = summarize(dashboard, at + 0.05, window_s)
            lately = summarize(dashboard, at + 0.05, LATELY_S) if window_s > LATELY_S else None
            steady[window_s], findings = steady[window_s].next(summary, lately)
            yield from ((window_s, at, each) for each in findings)


def false_alarms(said: Iterable[Said]) -> list[str]:
    """Return what was said besides that workers were replaced, as a fact of low severity."""
    return [
        f"{each.kind} {each.subject} in {window_s:g} s at {at - T:.0f} s: {each.sentence}"
        for window_s, at, each in said
        if (each.kind, each.severity) != ("worker-restarted", "low")
    ]
