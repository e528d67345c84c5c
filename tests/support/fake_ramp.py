"""A ramp of a service that is played by arithmetic: the real search, and a pool of connections that gives.

`course(steps=6)` is under way in its sixth step, `course()` is over; the same every time.
"""

from __future__ import annotations

import random
from dataclasses import replace

from perftui.model.ramp import RampCourse, RampLimit, RampNow, RampStep
from perftui.ramp.judgement import Step
from perftui.ramp.search import advance, begin
from tests.perftui.ramp.simulated import Simulated
from tests.support.fake_figures import NOON

CAPACITY = 330.0
POOL = 15

GAVE = RampLimit(
    "pool", "shop", "15 of 15 connections of shop are out, p95 wait 840 ms",
    "pool 15 → 40 a process, or hold connections for less long", 620.0,
)  # fmt: skip
NEXT = RampLimit("loop", "orders.py:41", "the event loop of worker 4121 is busy 62 % of the time")


def course(steps: int | None = None, *, limits: tuple[RampLimit, ...] = (GAVE, NEXT)) -> RampCourse:
    """Return the ramp in its step number `steps`, else when it is over."""
    service = Simulated(CAPACITY, 4.0, random.Random(7), bound_ms=200.0)
    search = begin(5.0, 1000.0)
    seen: list[RampStep] = []
    while search.next_rate is not None:
        phase = search.phase
        search = advance(search, service.at(search.next_rate))
        seen.append(_step(search.steps[-1], NOON + 12.0 * len(seen)))
        if len(seen) == steps:
            break
    at = RampCourse(
        requests=("GET /items/{1..5000}", "GET /orders"),
        targets=("p95<200ms", "errors<1%"),
        most_rps=1000.0,
        began_at=NOON,
        longest_s=900.0,
        steps=tuple(seen),
    )
    if steps is not None:
        return replace(at, steps=at.steps[:-1], now=RampNow(at.steps[-1], phase, 9, is_warm=False))
    bracket = search.bracket or (0.0, 0.0)
    return replace(
        at,
        verdict=f"knee {search.knee_rps:.0f}/s ({bracket[0]:.0f} … {bracket[1]:.0f}), a cliff",
        knee_rps=search.knee_rps,
        bracket=search.bracket,
        limits=limits,
        following=NEXT,
        law="0.4 % of a request's time others wait for (contention): no more than some 420/s",
    )


def _step(step: Step, at: float) -> RampStep:
    seen = step.seen
    load = seen.rate / CAPACITY
    delivered = seen.delivered if seen.delivered is not None else 1.0
    return RampStep(
        at=at,
        rate=seen.rate,
        answered=seen.rate * delivered,
        sent=seen.sent,
        done=seen.done,
        p50_ms=seen.p50_ms,
        p95_ms=seen.p95_ms,
        p99_ms=seen.p99_ms,
        queue_p95_ms=0.4 + 3 * load,
        used={
            "loop": min(0.62 * load, 1.0), "gil": min(0.4 * load, 1.0), "cpu": min(0.5 * load, 1.0),
            "threadpool": 0.0, "pool": min(load**2 * 1.05, 1.0), "memory": 0.31,
        },
        time_in={"database": min(0.3 + 0.1 * load, 1.0)},
        why="missed p95<200ms" if step.why else "",
    )  # fmt: skip
