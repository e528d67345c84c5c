"""`slo-breach`: a target is missed over the window. One finding per route, and one for `all`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from perftui.findings.cost import FAILED_MS, sum_beyond
from perftui.findings.criteria import Criteria, written
from perftui.findings.figures import ms, percent, rate, span
from perftui.findings.rule import MAX_SUBJECT, MIN_REQUESTS, Standing, quoted
from perftui.model.happenings import Finding, Severity, SloVerdict
from perftui.model.measures import Totals
from perftui.model.route_summary import RouteSummary
from perftui.model.slo import ALL, left_out
from perftui.model.summary import Summary

KIND = "slo-breach"

LEAVES_AT = 0.95
"""Kept until the value is this far within its target: one that dances on it is not met yet."""

FAR_OFF = 2.0
"""From this multiple of its target on, a missed latency or error rate is high: users have left by then."""

MOST_EXCESS = 100.0
"""Of a target of 0, any value would be infinitely far off."""

LEAST_FAILURES = 2
"""One failure of thirty-six is 2.8 %, and every service has one now and then."""

MIN_RATE_WINDOW_S = 10.0
"""Requests per second over a shorter time say when requests came, not how many the service takes."""

MOST_PATHS = 3
"""Paths below a route that takes any, as evidence."""

MUCH = 0.3
"""Of the p95: so much waiting before the app is worth telling."""

MIN_P99_REQUESTS = 100
"""Of fewer, p99 is the single slowest request."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each scope that misses a target."""
    missed: dict[str, list[SloVerdict]] = {}
    for verdict in summary.slo:
        if _is_missed(verdict, verdict.scope in standing, summary.window_s):
            missed.setdefault(verdict.scope, []).append(verdict)
    for scope, verdicts in missed.items():
        # What is hardly met has a finding stand; beside what is missed it is not worth telling.
        yield _finding(summary, scope, [each for each in verdicts if not each.met] or verdicts)


def _is_missed(verdict: SloVerdict, stands: bool, window_s: float) -> bool:
    if verdict.value is None or verdict.met is None:
        return False
    least = MIN_P99_REQUESTS if verdict.slo.startswith("p99") else MIN_REQUESTS
    if verdict.requests is not None and verdict.requests < least:
        return False
    if verdict.slo.startswith("err") and verdict.value * (verdict.requests or 0) < LEAST_FAILURES - 0.5:
        return False
    if verdict.slo.startswith("rps"):
        # That there were requests shows that there are clients: a service nobody calls misses nothing.
        return not verdict.met and window_s >= MIN_RATE_WINDOW_S
    # Of none, as of errors, there is nothing that would be nearer to it.
    hardly_met = bool(verdict.bound) and verdict.value >= LEAVES_AT * (verdict.bound or 0.0)
    return not verdict.met or (stands and hardly_met)


def _finding(summary: Summary, scope: str, verdicts: list[SloVerdict]) -> Finding:
    verdicts = sorted(verdicts, key=_excess, reverse=True)
    off = max(_excess(verdict) for verdict in verdicts)
    route = summary.route(scope)
    requests = verdicts[0].requests
    paths = _paths(route, verdicts)
    if requests is None:
        requests = route.requests if route else summary.totals.requests
    sentence = ", ".join(f"{_value(each)} {_against(each)}" for each in verdicts)
    over = f"over {requests:,} requests in {span(summary.window_s)}"
    over += "".join(_without(each, left_out(each, summary.slo)) for each in verdicts)
    waits = _before_the_app(route or (summary.totals if scope == ALL else None), verdicts)
    return Finding(
        kind=KIND,
        severity=_severity(verdicts, off, scope),
        subject=scope,
        sentence=quoted(f"{sentence}{waits}, {over}"),
        evidence={
            "requests": requests,
            "window_s": round(summary.window_s, 3),
            "missed": [
                {
                    "slo": each.slo,
                    "value": each.value,
                    "bound": each.bound,
                    "requests": each.requests,
                    "met": bool(each.met),
                }
                for each in verdicts
            ],
            **({"paths": paths} if paths else {}),
        },
        advice=_advice(verdicts, scope, paths),
        impact=_cost(summary, scope, verdicts),
        route=route.route if route else None,
    )


def _without(verdict: SloVerdict, routes: Sequence[str]) -> str:
    """Return which routes are not in a value: the one in the first line of a screen is that of all."""
    if not routes:
        return ""
    more = f" and {len(routes) - 1} more" if len(routes) > 1 else ""
    figure = verdict.slo.partition("<")[0]
    return f"; {figure} without {quoted(routes[0], MAX_SUBJECT)}{more}, by a target of its own"


def _cost(summary: Summary, scope: str, verdicts: list[SloVerdict]) -> float:
    """Return by how much requests were beyond the target that is missed most, each second."""
    first, window_s = verdicts[0], max(summary.window_s, 1.0)
    rows = [row for row in summary.routes if row.route == scope or (scope == ALL and not row.long_poll)]
    if first.slo.startswith("err"):
        return FAILED_MS * sum(row.errors for row in rows) / window_s
    if first.slo.startswith("rps"):
        return 0.0  # nobody waited who did not come
    return sum_beyond((row.sketch for row in rows), first.bound or 0.0) / window_s


def _paths(route: RouteSummary | None, verdicts: list[SloVerdict]) -> list[dict[str, Any]]:
    """Return what was asked for below a route that takes any path, and weighs most in what it misses."""
    if route is None or not route.paths or verdicts[0].slo.startswith("rps"):
        return []
    if verdicts[0].slo.startswith("err"):
        rows = sorted((row for row in route.paths if row.errors), key=lambda row: -row.errors)
    else:
        rows = sorted(route.paths, key=lambda row: -row.total_ms)
    return [
        {
            "path": row.path,
            "requests": row.requests,
            "errors": row.errors,
            "p95_ms": None if row.latency.p95_ms is None else round(row.latency.p95_ms, 3),
        }
        for row in rows[:MOST_PATHS]
    ]


def _before_the_app(row: RouteSummary | Totals | None, verdicts: list[SloVerdict]) -> str:
    """Return how long its requests waited before the app, if that is much of their latency."""
    if row is None or row.queued.p95_ms is None or not verdicts[0].slo.startswith("p"):
        return ""
    before_ms, whole_ms = row.queued.p95_ms, row.latency.p95_ms or 0.0
    return f", queued before the app p95 {ms(before_ms)}" if before_ms >= MUCH * whole_ms > 0.0 else ""


def _severity(verdicts: list[SloVerdict], off: float, scope: str) -> Severity:
    if all(verdict.slo.startswith("rps") for verdict in verdicts):
        return "low"  # requests that nobody sends cannot be served
    return "high" if off >= FAR_OFF or scope == ALL else "medium"


def _excess(verdict: SloVerdict) -> float:
    """Return how many times the target its value is; for a rate, how many times the rate the target is."""
    value, bound = verdict.value or 0.0, verdict.bound or 0.0
    over, under = (bound, value) if verdict.slo.startswith("rps") else (value, bound)
    return min(over / under, MOST_EXCESS) if under else MOST_EXCESS if over else 1.0


def _value(verdict: SloVerdict) -> str:
    value = verdict.value or 0.0
    if verdict.slo.startswith("rps"):
        return f"{rate(value)} requests a second"
    if verdict.slo.startswith("err"):
        return f"{percent(value)} errors"
    return f"{verdict.slo.split('<')[0]} {ms(value)}"


def _against(verdict: SloVerdict) -> str:
    """Return the target, and of one that is met again how long the finding stays all the same."""
    if not verdict.met:
        return f"against {verdict.slo}"
    leaves = LEAVES_AT * (verdict.bound or 0.0)
    below = f"{100 * leaves:g} %" if verdict.slo.startswith("err") else ms(leaves)
    return f"within {verdict.slo}, stands until <{below}"


def _advice(verdicts: list[SloVerdict], scope: str, paths: list[dict[str, Any]]) -> str:
    if verdicts[0].slo.startswith("rps"):
        return (
            "If requests queue (in flight, pool wait), look at the findings beside this one; "
            "if not, fewer requests come in than were promised: look at what sends them."
        )
    if paths:
        weighs = "fails most often" if verdicts[0].slo.startswith("err") else "takes most of its time"
        return f"It takes any path: of what is below it, {quoted(paths[0]['path'])} {weighs}. Open the route."
    if verdicts[0].slo.startswith("err"):
        return "Open the route's exceptions: type and place say what fails."
    if scope == ALL:
        return "Open the route with the highest cost: the findings about it say where its time goes."
    return "Open the route: its breakdown says whether SQL, waiting or its own code takes the time."


CRITERIA = Criteria(
    kind=KIND,
    means="a target is missed over the window",
    subject="route, or all",
    when=(
        (
            f"a target of the service (instrument(slo=…)) that is missed; then, until the value is below "
            f"{LEAVES_AT:.0%} of it"
        ),
        (
            f"{MIN_REQUESTS} requests and more, {MIN_P99_REQUESTS} for a p99; {LEAST_FAILURES} failures and "
            f"more for an error rate; a rate over "
            f"{written(MIN_RATE_WINDOW_S, 's')} and more"
        ),
    ),
    medium="of a route",
    high=f"of all routes, or at {written(FAR_OFF, 'times')} the target and more; a rate is low",
)
