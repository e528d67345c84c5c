"""`slow-serialization`: building the response costs more than the work that led to it.

What is built is built on the loop, for the most part: a response that is large enough holds it, and everybody
waits. That is told here, with the route, rather than with a line of the library that builds.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings import loop_blocked
from perftui.findings.cost import waited_for_loops
from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, percent, span, times
from perftui.findings.rule import Bar, Standing, graded, worst
from perftui.model.happenings import Finding
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary

KIND = "slow-serialization"

MIN_REQUESTS = 5
"""What it takes to serialize a response hardly varies: a few tell it."""

MS = Bar(20.0, 14.0)
"""Per request, on the event loop: below, there is little to win."""

SHARE = Bar(0.5, 0.4)
"""Of the mean latency: the rest is the work."""

MEDIUM_MS = Bar(50.0, 35.0)
HIGH_MS = Bar(250.0, 180.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each route that spends its time on turning objects into JSON."""
    for route in summary.routes:
        spent_ms = route.serialize_ms_per_request
        if spent_ms is None or route.latency.count < MIN_REQUESTS:
            continue
        mean_ms = route.total_ms / route.latency.count
        stands = route.route in standing
        if mean_ms and MS.reached(spent_ms, stands) and SHARE.reached(spent_ms / mean_ms, stands):
            yield _finding(summary, route, spent_ms, mean_ms, standing)


def _finding(
    summary: Summary, route: RouteSummary, spent_ms: float, mean_ms: float, standing: Standing
) -> Finding:
    share = min(spent_ms / mean_ms, 1.0)
    was = standing.get(route.route)
    window_s = max(summary.window_s, 1.0)
    sentence = f"building the response takes {ms(spent_ms)} of {ms(mean_ms)} per request ({percent(share)})"
    severity = graded(spent_ms, MEDIUM_MS, HIGH_MS, was)
    impact = spent_ms * route.requests / window_s
    blocks = [
        row for row in loop_blocked.while_building(summary.incidents) if row.incident.route == route.route
    ]
    workers = tuple(dict.fromkeys(row.worker for row in blocks))
    longest_ms = max((row.incident.ns / 1e6 for row in blocks), default=0.0)
    if blocks:
        sentence += f", and held the loop up to {ms(longest_ms)}, {times(len(blocks))} in {span(window_s)}"
        severity = worst(severity, loop_blocked.severity(blocks, window_s, was))
        impact += waited_for_loops(summary, workers)
    return Finding(
        kind=KIND,
        severity=severity,
        subject=route.route,
        sentence=sentence,
        evidence={
            "requests": route.requests,
            "serialize_ms_per_request": round(spent_ms, 3),
            "mean_ms": round(mean_ms, 3),
            "share": round(share, 4),
            "sql_ms_per_request": route.sql_ms_per_request,
            "bytes_p95": route.bytes_p95,
            "blocks": len(blocks),
            "longest_ms": round(longest_ms, 3),
        },
        advice="Return less (pages, fewer fields), skip validating what is valid already "
        "(a Response of ready JSON), or use a quicker encoder.",
        impact=impact,
        route=route.route,
        workers=workers,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="building the response costs more than the work",
    subject="route",
    when=(
        At("for each request", MS, "ms", lambda row, _: row.serialize_ms_per_request),
        At(
            "of its latency",
            SHARE,
            "share",
            lambda row, _: (
                (row.serialize_ms_per_request or 0.0) / row.latency.mean_ms
                if row.serialize_ms_per_request is not None and row.latency.mean_ms
                else None
            ),
        ),
        f"{MIN_REQUESTS} requests and more",
    ),
    medium=graded_by(MEDIUM_MS, "ms"),
    high=graded_by(HIGH_MS, "ms"),
)
