"""`repeated-query`: the same statement with the same binds, request after request.

The agent compares binds by a salted hash and counts, for single SELECTs, how many executions another
request had done before. What matters is whether a cache would be felt: in the latency of a route, or by the
database. Asking for a row by its key, however often, is what databases are for.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by, written
from perftui.findings.figures import ms, percent, rate, times
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.model.happenings import Finding
from perftui.model.outside_summary import QuerySummary
from perftui.model.summary import Summary
from perftui.record import Record
from perftui_agent.wire.parts import RouteLabel

KIND = "repeated-query"

MIN_REPEATS = 100
"""Fewer in a window may be one user's page reloads …"""

MIN_COSTLY_REPEATS = 20
"""… unless the database feels them."""

SHARE = Bar(0.5, 0.4)
"""Of its executions: a cache that would hit less often than that is not worth its staleness."""

OF_A_ROUTE = Bar(0.2, 0.14)
"""Of the latency of a route that runs it: a fifth less is felt …"""

MS_PER_REQUEST = Bar(1.0, 0.7)
"""… if it is a millisecond; nobody feels half of nothing."""

OF_THE_DATABASE = Bar(0.2, 0.14)
"""Of the time that all statements take …"""

MS_PER_SECOND = Bar(50.0, 35.0)
"""… if the database is at work: 5 % of one connection."""

MEDIUM_MS_PER_SECOND = Bar(50.0, 35.0)
HIGH_MS_PER_SECOND = Bar(500.0, 350.0)


class _Saved(Record, frozen=True):
    """What a cache would save, all that is repeated being taken from it."""

    ms: float
    per_second: float
    of_database: float
    route: RouteLabel | None
    """The one that would feel it most …"""
    of_route: float
    """… how much of its latency …"""
    per_request: float
    """… and of each of its requests, in ms."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each statement whose cache would be felt."""
    whole_ms = sum(query.total_ms for query in summary.queries)
    for query in summary.queries:
        if query.same_binds < MIN_COSTLY_REPEATS or not query.count or not _reads_a_table(query):
            continue
        stands = query.fingerprint in standing
        share = min(query.same_binds / query.count, 1.0)
        if not SHARE.reached(share, stands):
            continue
        saved = _saved(summary, query, share, whole_ms)
        if _is_felt(query, saved, stands):
            yield _finding(query, share, saved, summary.window_s, standing)


def _is_felt(query: QuerySummary, saved: _Saved, stands: bool) -> bool:
    costs_database = MS_PER_SECOND.reached(saved.per_second, stands)
    by_database = costs_database and OF_THE_DATABASE.reached(saved.of_database, stands)
    costs_requests = MS_PER_REQUEST.reached(saved.per_request, stands)
    by_route = costs_requests and OF_A_ROUTE.reached(saved.of_route, stands)
    return by_database or (by_route and query.same_binds >= MIN_REPEATS)


def _saved(summary: Summary, query: QuerySummary, share: float, whole_ms: float) -> _Saved:
    saved_ms = share * query.total_ms
    best: tuple[float, float, RouteLabel | None] = (0.0, 0.0, None)
    for label in query.routes:
        route = summary.route(label)
        if route is None or not route.total_ms:
            continue
        executions = query.count if len(query.routes) == 1 else query.executions.get(label, 0)
        here_ms = saved_ms * min(executions / query.count, 1.0)
        if route.sql_ms_per_request is not None:
            # What it asks after its response is told of under the route as well, and nobody waits for that.
            here_ms = min(here_ms, route.sql_ms_per_request * route.requests)
        felt = here_ms / route.total_ms, here_ms / route.requests, label
        best = max(best, felt, key=lambda each: each[:2])
    return _Saved(
        ms=saved_ms,
        per_second=saved_ms / max(summary.window_s, 1.0),
        of_database=saved_ms / whole_ms if whole_ms else 0.0,
        route=best[2],
        of_route=min(best[0], 1.0),
        per_request=best[1],
    )


def _reads_a_table(query: QuerySummary) -> bool:
    """Say whether there is something to cache: a `SELECT ?` is how health checks ask whether one is there."""
    return not query.statement or " FROM " in query.statement.upper()


def _finding(
    query: QuerySummary, share: float, saved: _Saved, window_s: float, standing: Standing
) -> Finding:
    place = f" from {query.call_site}" if query.call_site else ""
    # The agent of a worker under load compares the binds of some requests alone.
    again = ("" if query.followed in {None, query.count} else "about ") + times(query.same_binds)
    window_s = max(window_s, 1.0)
    felt = f"{ms(saved.per_second)} of database time a second"
    if saved.route is not None and saved.of_route >= OF_A_ROUTE.leave:
        felt = f"{percent(saved.of_route)} of what {saved.route} takes, {felt}"
    return Finding(
        kind=KIND,
        severity=graded(
            saved.per_second, MEDIUM_MS_PER_SECOND, HIGH_MS_PER_SECOND, standing.get(query.fingerprint)
        ),
        subject=quoted(query.statement or query.fingerprint, MAX_SUBJECT),
        sentence=f"{again} with binds that another request had used ({percent(share)} "
        f"of its executions, {rate(query.same_binds / window_s)} a second){place}, {felt}",
        evidence={
            "statement": quoted(query.statement),
            "fingerprint": query.fingerprint,
            "executions": query.count,
            "same_binds": query.same_binds,
            "share": round(share, 4),
            "total_ms": round(query.total_ms, 3),
            "repeated_ms_per_second": round(saved.per_second, 3),
            "share_of_database": round(saved.of_database, 4),
            "share_of_route": round(saved.of_route, 4),
            "ms_per_request": round(saved.per_request, 3),
            "window_s": round(window_s, 3),
            "routes": list(query.routes[:5]),
            "call_site": query.call_site,
        },
        advice="Keep the answer for as long as it may be old: a TTL cache in front of it"
        + (f" at {query.call_site}." if query.call_site else "."),
        impact=saved.per_second,
        key=query.fingerprint,
        route=saved.route or (query.routes[0] if query.routes else None),
        statement=query.fingerprint,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="the same statement with the same binds again and again across requests: a cache would take it",
    subject="statement",
    when=(
        At("of its executions whose binds another request had", SHARE, "share"),
        (
            f"{written(OF_A_ROUTE.enter, 'share')} of a route's latency and "
            f"{written(MS_PER_REQUEST.enter, 'ms')} a request, of {MIN_REPEATS} repeats and more"
        ),
        (
            f"or {written(OF_THE_DATABASE.enter, 'share')} of the database's time and "
            f"{MS_PER_SECOND.enter:g} ms a second, of {MIN_COSTLY_REPEATS} and more"
        ),
    ),
    medium=graded_by(MEDIUM_MS_PER_SECOND, "ms a second"),
    high=graded_by(HIGH_MS_PER_SECOND, "ms a second"),
)
