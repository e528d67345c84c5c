"""Two pictures of a service route by route, before and after: what has changed, and what is noise.

A change is believed if the intervals in which the two true values lie with 99 % certainty (see `intervals`)
stay clear of each other, and if it is large enough to matter. Two of 99 % that stay clear are a chance of 1
in 3,700 where nothing has changed: among 200 routes with five figures each, one in four comparisons has a
false one. Requests aren't independent, as the intervals have it (they queue behind each other): hence the
least differences.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from perftui.model.intervals import Interval, quantile_intervals, rate_interval, share_interval
from perftui.model.packed import Packed
from perftui.model.quantiles import together
from perftui.model.summary import RouteSummary, Summary, WorkerTrends
from perftui.record import Record
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import RouteLabel

LEAST_LATENCY = 0.05
"""A quantile that moved by less is no news, whatever the number of requests …"""
LEAST_LATENCY_MS = 0.1
LEAST_RATE = 0.10
"""… nor a rate …"""
LEAST_SHARE = 0.001
"""… nor a share of errors, in absolute terms."""

Verdict: TypeAlias = Literal["up", "down", "noise", "unknown"]
"""`noise`: the two may well be the same. `unknown`: there are too few requests to tell."""

ALL: RouteLabel = "all"
"""The row of all routes together."""


class Change(Record, frozen=True):
    """One figure before and after."""

    before: float | None
    after: float | None
    verdict: Verdict

    @property
    def delta(self) -> float | None:
        """By how much it has changed, in its own unit."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def ratio(self) -> float | None:
        """By how much, as a part of what it was: 0.5 is half as much again."""
        delta = self.delta
        return None if delta is None or not self.before else delta / self.before

    @property
    def is_real(self) -> bool:
        """Whether it is more than noise."""
        return self.verdict in {"up", "down"}


class RouteChange(Record, frozen=True):
    """One route before and after; latencies in ms, `error_rate` from 0 to 1."""

    route: RouteLabel
    requests: tuple[int, int]
    p50: Change
    p95: Change
    p99: Change
    rps: Change
    error_rate: Change
    there: Literal["both", "before", "after"] = "both"
    """When it had requests at all."""

    @property
    def is_worse(self) -> bool:
        """Whether it got slower or fails more often."""
        return "up" in {self.p50.verdict, self.p95.verdict, self.p99.verdict, self.error_rate.verdict}

    @property
    def is_better(self) -> bool:
        """Whether it got faster or fails less often, and nothing of it worse."""
        verdicts = {self.p50.verdict, self.p95.verdict, self.p99.verdict, self.error_rate.verdict}
        return "down" in verdicts and not self.is_worse


class Comparison(Record, frozen=True):
    """Two pictures held against each other."""

    before_at: float
    before_s: float
    """How much time the picture before covers."""
    after_at: float
    after_s: float
    all_routes: RouteChange
    routes: tuple[RouteChange, ...]
    """The worse first, then the better, then the rest, each by what they cost now."""

    def route(self, label: RouteLabel) -> RouteChange | None:
        """Return the change of a route; None if it had no request in either picture."""
        return next((each for each in self.routes if each.route == label), None)


def baseline(summary: Summary) -> Summary:
    """Return a picture to compare later ones with.

    It may be kept for ever: unlike other pictures it holds nothing of the history that it was made from.
    """
    return replace(
        summary,
        routes=tuple(replace(row, trend=(), steps=(), shares=()) for row in summary.routes),
        workers=tuple(
            replace(row, trend=(), trends=WorkerTrends(), memory=(), memory_lately=())
            for row in summary.workers
        ),
    )


def compare(before: Summary, after: Summary) -> Comparison:
    """Return what has changed from one picture to the other, route by route."""
    old = {row.route: row for row in before.routes}
    new = {row.route: row for row in after.routes}
    changes = [
        compare_route(label, old.get(label), new.get(label), before.window_s, after.window_s)
        for label in {**new, **old}
    ]
    cost = {label: row.total_ms for label, row in {**old, **new}.items()}
    changes.sort(key=lambda each: (not each.is_worse, not each.is_better, -cost[each.route], each.route))
    return Comparison(
        before_at=before.at,
        before_s=before.window_s,
        after_at=after.at,
        after_s=after.window_s,
        all_routes=_all(before, after),
        routes=tuple(changes),
    )


def _all(before: Summary, after: Summary) -> RouteChange:
    sides = [
        _Side(
            each.totals.requests,
            each.totals.errors,
            each.window_s,
            together(row.sketch for row in each.routes if not row.long_poll),
        )
        for each in (before, after)
    ]
    return _change(ALL, *sides)


def compare_route(
    label: RouteLabel,
    before: RouteSummary | None,
    after: RouteSummary | None,
    before_s: float,
    after_s: float,
) -> RouteChange:
    """Return what has changed in one route from one picture to the other, and over which times they go."""
    sides = [
        _Side(row.requests, row.errors, seconds, row.sketch) if row else _Side(0, 0, seconds, Packed())
        for row, seconds in ((before, before_s), (after, after_s))
    ]
    change = _change(label, *sides)
    if before is None:
        return replace(change, there="after")
    return replace(change, there="before") if after is None else change


class _Side(Record, frozen=True):
    requests: int
    errors: int
    seconds: float
    sketch: LatencySketch | Packed


def _change(label: RouteLabel, before: _Side, after: _Side) -> RouteChange:
    old, new = (quantile_intervals(side.sketch, (0.5, 0.95, 0.99)) for side in (before, after))
    p50, p95, p99 = map(_quantile_change, old, new)
    return RouteChange(
        route=label,
        requests=(before.requests, after.requests),
        p50=p50,
        p95=p95,
        p99=p99,
        rps=_rate_change(before, after),
        error_rate=_share_change(before, after),
    )


def _quantile_change(before: tuple[Interval, float | None], after: tuple[Interval, float | None]) -> Change:
    (old, old_ns), (new, new_ns) = before, after
    if old_ns is None or new_ns is None:
        return Change(_ms(old_ns), _ms(new_ns), "unknown")
    least_ns = max(LEAST_LATENCY * old_ns, LEAST_LATENCY_MS * 1e6)
    return Change(old_ns / 1e6, new_ns / 1e6, _verdict(old, new, abs(new_ns - old_ns) >= least_ns))


def _rate_change(before: _Side, after: _Side) -> Change:
    old, new = (each.requests / each.seconds if each.seconds else None for each in (before, after))
    if old is None or new is None:
        return Change(old, new, "unknown")
    matters = abs(new - old) >= LEAST_RATE * max(old, new)
    first, then = (rate_interval(each.requests, each.seconds) for each in (before, after))
    return Change(old, new, _verdict(first, then, matters))


def _share_change(before: _Side, after: _Side) -> Change:
    old, new = (each.errors / each.requests if each.requests else None for each in (before, after))
    if old is None or new is None:
        return Change(old, new, "unknown")
    first, then = (share_interval(each.errors, each.requests) for each in (before, after))
    return Change(old, new, _verdict(first, then, abs(new - old) >= LEAST_SHARE))


def _verdict(before: Interval, after: Interval, matters: bool) -> Verdict:
    (old_low, old_high), (new_low, new_high) = before, after
    if old_high is not None and new_low is not None and old_high < new_low:
        return "up" if matters else "noise"
    if old_low is not None and new_high is not None and new_high < old_low:
        return "down" if matters else "noise"
    return "unknown" if None in {old_low, old_high, new_low, new_high} else "noise"


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6
