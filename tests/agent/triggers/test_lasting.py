"""What one worker keeps seconds for by itself: frames in, kinds of findings out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from perftui_agent.guard import Guard
from perftui_agent.sketch import LatencySketch
from perftui_agent.triggers.lasting import SIGNS, LastingSigns
from perftui_agent.wire.database import DatabaseLook, DatabaseNews
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import SloTarget
from perftui_agent.wire.machine import CpuWait, Machine, Throttled
from perftui_agent.wire.outside import PoolFrame, UpstreamFrame
from perftui_agent.wire.process import LoopStats, ProcessStats, ThreadpoolStats
from perftui_agent.wire.requests import RouteFrame, StatusCounts

SECOND_NS = 1_000_000_000
MB = 1_000_000


def sketch(count: int, ms: float) -> LatencySketch:
    made = LatencySketch()
    made.add_all([int(ms * 1e6)] * count)
    return made


def route(count: int = 30, ms: float = 5.0, *, errors: int = 0, queued_ms: float = 0.0) -> RouteFrame:
    return RouteFrame(
        route="GET /",
        status=StatusCounts(success=count - errors, server_error=errors),
        latency=sketch(count, ms),
        queue_known=count,
        queue=sketch(count, queued_ms) if queued_ms else LatencySketch(),
    )


def throttled(share: float, waited: float) -> Machine:
    over = SECOND_NS
    return Machine(
        throttled=Throttled(cores=0.5, over_ns=over, periods=10, throttled=9, ns=int(share * over)),
        cpu_wait=CpuWait(over_ns=over, longest_ns=int(waited * over)),
    )


def frame(second: int, **said: object) -> Frame:
    made = Frame(
        seq=second,
        ended_at=second * SECOND_NS,
        steady_ns=second * SECOND_NS,
        span_ns=SECOND_NS,
        routes=[route()],
        loop=LoopStats(lag=sketch(20, 1.0)),
        process=ProcessStats(rss_bytes=200 * MB, memory_left_bytes=800 * MB, uptime_s=500.0 + second),
    )
    for name, value in said.items():
        setattr(made, name, value)
    return made


def kept(frames: list[Frame], *targets: SloTarget) -> list[str]:
    told: list[str] = []
    guard = Guard()
    signs = LastingSigns(targets, told.append, guard)
    for each in frames:
        signs.note(each)
    assert not guard.faults
    return told


TROUBLES: dict[str, Callable[[int], Frame]] = {
    "pool-exhausted": lambda t: frame(t, pools=[PoolFrame(name="p", kind="q", wait=sketch(20, 700.0))]),
    "client-pool-exhausted": lambda t: frame(
        t, upstreams=[UpstreamFrame(host="h", method="GET", library="httpx", longest_wait_ns=SECOND_NS)]
    ),
    "upstream-errors": lambda t: frame(
        t,
        upstreams=[UpstreamFrame(host="h", method="GET", library="httpx", latency=sketch(20, 3.0), errors=9)],
    ),
    "threadpool-exhausted": lambda t: frame(
        t, threadpool=ThreadpoolStats(used=40, total=40, waiting=9, wait=sketch(9, 1500.0))
    ),
    "cpu-saturated": lambda t: frame(t, loop=LoopStats(lag=sketch(2, 800.0))),
    "cpu-throttled": lambda t: frame(t, machine=throttled(0.6, 0.5), loop=LoopStats(lag=sketch(9, 60.0))),
    "queueing": lambda t: frame(t, routes=[route(queued_ms=900.0)]),
    "db-connections": lambda t: frame(
        t, database=DatabaseNews(looks=[DatabaseLook(engine="e", kind="postgresql", full=True)])
    ),
}
"""A second of each, beyond its bound."""

NEAR: dict[str, Callable[[int], Frame]] = {
    "pool-exhausted": lambda t: frame(t, pools=[PoolFrame(name="p", kind="q", wait=sketch(20, 300.0))]),
    "client-pool-exhausted": lambda t: frame(
        t, upstreams=[UpstreamFrame(host="h", method="GET", library="httpx", longest_wait_ns=SECOND_NS // 3)]
    ),
    "upstream-errors": lambda t: frame(
        t,
        upstreams=[UpstreamFrame(host="h", method="GET", library="httpx", latency=sketch(99, 3.0), errors=9)],
    ),
    "threadpool-exhausted": lambda t: frame(
        t, threadpool=ThreadpoolStats(used=40, total=40, waiting=9, wait=sketch(9, 300.0))
    ),
    "cpu-saturated": lambda t: frame(t, loop=LoopStats(lag=sketch(9, 300.0))),
    # Of two processors that stood still one had nothing to do.
    "cpu-throttled": lambda t: frame(t, machine=throttled(0.6, 0.1), loop=LoopStats(lag=sketch(9, 60.0))),
    "queueing": lambda t: frame(t, routes=[route(queued_ms=300.0)]),
    "db-connections": lambda t: frame(
        t, database=DatabaseNews(looks=[DatabaseLook(engine="e", kind="postgresql")])
    ),
}
"""The same within it."""


@pytest.mark.parametrize("kind", SIGNS)
def test_what_lasts_is_told_once_as_it_has_lasted(kind: str) -> None:
    """For three seconds it must be there; while it is, and for ten seconds without it, it is the same one."""
    trouble = TROUBLES[kind]

    assert kept([trouble(1), trouble(2), frame(3)]) == []
    assert kept([trouble(t) if t % 8 < 4 else frame(t) for t in range(60)]) == [kind]
    twice = [trouble(t) if t < 20 or t >= 40 else frame(t) for t in range(60)]
    assert kept(twice) == [kind, kind]


@pytest.mark.parametrize("kind", SIGNS)
def test_what_is_near_is_not_told(kind: str) -> None:
    """Within the bound from which the finding is of high severity nothing is kept."""
    assert kept([NEAR[kind](t) for t in range(60)]) == []


@pytest.mark.parametrize(
    ("target", "bad"),
    [
        (SloTarget(p95_ms=200), {"ms": 300.0}),
        (SloTarget(p99_ms=200), {"ms": 300.0}),
        (SloTarget(error_rate=0.05), {"errors": 3}),
        (SloTarget(route="GET /", p95_ms=100), {"ms": 300.0}),
        (SloTarget(route="GET /", error_rate=0.02), {"errors": 3}),
    ],
)
def test_a_target_of_the_service_that_is_missed_is_told(target: SloTarget, bad: dict[str, float]) -> None:
    """Once, some seconds after the requests that miss it have come."""
    frames = [frame(t, routes=[route(**(bad if t >= 20 else {}))]) for t in range(60)]  # type: ignore[arg-type]

    assert kept(frames[:22], target) == []
    assert kept(frames, target) == ["slo-breach"]
    assert kept(frames) == []


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        (SloTarget(p95_ms=400), route(ms=300.0)),
        (SloTarget(route="GET /", p95_ms=200), route(ms=300.0)),
        (SloTarget(route="GET /other", p95_ms=100), route(ms=300.0)),
        (SloTarget(p95_ms=200), route(1, ms=300.0)),
        (SloTarget(rps=1000.0), route()),
    ],
)
def test_a_target_that_is_met_or_missed_by_little_is_not_told(target: SloTarget, seen: RouteFrame) -> None:
    """Nor by a route to less than twice its target, by a few requests, or by a rate."""
    assert kept([frame(t, routes=[seen]) for t in range(60)], target) == []


def growing(per_s: int, *, left: int = 800 * MB, uptime_s: float = 500.0, until: int = 60) -> list[Frame]:
    def process(t: int) -> ProcessStats:
        grown = per_s * min(t, until)
        return ProcessStats(rss_bytes=200 * MB + grown, memory_left_bytes=left - grown, uptime_s=uptime_s + t)

    return [frame(t, process=process(t)) for t in range(60)]


def test_memory_that_ends_within_two_minutes_is_told() -> None:
    """It is told long before it is used up."""
    assert kept(growing(10 * MB)[:30]) == ["memory-growth"]
    assert kept(growing(30 * MB, left=10_000 * MB)) == []


def test_memory_that_has_levelled_off_or_is_being_loaded_is_not_told() -> None:
    """A leap is none, nor is a young worker that takes less than half of what there is."""
    assert kept(growing(15 * MB, left=3_000 * MB, until=3)) == []
    assert kept(growing(10 * MB, uptime_s=1.0)[:30]) == []


def test_a_fault_in_looking_costs_a_count() -> None:
    """The frame goes its way."""
    guard, told = Guard(), list[str]()
    signs = LastingSigns([], told.append, guard)
    signs.note(frame(1, pools=[None]))
    assert guard.faults == {"triggers.lasting": 1}
