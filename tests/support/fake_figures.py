"""Made-up figures that go up and down: a function of the moment, so the same moment gives the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from random import Random

from perftui.model.measures import Latency, Point, Queued, Totals
from perftui.model.route_summary import RouteSummary
from perftui_agent.sketch import LatencySketch

NOON = 1_795_262_400.0
"""A moment to take pictures of."""

_kept = lru_cache(1 << 16)
"""Nearly half of what a test of a screen computes would be the same figures, made up once more."""


@_kept
def wave_at(moment: float, phase: float) -> float:
    """Return something between 0 and 1 that goes up and down, with a little noise."""
    noise = Random(int(moment) * 31 + int(phase * 1000)).random()
    return min(max(0.45 + 0.35 * math.sin(moment / 47 + phase) + 0.2 * (noise - 0.5), 0.0), 1.0)


def moments_in(now: float, window_s: float) -> tuple[float, ...]:
    """Return the moments of a window, at most 120, up to now."""
    step = max(window_s / 120, 1.0)
    last = math.floor(now / step) * step
    return tuple(last - step * place for place in reversed(range(int(window_s / step))))


def around(mean: float | None, moments: Sequence[float], phase: float, power: int = 1) -> list[float]:
    """Return a figure at each moment whose mean is that of the whole window: a peak is no less."""
    waves = [0.3 + wave_at(moment, phase) ** power for moment in moments]
    scale = (mean or 0.0) * len(waves) / sum(waves) if waves else 0.0
    return [scale * wave for wave in waves]


def latency_of(sketch: LatencySketch) -> Latency:
    """Return what a sketch says."""

    def quantile(q: float) -> float | None:
        value = sketch.quantile(q)
        return value / 1e6 if value is not None else None

    longest = sketch.max / 1e6 if sketch.count else None
    return Latency(sketch.count, quantile(0.5), quantile(0.95), quantile(0.99), longest)


@_kept
def sketch_of(median_ms: float, count: int, seed: int) -> LatencySketch:
    """Return a sample of so many times, one in ten of them slow."""
    random = Random(seed)
    sketch = LatencySketch()
    for _ in range(min(count, 400)):
        slow = 4.0 if random.random() < 0.1 else 1.0
        sketch.add(int(random.lognormvariate(math.log(median_ms * slow), 0.5) * 1e6))
    return sketch


def points_of(moments: Sequence[float], totals: Totals) -> tuple[Point, ...]:
    """Return what the charts draw of these totals."""
    if not totals.requests:
        return tuple(Point(moment) for moment in moments)
    latency = totals.latency
    in_flight = [int(3 + 20 * wave_at(moment, 4) ** 2) for moment in moments]
    in_flight[-1] = totals.in_flight
    rps, errors = around(totals.rps, moments, 0), around(totals.error_rate, moments, 1)
    p50, p95, p99 = (
        around(value, moments, phase, power)
        for value, phase, power in ((latency.p50_ms, 2, 1), (latency.p95_ms, 3, 3), (latency.p99_ms, 3.3, 3))
    )
    return tuple(
        Point(at, rps[place], errors[place], p50[place], p95[place], p99[place], in_flight[place])
        for place, at in enumerate(moments)
    )


def _times(sketch: LatencySketch, number: int) -> LatencySketch:
    buckets = {bucket: count * number for bucket, count in sketch.buckets.items()}
    return LatencySketch(sketch.count * number, sketch.total * number, sketch.max, buckets)


def totals_of(routes: tuple[RouteSummary, ...], window_s: float) -> Totals:
    """Return the figures of all routes together."""
    if not routes:
        return Totals()
    requests = sum(route.requests for route in routes)
    errors = sum(route.errors for route in routes)
    # Each route weighs as much as it has requests, of which its sketch is a sample.
    sketches = [
        _times(route.sketch, max(round(route.requests / route.sketch.count), 1))
        for route in routes
        if isinstance(route.sketch, LatencySketch)
    ]
    latency = replace(latency_of(LatencySketch.merged(sketches)), count=requests)
    queued = Queued(requests, 3.1, 0.9)
    return Totals(requests, requests / window_s, errors, errors / requests, latency, queued)
