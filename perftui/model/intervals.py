"""Where the true value of a figure lies with 99 % certainty, however latencies are distributed.

- a quantile: between the order statistics of rank n·q ± z·√(n·q·(1-q)), read from the sketch at the outer
  edges of their buckets; open where there are too few requests for such a rank
- a share (errors of requests): Wilson's score interval, which holds for none of a few as well
- a rate (requests in a time): a Poisson count's, (√(n+3/8) ± z/2)²
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import TypeAlias

from perftui.model.packed import Packed
from perftui.model.quantiles import cumulative, quantiles
from perftui_agent.sketch import LatencySketch, bucket_bounds

Z = 2.576
"""Standard deviations to either side that hold 99 %."""

Interval: TypeAlias = tuple[float | None, float | None]
"""Where the true value lies; None: no bound can be told."""


def quantile_intervals(
    sketch: LatencySketch | Packed, wanted: Sequence[float]
) -> list[tuple[Interval, float | None]]:
    """Return where each true quantile lies, in the unit of the sketch, and the one that was measured."""
    buckets, seen = cumulative(sketch)
    number = seen[-1] if seen else 0
    found: list[tuple[Interval, float | None]] = []
    for q, measured in zip(wanted, quantiles(sketch, wanted), strict=True):
        spread = Z * math.sqrt(number * q * (1 - q))
        lowest, highest = math.floor(number * q - spread), math.ceil(number * q + spread) + 1
        low = high = None
        if number and lowest >= 1:
            low = float(bucket_bounds(buckets[bisect_left(seen, lowest)])[0])
        if number and highest <= number:
            end = bucket_bounds(buckets[bisect_left(seen, highest)])[1]
            high = float(min(end - 1, sketch.max or end))
        found.append(((low, high), measured))
    return found


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
