"""Whom it hurt: requests that failed, and those that took longer than was promised."""

from __future__ import annotations

from perftui.model.packed import Packed
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.record import Record
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.parts import RouteLabel

ALL = "all"


class Harm(Record, frozen=True):
    """How many of the requests of a route, or of all, were served worse than promised."""

    requests: int
    failed: int
    """Answers with a 5xx, unhandled exceptions among them."""
    bound_ms: float | None = None
    """The promised latency; None where none was."""
    timed: int = 0
    """Requests whose latency counts."""
    over: int | None = None
    """Those of them that took longer than the bound."""

    @property
    def share_over(self) -> float | None:
        """Which part of the timed requests took longer than the bound, 0…1."""
        return self.over / self.timed if self.over is not None and self.timed else None


def harm(summary: Summary) -> Harm:
    """Return whom it hurt in all; each route is held against its own target, else the service's."""
    each = [harm_of(route, summary) for route in summary.routes if not route.long_poll]
    bounded = [one for one in each if one.over is not None]
    return Harm(
        requests=summary.totals.requests,
        failed=summary.totals.errors,
        bound_ms=_bound(summary, ALL),
        timed=sum(one.timed for one in bounded),
        over=sum(one.over or 0 for one in bounded) if bounded else None,
    )


def harm_of(route: RouteSummary, summary: Summary) -> Harm:
    """Return whom it hurt on one route."""
    own = _bound(summary, route.route)
    bound_ms = own if own is not None else _bound(summary, ALL)
    over = None if bound_ms is None or route.long_poll else over_ms(route.sketch, bound_ms)
    return Harm(route.requests, route.errors, bound_ms, route.latency.count, over)


def over_ms(sketch: LatencySketch | Packed, bound_ms: float) -> int:
    """Return how many values lie above a bound, to the width of a bucket (1 % of the value)."""
    return sum(count for low, high, count in sketch.ranges() if (low + high) / 2 > bound_ms * 1e6)


def _bound(summary: Summary, scope: RouteLabel) -> float | None:
    """Return the strictest latency that is promised, in ms."""
    bounds = [
        each.bound
        for each in summary.slo
        if each.scope == scope and each.slo.startswith("p9") and each.bound is not None
    ]
    return min(bounds, default=None)
