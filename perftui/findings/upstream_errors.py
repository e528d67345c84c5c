"""`upstream-errors`: calls of another service fail: no answer, a time-out, a 5xx.

A time-out at the client's own pool is the client's, and a call that its caller gives up nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.cost import FAILED_MS
from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import percent, plural
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.findings.upstreams import by_host, failures_of, routes_of
from perftui.model.happenings import Finding, Severity
from perftui.model.outside_summary import UpstreamSummary
from perftui.model.summary import Summary

KIND = "upstream-errors"

MIN_ERRORS = 5
"""One or two that fail are what networks do."""

SHARE = Bar(0.05, 0.03)
MEDIUM = Bar(0.1, 0.08)
HIGH = Bar(0.25, 0.2)

POOL_TIMEOUT = "PoolTimeout"


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each host whose calls fail."""
    for host, rows in by_host(summary):
        calls = sum(row.count - row.cancelled - row.pool_timeouts for row in rows)
        errors = sum(row.errors - row.pool_timeouts for row in rows)
        if errors >= MIN_ERRORS and calls and SHARE.reached(errors / calls, host in standing):
            yield _finding(summary, host, rows, errors, calls, standing.get(host))


def _finding(
    summary: Summary,
    host: str,
    rows: list[UpstreamSummary],
    errors: int,
    calls: int,
    was: Severity | None,
) -> Finding:
    failures = {name: count for name, count in failures_of(rows).items() if name != POOL_TIMEOUT}
    named = ", ".join(f"{count:,}× {name}" for name, count in list(failures.items())[:3])
    worst = max(rows, key=lambda row: row.errors)
    routes = routes_of([row for row in rows if row.errors], summary)
    timeouts = sum(row.timeouts - row.pool_timeouts for row in rows)
    retries = sum(row.retries for row in rows)
    again = f", {retries:,} {'retry' if retries == 1 else 'retries'}" if retries else ""
    place = f" from {worst.call_site}" if worst.call_site else ""
    return Finding(
        kind=KIND,
        severity=graded(errors / calls, MEDIUM, HIGH, was),
        subject=quoted(host, MAX_SUBJECT),
        sentence=f"{percent(errors / calls)} of {plural(calls, 'call')} failed{place}: {named}{again}",
        evidence={
            "host": host,
            "calls": calls,
            "errors": errors,
            "timeouts": timeouts,
            "retries": retries,
            "failures": dict(list(failures.items())[:10]),
            "routes": list(routes[:5]),
            "call_site": worst.call_site,
        },
        advice=f"See whether {host} is well, and whether its routes here do without it: a fallback, a "
        "time-out below their own target, and retries that are few and spread out.",
        impact=FAILED_MS * errors / max(summary.window_s, 1.0),
        key=host,
        route=routes[0] if routes else None,
        routes=routes,
        upstream=worst.key,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="outgoing calls fail: no answer, a time-out, a 5xx",
    subject="host",
    when=(
        At("of the calls that fail", SHARE, "share"),
        f"{MIN_ERRORS} failures and more",
    ),
    medium=graded_by(MEDIUM, "share"),
    high=graded_by(HIGH, "share"),
    never="calls that their caller gave up, and time-outs at the client's own pool",
)
