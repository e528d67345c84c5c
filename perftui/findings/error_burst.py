"""`error-burst`: a route answers with 5xx, or exceptions leave it unhandled, whatever is answered."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.cost import FAILED_MS
from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import percent, span
from perftui.findings.rule import MIN_REQUESTS, Bar, Standing, graded, quoted
from perftui.model.happenings import Finding
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui_agent.wire.requests import ExceptionCount

KIND = "error-burst"

MIN_ERRORS = 3
"""One or two failures happen to every service."""

RATE = Bar(0.01, 0.005)
"""One in a hundred: what error budgets usually allow."""

MOST_FAIL = 0.5
"""With so few requests that a rate says little, most of them must fail."""

MEDIUM_RATE = RATE
HIGH_RATE = Bar(0.05, 0.035)

POOL_TIMEOUT = "TimeoutError"
"""What gives up waiting for a connection raises."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each route that fails too often."""
    for route in summary.routes:
        if route.errors + route.answered_failures < MIN_ERRORS:
            continue
        stands = route.route in standing
        if RATE.reached(route.failure_rate, stands) and (
            stands or route.requests >= MIN_REQUESTS or route.failure_rate >= MOST_FAIL
        ):
            yield _finding(summary, route, standing)


def _finding(summary: Summary, route: RouteSummary, standing: Standing) -> Finding:
    window_s = max(summary.window_s, 1.0)
    first = route.exceptions[0] if route.exceptions else None
    why = ""
    if first is not None:
        place = f" at {first.place}" if first.place else ""
        more = f" and {len(route.exceptions) - 1} more kinds" if len(route.exceptions) > 1 else ""
        why = f": {first.count:,}× {quoted(first.type, 80)}{place}{more}"
    answered = route.answered_failures
    failures = route.errors + answered
    told = f"{failures:,} of {route.requests:,} requests failed"
    if answered:
        told += " without a 5xx" if answered == failures else f", {answered:,} without a 5xx,"
    severity = graded(route.failure_rate, MEDIUM_RATE, HIGH_RATE, standing.get(route.route))
    # An empty pool fails every route that needs it: it is the finding to begin with, these follow from it.
    pool = _exhausted_pool(summary) if first is not None and first.type == POOL_TIMEOUT else None
    if pool is not None and severity == "high":
        severity = "medium"
    return Finding(
        kind=KIND,
        severity=severity,
        subject=route.route,
        sentence=f"{told} ({percent(route.failure_rate)}) in {span(window_s)}{quoted(why)}",
        evidence={
            "requests": route.requests,
            "errors": route.errors,
            "error_rate": round(route.error_rate, 6),
            "answered": answered,
            "window_s": round(summary.window_s, 3),
            "exceptions": [
                {"type": quoted(each.type), "place": each.place, "count": each.count}
                for each in route.exceptions[:5]
            ],
        },
        advice=_advice(first, pool),
        impact=FAILED_MS * failures / window_s,
        route=route.route,
        pool=pool,
    )


def _exhausted_pool(summary: Summary) -> str | None:
    """Return the pool that most checkouts have given up on."""
    timeouts, name = max(((pool.timeouts, pool.name) for pool in summary.pools), default=(0, ""))
    return name if timeouts else None


def _advice(first: ExceptionCount | None, pool: str | None) -> str:
    if first is None or not first.place:
        return "No exception left the app: its own code answers 5xx. Open the route."
    if pool is not None:
        return f"Begin with the pool {quoted(pool)}: checkouts time out there, which looks like this here."
    if first.answered:
        return f"Open {first.place}: who asked was told that all is well, and will not try again."
    return f"Open {first.place}: handle what is expected there with a 4xx, and mend what is not."


CRITERIA = Criteria(
    kind=KIND,
    means="a route answers with 5xx, or exceptions leave it unhandled, whatever is answered",
    subject="route",
    when=(
        At("of the requests that fail", RATE, "share", lambda row, _: row.failure_rate),
        At(
            "failures",
            Bar(MIN_ERRORS, MIN_ERRORS),
            "count",
            lambda row, _: float(row.errors + row.answered_failures),
        ),
        f"of {MIN_REQUESTS} requests and more, or half of fewer",
    ),
    medium=graded_by(MEDIUM_RATE, "share"),
    high=graded_by(HIGH_RATE, "share"),
)
