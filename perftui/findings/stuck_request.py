"""`stuck-request`: in flight far beyond what its route takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from perftui.findings.criteria import At, Criteria, graded_by, written
from perftui.findings.figures import ms, plural
from perftui.findings.pool_exhausted import STUCK_MS
from perftui.findings.rule import MIN_REQUESTS, Bar, Standing, graded, quoted
from perftui.model.happenings import Finding, FlightRow
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary

KIND = "stuck-request"

TIMES_P99 = 5.0
"""Beyond its route's p99: one in a hundred takes longer than that anyway."""

MIN_AGE_MS = 5_000.0
"""A request that is younger may still be merely slow."""

MIN_AGE_UNKNOWN_MS = 30_000.0
"""For a route of which too little is known: what servers and proxies commonly give a request."""

MIN_AGE_ON_PURPOSE_MS = 120_000.0
TIMES_GIVEN_UP = 2.0
"""A long poll ends by itself when its time is over; most give up within a minute."""

YOUNGER_MS = 1_000.0
"""What a request does before it asks for a connection."""

MEDIUM_AGE_MS = Bar(10_000.0, 10_000.0)
HIGH_AGE_MS = Bar(60_000.0, 60_000.0)
"""An age only grows: a stuck request stays until it ends, and needs no lower bar."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each route with stuck requests.

    Streams last as long as their clients want. What a blocked worker has in flight waits for its loop,
    which is a finding of its own.
    """
    held = {worker.identity.id for worker in summary.workers if worker.state in {"blocked", "silent", "gone"}}
    pool_ms = max((pool.longest_wait_ms or 0.0 for pool in summary.pools), default=0.0)
    stuck = [
        row
        for row in summary.in_flight
        if row.worker not in held and _is_stuck(row, summary) and not _waits_for_a_pool(row, summary, pool_ms)
    ]
    stuck.sort(key=lambda row: (row.request.route, -row.request.age_ns))
    for label, rows in groupby(stuck, key=lambda row: row.request.route):
        yield _finding(summary, label, list(rows), standing)


def _waits_for_a_pool(row: FlightRow, summary: Summary, longest_ms: float) -> bool:
    """Say whether it may be one of those that wait for a connection: the pool's finding tells of them.

    Who holds the connections has had one since before the others began to wait, and is older.
    """
    route = summary.route(row.request.route)
    asks = route is None or route.sql_per_request is None or route.sql_per_request > 0
    return longest_ms >= STUCK_MS and asks and row.request.age_ns / 1e6 <= longest_ms + YOUNGER_MS


def _held_ms(row: FlightRow, summary: Summary) -> float:
    """Return for how much of its life the loop was held: it could not go on, whatever it waits for."""
    end_ns = summary.at * 1e9
    begin_ns = end_ns - row.request.age_ns
    return (
        sum(
            max(0.0, min(each.incident.at + each.incident.ns, end_ns) - max(each.incident.at, begin_ns))
            for each in summary.incidents
            if each.worker == row.worker
        )
        / 1e6
    )


def _is_stuck(row: FlightRow, summary: Summary) -> bool:
    age_ms = row.request.age_ns / 1e6 - _held_ms(row, summary)
    route = summary.route(row.request.route)
    if route is not None and route.streaming:
        return False
    if row.request.on_purpose:
        return age_ms >= max(MIN_AGE_ON_PURPOSE_MS, TIMES_GIVEN_UP * (row.request.gives_up_ns or 0) / 1e6)
    p99_ms = _p99_ms(route)
    if p99_ms is None:
        return age_ms >= MIN_AGE_UNKNOWN_MS
    return age_ms >= max(MIN_AGE_MS, TIMES_P99 * p99_ms)


def _p99_ms(route: RouteSummary | None) -> float | None:
    """Return what the route takes at most, if enough is known of it."""
    return route.latency.p99_ms if route is not None and route.latency.count >= MIN_REQUESTS else None


def _finding(summary: Summary, label: str, rows: list[FlightRow], standing: Standing) -> Finding:
    oldest = rows[0]
    age_ms = oldest.request.age_ns / 1e6
    p99_ms = _p99_ms(summary.route(label))
    usual = f", where p99 is {ms(p99_ms)}" if p99_ms is not None else ""
    at = f", at {quoted(oldest.request.waiting_at)}" if oldest.request.waiting_at else ""
    return Finding(
        kind=KIND,
        severity=graded(age_ms, MEDIUM_AGE_MS, HIGH_AGE_MS, standing.get(label)),
        subject=label,
        sentence=f"{plural(len(rows), 'request')} in flight for up to {ms(age_ms)}{usual}, "
        f"on worker {oldest.pid}{at}",
        evidence={
            "requests": len(rows),
            "oldest_ms": round(age_ms, 3),
            "route_p99_ms": None if p99_ms is None else round(p99_ms, 3),
            "oldest": [
                {
                    "path": quoted(row.request.path),
                    "pid": row.pid,
                    "age_ms": round(row.request.age_ns / 1e6, 3),
                    "waiting_at": row.request.waiting_at,
                }
                for row in rows[:5]
            ],
        },
        advice=f"Open what it waits at; a dump of worker {oldest.pid} shows the whole stack. "
        "What is awaited there wants a time-out.",
        impact=sum(min(row.request.age_ns / 1e6, summary.window_s * 1e3) for row in rows)
        / max(summary.window_s, 1.0),
        since=summary.at - age_ms / 1e3,
        route=label,
        worker=oldest.worker,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="in flight far beyond its route's p99",
    subject="route",
    when=(
        At(
            "age of a request in flight",
            Bar(MIN_AGE_MS, MIN_AGE_MS),
            "ms",
            lambda row, summary: max(
                (each.request.age_ns / 1e6 for each in summary.in_flight if each.request.route == row.route),
                default=0.0,
            ),
        ),
        (
            f"{written(TIMES_P99, 'times')} the p99 of its route and more; "
            f"{written(MIN_AGE_UNKNOWN_MS, 'ms')} where that is not known"
        ),
    ),
    medium=graded_by(MEDIUM_AGE_MS, "ms"),
    high=graded_by(HIGH_AGE_MS, "ms"),
    never="streams, WebSockets, and long polls whose own time is not over twice",
)
