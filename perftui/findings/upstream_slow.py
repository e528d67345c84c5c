"""`upstream-slow`: another service takes long to answer, and that is most of a route's time.

Judged by the time from having a connection to the first byte, without how long the answer lay here unread:
a wait for the client's own pool, a slow connect and a loop that was held are no slowness of the upstream's.
Each path is judged by itself: a busy health check of the same host would hide a slow one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, percent, plural
from perftui.findings.rule import MAX_SUBJECT, MIN_REQUESTS, Bar, Standing, graded, quoted
from perftui.findings.upstreams import MAX_PATH, OTHER, by_host
from perftui.model.happenings import Finding, Severity
from perftui.model.outside_summary import CalledSummary, UpstreamSummary
from perftui.model.summary import Summary

KIND = "upstream-slow"

ANSWER_P95_MS = Bar(200.0, 150.0)
"""A service that answers sooner is one among many parts of a page, even where it is most of a route."""

SHARE = Bar(0.5, 0.4)
"""Of the time of the route it dominates."""

MEDIUM_MS = Bar(400.0, 300.0)
HIGH_MS = Bar(1000.0, 750.0)


Calls: TypeAlias = UpstreamSummary | CalledSummary
"""All of one upstream's, or those for paths of one shape."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each host that is slow to answer and dominates a route: by the costliest path that does, or by
    all that it was asked for, if no single path is enough."""
    for host, rows in by_host(summary):
        stands = host in standing
        candidates: list[tuple[UpstreamSummary, Calls]] = [
            *((row, path) for row in rows for path in row.paths if path.path != OTHER),
            *((row, row) for row in rows),
        ]
        for row, calls in candidates:
            shares = _dominated(calls, summary, stands) if _is_slow(calls, stands) else {}
            if shares:
                yield _finding(summary, row, calls, shares, standing.get(host))
                break


def _is_slow(calls: Calls, stands: bool) -> bool:
    p95_ms = calls.answer_p95_ms if stands else calls.answer_p95_least_ms
    return calls.answers >= MIN_REQUESTS and ANSWER_P95_MS.reached(p95_ms, stands)


def _dominated(calls: Calls, summary: Summary, stands: bool) -> dict[str, float]:
    """Return the routes most of whose time goes there, and how much of it."""
    shares: dict[str, float] = {}
    for label, spent_ms in calls.spent_ms.items():
        route = summary.route(label)
        if route is None or route.long_poll or route.latency.count < MIN_REQUESTS:
            continue
        # Calls at once add up to more than the time that passed; the route's own sum does not.
        passed_ms = min(spent_ms, (route.http_ms_per_request or 0.0) * route.requests)
        share = passed_ms * _answering(calls) / route.total_ms if route.total_ms else 0.0
        if SHARE.reached(share, stands):
            shares[label] = min(share, 1.0)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _answering(calls: Calls) -> float:
    """Return how much of the time of its calls is the upstream's own."""
    theirs_ms = calls.total_ms - calls.held_ms
    return min((calls.answer_ms + calls.body_ms) / theirs_ms, 1.0) if theirs_ms > 0 else 0.0


def _finding(
    summary: Summary, row: UpstreamSummary, calls: Calls, shares: dict[str, float], was: Severity | None
) -> Finding:
    p95_ms = calls.answer_p95_ms or 0.0
    route, share = next(iter(shares.items()))
    held = f"; answers lay here unread for another {ms(calls.held_ms)}" if calls.held_ms else ""
    call_site = calls.call_site or row.call_site
    place = f" from {call_site}" if call_site else ""
    path = calls.path if isinstance(calls, CalledSummary) else None
    asked = f"{row.method} {quoted(path, MAX_PATH)}" if path else row.method
    return Finding(
        kind=KIND,
        severity=graded(p95_ms, MEDIUM_MS, HIGH_MS, was),
        subject=quoted(row.host, MAX_SUBJECT),
        sentence=f"p95 {ms(p95_ms)} to answer {plural(calls.answers, asked + ' call')}{place}, "
        f"{percent(share)} of the time of {route}{held}",
        evidence={
            "host": row.host,
            "method": row.method,
            "path": path,
            "library": row.library,
            "calls": row.count,
            "answers": calls.answers,
            "answer_p50_ms": _rounded(calls.answer_p50_ms),
            "answer_p95_ms": _rounded(calls.answer_p95_ms),
            "pool_wait_p95_ms": _rounded(row.pool_wait_p95_ms),
            "connect_p95_ms": _rounded(row.connect_p95_ms),
            "held_ms": round(calls.held_ms, 3),
            "held_unknown": row.held_unknown,
            "routes": {label: round(each, 4) for label, each in list(shares.items())[:5]},
            "call_site": call_site,
        },
        advice=f"Look at {row.host} itself: its own time is counted here, no wait of this service's. "
        "Meanwhile a time-out below what clients bear, a cache, or making the calls at once keeps it away.",
        impact=calls.answer_ms / max(summary.window_s, 1.0),
        key=row.host,
        route=route,
        routes=tuple(shares),
        upstream=row.key,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


CRITERIA = Criteria(
    kind=KIND,
    means="an outgoing call dominates a route",
    subject="host",
    when=(
        At("p95 of the answers, by the upstream's own time", ANSWER_P95_MS, "ms"),
        At(
            "of the time of a route",
            SHARE,
            "share",
            lambda row, _: (
                (row.http_ms_per_request or 0.0) / row.latency.mean_ms
                if row.http_ms_per_request is not None and row.latency.mean_ms
                else None
            ),
        ),
        f"{MIN_REQUESTS} answers and more, of a path or of all, and more slow ones than by chance",
    ),
    medium=graded_by(MEDIUM_MS, "ms"),
    high=graded_by(HIGH_MS, "ms"),
)
