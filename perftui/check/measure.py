"""What an objective is held against: its value in a picture, of how many, and where the true one lies.

A route with an objective of its own is left out of everyone's for the same metric, as the service's targets
have it: a checkout that may take 700 ms would make a service miss its 200 ms for ever. Who waits on purpose
is in nobody's latency but its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from perftui.check.grammar import Objective
from perftui.findings.rule import RANK
from perftui.model.happenings import Finding
from perftui.model.intervals import Interval, Ranked, effect_of, rate_interval, share_interval
from perftui.model.packed import Packed
from perftui.model.quantiles import together
from perftui.model.route_summary import RouteSummary
from perftui.model.slo import ALL
from perftui.model.stretches import beyond, stretches_of
from perftui.model.summary import Summary
from perftui.record import Record
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.parts import RouteLabel

Sketch: TypeAlias = LatencySketch | Packed

MS = 1e6
"""In nanoseconds."""


Believed: TypeAlias = Callable[[float, float], Interval]
"""Where the true value lies, by how many standard deviations are to hold it, and how many of the requests are
one draw: several where they depend on each other, less than one as if there were so many more like these."""


class Measured(Record, frozen=True):
    """One figure of a picture."""

    value: float | None
    """In the unit of the objective's bound; None without anything to measure."""
    n: int
    """Requests it rests on."""
    bounds: Believed | None = None
    """Where the true value lies; None: it is a count, and has no noise."""
    effect: float = 1.0
    """How many of the requests are one draw, as far as they differ from one stretch of time to the next."""
    holds: tuple[Finding, ...] = ()
    """The findings that were counted."""


NO_MEASURE = Measured(None, 0)


def measure(
    objective: Objective, summary: Summary, others: Iterable[Objective], findings: Sequence[Finding]
) -> Measured:
    """Return the value of an objective's metric; `others` are all that is promised."""
    if objective.is_of_findings:
        return _findings(objective, summary, findings)
    own = {each.scope for each in others if each.metric == objective.metric and each.scope != ALL}
    rows = _rows(objective, summary, own)
    if objective.quantity == "rate":
        return _rate(rows, summary)
    if not rows:
        return NO_MEASURE
    if objective.quantity == "share":
        return _share(objective, rows)
    if objective.quantity == "count":
        return _count(objective.metric, rows)
    return _quantile(objective, rows)


def _rows(objective: Objective, summary: Summary, own: set[RouteLabel]) -> list[RouteSummary]:
    if objective.scope != ALL:
        return [row for row in summary.routes if row.route == objective.scope]
    if objective.quantity == "rate" or objective.metric == "requests":
        return list(summary.routes)
    timed = objective.quantity in {"latency", "queue", "ttfb"}
    return [row for row in summary.routes if row.route not in own and not (timed and row.long_poll)]


def _findings(objective: Objective, summary: Summary, findings: Sequence[Finding]) -> Measured:
    counted = [each for each in findings if _is_meant(objective, each)]
    if objective.scope != ALL:
        counted = [each for each in counted if objective.scope in {each.subject, each.route, *each.routes}]
    n = summary.totals.requests
    return Measured(float(len(counted)) if n or counted else None, n, holds=tuple(counted))


def _is_meant(objective: Objective, finding: Finding) -> bool:
    if objective.metric in RANK:
        return RANK[finding.severity] <= RANK[objective.metric]  # type: ignore[index]  # a severity
    return objective.metric in {"findings", finding.kind}


def _rate(rows: Sequence[RouteSummary], summary: Summary) -> Measured:
    requests, seconds = sum(row.requests for row in rows), summary.window_s
    if not seconds or not summary.totals.requests:
        return NO_MEASURE
    return Measured(
        requests / seconds,
        requests,
        lambda z, each: rate_interval(round(requests / each), seconds / each, z),
    )


def _share(objective: Objective, rows: Sequence[RouteSummary]) -> Measured:
    requests, errors = sum(row.requests for row in rows), sum(row.errors for row in rows)
    if not requests:
        return NO_MEASURE
    if not objective.bound:  # that there was none is a count
        return Measured(errors / requests, requests)
    effect = effect_of([(step.requests, step.errors) for step in stretches_of(rows)])

    def bounds(z: float, each: float) -> Interval:
        return share_interval(errors / each, requests / each, z)

    return Measured(errors / requests, requests, bounds, effect)


def _count(metric: str, rows: Sequence[RouteSummary]) -> Measured:
    requests = sum(row.requests for row in rows)
    if metric == "requests":
        return Measured(float(requests), requests)
    per = [row.sql_per_request if metric == "sql_per_request" else row.http_per_request for row in rows]
    known = [(row.requests, each) for row, each in zip(rows, per, strict=True) if each is not None]
    number = sum(requests for requests, _ in known)
    return (
        Measured(sum(requests * each for requests, each in known) / number, number) if number else NO_MEASURE
    )


def _quantile(objective: Objective, rows: Sequence[RouteSummary]) -> Measured:
    q = objective.quantile or 0.0
    sketch, zeros = together(_sketch(objective, row) for row in rows), 0
    if objective.quantity == "queue":
        zeros = max(0, sum(row.queued.known for row in rows) - sketch.count)
    unit = 1.0 if objective.quantity == "bytes" else MS
    ranked = Ranked(sketch, zeros)
    value = ranked.value(q)
    if value is None:
        return NO_MEASURE
    if objective.quantity == "bytes" or q == 1.0:
        # What was sent was sent, and the largest is the largest: neither is drawn from anything.
        return Measured((float(sketch.max) if q == 1.0 else value) / unit, ranked.number)

    def bounds(z: float, each: float) -> Interval:
        low, high = ranked.bounds(q, z, each)
        return None if low is None else low / unit, None if high is None else high / unit

    # Whether the quantile is beyond the bound is whether the share beyond the bound is larger than it may be.
    late = beyond(stretches_of(rows), objective.bound * unit) if objective.quantity == "latency" else []
    return Measured(value / unit, ranked.number, bounds, effect_of(late))


def _sketch(objective: Objective, row: RouteSummary) -> Sketch:
    match objective.quantity:
        case "queue":
            return row.sketches.queue
        case "ttfb":
            return row.sketches.ttfb
        case "background":
            return row.sketches.background
        case "bytes":
            return row.sketches.sizes
        case _:
            return row.sketch
