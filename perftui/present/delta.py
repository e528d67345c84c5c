"""How a route's p95 stands against a mark, and whether that is more than chance.

The 95 % interval of a quantile comes from its rank: among n requests the rank of p95 is 0.95 n, give or
take 1.96·√(n·0.95·0.05). Where the intervals of then and now meet, the difference is noise. It assumes
nothing of how latencies are distributed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from perftui.model.summary import RouteSummary, Summary
from perftui.present.cells import Cell
from perftui.present.quantile import ENOUGH

QUANTILE = 0.95

_SURE = 1.96
"""Standard deviations of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment somebody marked, and how things stood then."""

    at: float
    shown: str
    """Its clock time."""
    routes: Mapping[str, RouteSummary]

    @classmethod
    def of(cls, summary: Summary, at: float, shown: str) -> Mark:
        """Return a mark with the routes of the window that ended then."""
        return cls(at, shown, {route.route: route for route in summary.routes})


def delta_cell(then: RouteSummary | None, now: RouteSummary) -> Cell:
    """Return `+42%`, `-8%`, `≈` for noise, `new` for a route that had no request then, `~` for too few."""
    if then is None:
        return Cell("new", "medium")
    before, after = then.latency.p95_ms, now.latency.p95_ms
    if not before or after is None or min(then.requests, now.requests) < ENOUGH["p95"]:
        return Cell("~", "faint")
    if overlap(interval(then), interval(now)):
        return Cell("≈", "faint")
    change = after / before - 1
    text = f"{change:+.0%}" if change < 10 else f"×{min(after / before, 9999):.0f}"
    return Cell(text, "high" if change > 0 else "good")


def interval(route: RouteSummary) -> tuple[float, float]:
    """Return between which two latencies (ns) the true p95 lies, by 95 % chance."""
    ranges = sorted(route.sketch.ranges())
    count = sum(number for _, _, number in ranges)
    spread = _SURE * math.sqrt(count * QUANTILE * (1 - QUANTILE))
    low, high = QUANTILE * count - spread, QUANTILE * count + spread
    return _at_rank(ranges, low, 0), _at_rank(ranges, high, 1)


def _at_rank(ranges: list[tuple[int, int, int]], rank: float, edge: int) -> float:
    """Return the lower (0) or upper (1) edge of the range that holds the value of this rank."""
    passed = 0
    for each in ranges:
        passed += each[2]
        if passed >= rank:
            return each[edge]
    return ranges[-1][1] if ranges else 0.0


def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Tell whether two intervals meet."""
    return one[0] <= other[1] and other[0] <= one[1]
