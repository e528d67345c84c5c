"""Sketches in nanoseconds and bytes as the figures people read.

Quantiles come from merged sketches, never from averages of quantiles.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from perftui.model.measures import Latency
from perftui.model.packed import Packed, merged, packed
from perftui_agent.sketch import Bucket, LatencySketch, bucket_bounds

NO_LATENCY = Latency()


def cumulative(sketch: LatencySketch | Packed) -> tuple[Sequence[Bucket], list[int]]:
    """Return the buckets of a sketch, the lowest first, and how many values there are up to each of them."""
    if isinstance(sketch, Packed):
        buckets: Sequence[Bucket] = range(sketch.low, sketch.low + (sketch.lanes.bit_length() + 31) // 32)
        return buckets, list(accumulate(sketch.counts()))
    buckets = sorted(sketch.buckets)
    return buckets, list(accumulate(map(sketch.buckets.__getitem__, buckets)))


def quantiles(sketch: LatencySketch | Packed, wanted: Sequence[float]) -> list[float | None]:
    """Return what `LatencySketch.quantile` returns for each of `wanted`, going over the buckets once."""
    buckets, seen = cumulative(sketch)
    if not seen or not seen[-1]:
        return [None] * len(wanted)
    total = seen[-1]
    largest = float(sketch.max)
    found: list[float | None] = []
    for q in wanted:
        rank = max(1, -((-round(q * 1_000_000) * total) // 1_000_000))
        low, high = bucket_bounds(buckets[bisect_left(seen, rank)])
        middle = (low + high - 1) / 2
        found.append(min(middle, largest) if largest else middle)
    return found


def together(sketches: Iterable[LatencySketch | Packed]) -> Packed:
    """Return one sketch of everything in `sketches`."""
    return merged([each if isinstance(each, Packed) else packed([each]) for each in sketches])


def latency_of(sketch: LatencySketch | Packed) -> Latency:
    """Return the usual quantiles of a sketch of nanoseconds, in milliseconds."""
    if not sketch.count:
        return NO_LATENCY
    p50, p95, p99 = quantiles(sketch, (0.5, 0.95, 0.99))
    return Latency(
        sketch.count, ms(p50), ms(p95), ms(p99), sketch.max / 1e6, sketch.total / 1e6 / sketch.count
    )


def quantile_ms(sketch: LatencySketch | Packed | None, q: float) -> float | None:
    """Return one quantile of a sketch of nanoseconds in milliseconds; None when it is empty."""
    return ms(quantiles(sketch, (q,))[0]) if sketch is not None and sketch.count else None


def ms(nanoseconds: float | None) -> float | None:
    """Return nanoseconds as milliseconds; None stays None."""
    return None if nanoseconds is None else nanoseconds / 1e6
