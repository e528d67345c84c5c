"""A comparison as verdicts: every figure of a route that got worse is a target that is missed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from perftui.check.grammar import Objective, Quantity
from perftui.check.judge import Judged, Verdict
from perftui.findings.figures import plural
from perftui.model.changes import Change
from perftui.model.comparison import JUDGED, Comparison, RouteChange
from perftui.model.slo import ALL
from perftui.model.summary import Summary

METRICS: Mapping[str, tuple[str, Quantity]] = MappingProxyType(
    {
        "p50": ("p50", "latency"),
        "p95": ("p95", "latency"),
        "p99": ("p99", "latency"),
        "error_rate": ("errors", "share"),
        "sql_per_request": ("sql_per_request", "count"),
        "http_per_request": ("http_per_request", "count"),
    }
)
"""By the figure of a comparison: the metric of an objective, and what it measures."""


def held_against(comparison: Comparison, before: Summary) -> tuple[Judged, ...]:
    """Return one verdict on all, and one for each figure of a route that got worse."""
    worse = [each for each in comparison.routes if each.is_worse]
    judged = [
        _missed(row, name, row.figure(name), before.target)
        for row in worse
        for name in JUDGED
        if row.figure(name).verdict == "up"
    ]
    compared = [each for each in comparison.routes if each.there == "both" and each.verdict != "too-few"]
    verdict: Verdict = "missed" if worse else "met" if compared else "undecided"
    few = sum(each.verdict == "too-few" for each in comparison.routes)
    note = ""
    if few:
        note = f"{few} of {plural(len(comparison.routes), 'route')} had too few requests to be compared"
    elif not compared:
        note = f"no route had requests both in {before.target} and here"
    whole = Judged(
        _objective(ALL, "requests", "count", 0.0, f"no worse than {before.target}", before.target),
        verdict,
        float(len(worse)),
        comparison.all_routes.requests[1],
        (float(len(worse)), float(len(worse))),
        note,
    )
    return (whole, *judged)


def _missed(row: RouteChange, name: str, change: Change, target: str) -> Judged:
    metric, quantity = METRICS[name]
    bound = change.before or 0.0
    objective = _objective(row.route, metric, quantity, bound, f"{metric} as in {target}", target)
    since = f"it was {plural(row.requests[0], 'request')} of {row.was}" if row.was else ""
    return Judged(objective, "missed", change.after, row.requests[1], (None, None), since)


def _objective(
    scope: str, metric: str, quantity: Quantity, bound: float, said: str, target: str
) -> Objective:
    sign: Literal["<="] = "<="
    return Objective(
        metric=metric,
        sign=sign,
        bound=bound,
        written=f"{bound:g}",
        quantity=quantity,
        scope=scope,
        source=f"--against {target}",
        said=said,
    )
