"""`chatty-upstream`: single requests call one host many times: an N+1 over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, times
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted, worst
from perftui.findings.upstreams import by_host
from perftui.model.happenings import Finding, Severity
from perftui.model.outside_summary import UpstreamSummary
from perftui.model.summary import Summary
from perftui_agent.wire.requests import RepeatedCalls

KIND = "chatty-upstream"

CALLS = Bar(5.0, 4.0)
"""Per request, as for statements: two or three calls of a service are what code does."""

MIN_REQUESTS_REPEATING = 3
"""Each such request is proof by itself, so few are enough; one alone may be an odd argument."""

HIGH_MS = Bar(200.0, 150.0)
MEDIUM_MS = Bar(50.0, 35.0)
HIGH_CALLS = Bar(30.0, 25.0)
MEDIUM_CALLS = Bar(10.0, 8.0)

SAME = 0.5
"""Of the calls with a path of their own; below, the same thing is asked for again."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each host that is called so; the route that it costs most speaks for it."""
    for host, rows in by_host(summary):
        stands = host in standing
        chatty = [(row, each) for row in rows for each in row.repeats if _is_chatty(each, stands)]
        if chatty:
            row, repeats = max(chatty, key=lambda pair: (pair[1].ns, pair[1].calls))
            routes = tuple(dict.fromkeys(each.route for _, each in chatty))
            yield _finding(summary, row, repeats, routes, standing.get(host))


def _is_chatty(repeats: RepeatedCalls, stands: bool) -> bool:
    return repeats.requests >= MIN_REQUESTS_REPEATING and CALLS.reached(
        repeats.calls / repeats.requests, stands
    )


def _finding(
    summary: Summary,
    row: UpstreamSummary,
    repeats: RepeatedCalls,
    routes: tuple[str, ...],
    was: Severity | None,
) -> Finding:
    calls = repeats.calls / repeats.requests
    spent_ms = repeats.ns / 1e6 / repeats.requests
    place = repeats.call_site or row.call_site or ""
    again = repeats.distinct < SAME * repeats.calls
    return Finding(
        kind=KIND,
        severity=worst(
            graded(spent_ms, MEDIUM_MS, HIGH_MS, was), graded(calls, MEDIUM_CALLS, HIGH_CALLS, was)
        ),
        subject=quoted(row.host, MAX_SUBJECT),
        sentence=f"{times(round(calls))} {row.method} per request of {repeats.route}"
        f"{' from ' + place if place else ''}, {ms(spent_ms)} per request"
        f"{', mostly for the same thing' if again else ''}",
        evidence={
            "host": row.host,
            "method": row.method,
            "route": repeats.route,
            "call_site": place or None,
            "requests": repeats.requests,
            "calls": repeats.calls,
            "per_request": round(calls, 2),
            "distinct_per_request": round(repeats.distinct / repeats.requests, 2),
            "most_in_one_request": repeats.most,
            "ms_per_request": round(spent_ms, 3),
        },
        advice="Ask once and keep the answer for the request."
        if again
        else "Ask for many at once if the service can, keep what seldom changes, or make the calls at the "
        "same time.",
        impact=repeats.ns / 1e6 / max(summary.window_s, 1.0),
        key=row.host,
        route=repeats.route if summary.route(repeats.route) else None,
        routes=routes,
        upstream=row.key,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="single requests call one host many times: an N+1 over HTTP",
    subject="host",
    when=(
        f"{MIN_REQUESTS_REPEATING} requests and more that did so",
        At("calls of one host in such a request", CALLS, "count", lambda row, _: row.http_per_request),
    ),
    medium=f"{graded_by(MEDIUM_MS, 'ms')}, or {graded_by(MEDIUM_CALLS, 'count')} calls",
    high=f"{graded_by(HIGH_MS, 'ms')}, or {graded_by(HIGH_CALLS, 'count')} calls",
)
