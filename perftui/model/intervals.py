"""Where the true value of a figure lies with 99 % certainty, however latencies are distributed.

- a quantile: between the order statistics of rank n·q ± z·√(n·q·(1-q)), read from the sketch at the outer
  edges of their buckets; open where there are too few requests for such a rank
- a share (errors of requests): Wilson's score interval, which holds for none of a few as well
- a rate (requests in a time): a Poisson count's, (√(n+3/8) ± z/2)²
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

from perftui.model.packed import Packed
from perftui_agent.sketch import LatencySketch

Z = 2.576
"""Standard deviations to either side that hold 99 %."""

Interval: TypeAlias = tuple[float | None, float | None]
"""Where the true value lies; None: no bound can be told."""


def quantile_interval(sketch: LatencySketch | Packed, q: float) -> tuple[Interval, float | None]:
    """Return where the true quantile lies, in the unit of the sketch, and the one that was measured."""
    ranges = list(sketch.ranges())
    number = sum(count for _, _, count in ranges)
    if not number:
        return (None, None), None
    spread = Z * math.sqrt(number * q * (1 - q))
    lowest, highest = math.floor(number * q - spread), math.ceil(number * q + spread) + 1
    low = high = measured = None
    for begin, end, count in _cumulative(ranges):
        if low is None and lowest >= 1 and count >= lowest:
            low = float(begin)
        if measured is None and count >= math.ceil(number * q - 1e-9):
            measured = min((begin + end - 1) / 2, float(sketch.max or end))
        if high is None and highest <= number and count >= highest:
            high = float(min(end - 1, sketch.max or end))
    return (low, high), measured


def _cumulative(ranges: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    seen = 0
    for low, high, count in ranges:
        seen += count
        yield low, high, seen


def share_interval(number: int, of: int) -> Interval:
    """Return where the true share lies, `number` of `of` having been seen."""
    if not of:
        return None, None
    share, z2 = number / of, Z * Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    spread = Z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - spread), min(1.0, middle + spread)


def rate_interval(number: int, seconds: float) -> Interval:
    """Return where the true rate lies, `number` having been counted in `seconds`."""
    if not seconds:
        return None, None
    root = math.sqrt(number + 3 / 8)
    low = max(0.0, root - Z / 2) ** 2 - 3 / 8 if number else 0.0
    return max(0.0, low) / seconds, ((root + Z / 2) ** 2 - 3 / 8) / seconds
