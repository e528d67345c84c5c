"""`client-pool-exhausted`: outgoing calls wait for one of their client's own connections, or give up."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.cost import FAILED_MS
from perftui.findings.criteria import At, Criteria, graded_by, written
from perftui.findings.figures import ms, plural
from perftui.findings.rule import MAX_SUBJECT, MIN_REQUESTS, Bar, Standing, graded, quoted
from perftui.findings.upstreams import by_host, routes_of
from perftui.model.happenings import Finding, Severity
from perftui.model.outside_summary import UpstreamSummary
from perftui.model.summary import Summary

KIND = "client-pool-exhausted"

WAIT_P95_MS = Bar(20.0, 10.0)
"""A free connection is there in well under 1 ms: 20 ms are a queue."""

STUCK_MS = 1000.0
"""A wait that is not over yet: the first ends with its time-out, seconds after the pool ran dry."""

MEDIUM_MS = Bar(50.0, 35.0)
HIGH_MS = Bar(500.0, 350.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each host whose calls wait; a pool that is used up and waited for by nobody is well sized."""
    for host, rows in by_host(summary):
        waited = [row for row in rows if _waits(row, host in standing)]
        if waited:
            yield _finding(summary, host, waited, standing.get(host))


def _waits(row: UpstreamSummary, stands: bool) -> bool:
    return (
        bool(row.pool_timeouts)
        or (row.count >= MIN_REQUESTS and WAIT_P95_MS.reached(row.pool_wait_p95_ms, stands))
        or (row.waiting > 0 and row.longest_wait_ms >= STUCK_MS)
    )


def _finding(summary: Summary, host: str, rows: list[UpstreamSummary], was: Severity | None) -> Finding:
    worst = max(rows, key=lambda row: (row.pool_timeouts, row.pool_wait_ms))
    timeouts = sum(row.pool_timeouts for row in rows)
    waiting = sum(row.waiting for row in rows)
    longest_ms = max(row.longest_wait_ms for row in rows)
    wait_ms = worst.pool_wait_p95_ms or 0.0
    routes = routes_of(rows, summary)
    parts = [f"p95 wait {ms(wait_ms)} over {plural(worst.count, 'call')}"]
    if waiting and longest_ms >= STUCK_MS:
        parts.append(f"{waiting:,} waiting for up to {ms(longest_ms)}")
    if timeouts:
        parts.append(plural(timeouts, "time-out"))
    if worst.limit is not None:
        parts.append(f"{worst.limit:,} connections allowed")
    return Finding(
        kind=KIND,
        severity="high" if timeouts else graded(max(wait_ms, longest_ms), MEDIUM_MS, HIGH_MS, was),
        subject=quoted(host, MAX_SUBJECT),
        sentence=", ".join(parts),
        evidence={
            "host": host,
            "library": worst.library,
            "calls": worst.count,
            "waits": worst.pool_waits,
            "pool_wait_p95_ms": round(wait_ms, 3),
            "pool_timeouts": timeouts,
            "waiting": waiting,
            "longest_wait_ms": round(longest_ms, 3),
            "connections": worst.connections,
            "limit": worst.limit,
            "answer_p95_ms": None if worst.answer_p95_ms is None else round(worst.answer_p95_ms, 3),
            "routes": list(routes[:5]),
            "call_site": worst.call_site,
        },
        advice="Calls are held up here, before the upstream sees them. See who holds connections long: a "
        "slow upstream, or answers whose body is never read nor closed. Then raise the client's limit.",
        impact=(sum(row.pool_wait_ms for row in rows) + FAILED_MS * timeouts) / max(summary.window_s, 1.0),
        key=host,
        route=routes[0] if routes else None,
        routes=routes,
        upstream=worst.key,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="outgoing calls wait for one of their client's own connections, or give up",
    subject="host",
    when=(
        At("p95 of the wait for a connection", WAIT_P95_MS, "ms"),
        f"or a call that waits for {written(STUCK_MS, 'ms')} now, or one that gave up",
    ),
    medium=graded_by(MEDIUM_MS, "ms"),
    high=graded_by(HIGH_MS, "ms"),
)
