"""`pool-exhausted`: requests wait for a database connection, or give up waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from perftui.findings.cost import FAILED_MS
from perftui.findings.criteria import At, Criteria, graded_by, written
from perftui.findings.figures import ms, plural
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.model.happenings import Finding, Severity
from perftui.model.outside_summary import PoolSummary
from perftui.model.summary import Summary
from perftui_agent.wire.parts import RouteLabel

KIND = "pool-exhausted"

MIN_CHECKOUTS = 20
"""Of fewer, p95 is the single longest wait: the first checkout, which connects."""

WAIT_P95_MS = Bar(20.0, 10.0)
"""A free connection is there in well under 1 ms, however full the pool is: 20 ms are a queue."""

STUCK_MS = 1000.0
"""A wait that is not over yet: of an empty pool, the first waits end after half a minute, with time-outs."""

MEDIUM_MS = Bar(50.0, 35.0)
HIGH_MS = Bar(500.0, 350.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each pool that is waited for. A full pool that nobody waits for is a well-sized one."""
    for pool in summary.pools:
        stuck = (pool.longest_wait_ms or 0.0) >= STUCK_MS
        if _is_waited_for(pool, pool.name in standing) or stuck or pool.timeouts:
            yield _finding(summary, pool, standing.get(pool.name))


def _is_waited_for(pool: PoolSummary, stands: bool) -> bool:
    # Of forty, p95 are the two longest waits: chance makes two now and then, and seldom three.
    third = pool.third_wait_ms
    return (
        pool.waits >= MIN_CHECKOUTS
        and WAIT_P95_MS.reached(pool.wait_p95_ms, stands)
        and (third is None or WAIT_P95_MS.reached(third, stands))
    )


def _finding(summary: Summary, pool: PoolSummary, was: Severity | None) -> Finding:
    wait_ms = pool.wait_p95_ms
    longest_ms = pool.longest_wait_ms or 0.0
    worst_ms = max(wait_ms or 0.0, longest_ms)
    parts = [_usage(pool)]
    if longest_ms >= STUCK_MS and pool.waiting:
        parts.append(f"{pool.waiting:,} waiting for up to {ms(longest_ms)}")
    if wait_ms is not None:
        parts.append(f"p95 wait {ms(wait_ms)} over {plural(pool.waits, 'checkout')}")
    if pool.timeouts:
        parts.append(plural(pool.timeouts, "time-out"))
    holders = held_by(summary, pool.name)
    routes = sorted(
        (route for route in summary.routes if route.pool_wait_ms_per_request),
        key=lambda route: -(route.pool_wait_ms_per_request or 0.0) * route.requests,
    )
    return Finding(
        kind=KIND,
        severity="high" if pool.timeouts else graded(worst_ms, MEDIUM_MS, HIGH_MS, was),
        subject=quoted(pool.name, MAX_SUBJECT),
        sentence=", ".join(filter(None, parts)),
        evidence={
            "size": pool.size,
            "checked_out": pool.checked_out,
            "overflow": pool.overflow,
            "max": pool.max,
            "checkouts": pool.checkouts,
            "waits_measured": pool.waits,
            "wait_p95_ms": None if wait_ms is None else round(wait_ms, 3),
            "timeouts": pool.timeouts,
            "waiting": pool.waiting,
            "longest_wait_ms": pool.longest_wait_ms,
            "holders": [
                {"route": route, "at": place or None, "connections": number}
                for (route, place), number in holders[:5]
            ],
            "routes": {route.route: round(route.pool_wait_ms_per_request or 0.0, 3) for route in routes[:5]},
        },
        advice=_advice(holders),
        impact=(
            sum((route.pool_wait_ms_per_request or 0.0) * route.requests for route in routes)
            + (pool.waiting or 0) * min(longest_ms, summary.window_s * 1e3)
            + FAILED_MS * pool.timeouts
        )
        / max(summary.window_s, 1.0),
        key=pool.name,
        route=routes[0].route if routes else None,
        routes=tuple(route.route for route in routes),
        pool=pool.name,
    )


def held_by(summary: Summary, pool: str) -> list[tuple[tuple[RouteLabel, str], int]]:
    """Return who has connections of a pool while others wait: route and line, and how many, most first."""
    holders = Counter(
        (row.request.route, row.request.waiting_at or "")
        for row in summary.in_flight
        if row.request.holds == pool
    )
    return sorted(holders.items(), key=lambda each: -each[1])


def _advice(holders: list[tuple[tuple[RouteLabel, str], int]]) -> str:
    size_it = "Then size the pool for the requests that need one at once."
    if not holders:
        return (
            "See who holds connections long: a route that awaits something else while it has one "
            f"should give it back first. {size_it}"
        )
    (route, place), number = holders[0]
    where = f", at {quoted(place)}" if place else ""
    return (
        f"{route} holds {number} of them{where}: what else it awaits there belongs before it takes one, "
        f"or after it has given it back. {size_it}"
    )


def _usage(pool: PoolSummary) -> str:
    if pool.checked_out is None or pool.max is None:
        return ""
    return f"{pool.checked_out} of {pool.max} connections out"


CRITERIA = Criteria(
    kind=KIND,
    means="requests wait for, or time out on, a database connection",
    subject="pool",
    when=(
        At(
            "p95 of the wait for a connection",
            WAIT_P95_MS,
            "ms",
            lambda row, summary: (
                max((each.wait_p95_ms or 0.0 for each in summary.pools), default=0.0)
                if row.pool_wait_ms_per_request is not None
                else None
            ),
        ),
        f"of {MIN_CHECKOUTS} checkouts and more, three of which waited as long",
        f"or one that waits for {written(STUCK_MS, 'ms')} now, or one that gave up",
    ),
    medium=graded_by(MEDIUM_MS, "ms"),
    high=f"{graded_by(HIGH_MS, 'ms')}, or a time-out",
    never="a full pool that nobody waits for",
)
