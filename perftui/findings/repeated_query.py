"""`repeated-query`: the same statement with the same binds, request after request.

The agent compares binds by a salted hash and counts, for single SELECTs, how many executions another
request had done before. What matters is what they cost: asking for a row by its key now and then is what
databases are for.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.figures import ms, percent, rate, times
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.model.summary import Finding, QuerySummary, Summary

KIND = "repeated-query"

MIN_REPEATS = 100
"""Fewer in a window may be one user's page reloads."""

SHARE = Bar(0.5, 0.4)
"""Of its executions: a cache that would hit less often than that is not worth its staleness."""

PER_SECOND = Bar(5.0, 3.5)
"""However cheap each is: every one is a connection taken and a round trip."""

MS_PER_SECOND = Bar(20.0, 14.0)
"""Of database time, for what is repeated less often: 2 % of one connection."""

MEDIUM_MS_PER_SECOND = Bar(50.0, 35.0)
HIGH_MS_PER_SECOND = Bar(500.0, 350.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each statement that a cache would take."""
    window_s = max(summary.window_s, 1.0)
    for query in summary.queries:
        if query.same_binds < MIN_REPEATS or not query.count or not _reads_a_table(query):
            continue
        stands = query.fingerprint in standing
        share = min(query.same_binds / query.count, 1.0)
        spent = share * query.total_ms / window_s
        often = PER_SECOND.reached(query.same_binds / window_s, stands)
        if SHARE.reached(share, stands) and (often or MS_PER_SECOND.reached(spent, stands)):
            yield _finding(query, share, spent, window_s, standing)


def _reads_a_table(query: QuerySummary) -> bool:
    """Say whether there is something to cache: a `SELECT ?` is how health checks ask whether one is there."""
    return not query.statement or " FROM " in query.statement.upper()


def _finding(query: QuerySummary, share: float, spent: float, window_s: float, standing: Standing) -> Finding:
    place = f" from {query.call_site}" if query.call_site else ""
    # The agent of a worker under load compares the binds of some requests alone.
    again = ("" if query.followed in {None, query.count} else "about ") + times(query.same_binds)
    return Finding(
        kind=KIND,
        severity=graded(spent, MEDIUM_MS_PER_SECOND, HIGH_MS_PER_SECOND, standing.get(query.fingerprint)),
        subject=quoted(query.statement or query.fingerprint, MAX_SUBJECT),
        sentence=f"{again} with binds that another request had used ({percent(share)} "
        f"of its executions, {rate(query.same_binds / window_s)} a second){place}, "
        f"{ms(spent)} of database time a second",
        evidence={
            "statement": quoted(query.statement),
            "fingerprint": query.fingerprint,
            "executions": query.count,
            "same_binds": query.same_binds,
            "share": round(share, 4),
            "total_ms": round(query.total_ms, 3),
            "repeated_ms_per_second": round(spent, 3),
            "window_s": round(window_s, 3),
            "routes": list(query.routes[:5]),
            "call_site": query.call_site,
        },
        advice="Keep the answer for as long as it may be old: a TTL cache in front of it"
        + (f" at {query.call_site}." if query.call_site else "."),
        impact=spent,
        key=query.fingerprint,
        route=query.routes[0] if query.routes else None,
        statement=query.fingerprint,
    )
