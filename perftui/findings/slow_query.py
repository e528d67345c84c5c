"""`slow-query`: a statement that is beyond the agent's threshold (`slow_query_ms`) as a habit."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by, written
from perftui.findings.figures import ms, percent, times
from perftui.findings.rule import MAX_SUBJECT, MIN_REQUESTS, Bar, Standing, graded, quoted
from perftui.model.happenings import Finding
from perftui.model.intervals import SURE_Z, share_interval
from perftui.model.outside_summary import QuerySummary
from perftui.model.plans import advice_on
from perftui.model.summary import Summary

KIND = "slow-query"

MIN_SLOW = 3
"""One or two may be a cold page cache, a lock, a busy machine."""

SHARE = Bar(0.05, 0.03)
"""Of its executions: its p95 is then beyond the threshold."""

SHARE_BESIDE_BLOCKS = Bar(0.5, 0.4)
"""While something holds the loop, an async statement's time has that wait in it: only a statement that
is slow more often than not is slow by itself then."""

HELD_LAG_MS = 50.0
"""From this p99 of the loop's lag on, waits for the loop are in the statements' times."""

STATEMENT = (
    "Explain it: a scan of a large table wants an index on what it filters or sorts by; "
    "otherwise fetch fewer rows or columns."
)

TRANSACTION = (
    "No index helps here: a commit waits for the disk or replicas, for deferred constraints and triggers, or "
    "for who reads or holds what it wants; look at the database's own view, and commit less often."
)

MEDIUM_P95_MS = Bar(200.0, 150.0)
HIGH_P95_MS = Bar(1000.0, 750.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each statement that is slow, unless all it serves is meant to be slow and keeps its targets."""
    held = _loop_is_held(summary)
    tolerated = _routes_within_own_targets(summary)
    for query in summary.asked:
        if query.slow < MIN_SLOW or not query.count or query.latency.p95_ms is None:
            continue
        if query.routes and tolerated.issuperset(query.routes):
            continue
        if _is_slow(query, query.fingerprint in standing, held):
            yield _finding(summary, query, standing)


def _is_slow(query: QuerySummary, stands: bool, held: bool) -> bool:
    if held:
        return SHARE_BESIDE_BLOCKS.reached(query.slow / query.count, stands)
    least, _ = share_interval(query.slow, query.count, SURE_Z)
    return SHARE.reached(query.slow / query.count if stands else least, stands)


def _loop_is_held(summary: Summary) -> bool:
    return bool(summary.incidents) or any(
        (worker.loop_lag_p99_ms or 0.0) >= HELD_LAG_MS for worker in summary.workers
    )


def _routes_within_own_targets(summary: Summary) -> frozenset[str]:
    """Return the routes that have a target of their own for latency, and meet it."""
    verdicts = [each for each in summary.slo if each.scope != "all" and each.slo.startswith("p")]
    # Of a few, one that took long is no target missed: `slo-breach` says the same.
    missed = {each.scope for each in verdicts if not each.met and (each.requests or 0) >= MIN_REQUESTS}
    return frozenset(each.scope for each in verdicts) - missed


def _finding(summary: Summary, query: QuerySummary, standing: Standing) -> Finding:
    p95_ms = query.latency.p95_ms or 0.0
    whole_ms = sum(route.total_ms for route in summary.routes if not route.long_poll)
    routes = ", ".join(query.routes[:2]) + (" …" if len(query.routes) > 2 else "")
    place = f" from {query.call_site}" if query.call_site else ""
    serves = f" for {routes}" if routes else ""
    return Finding(
        kind=KIND,
        severity=graded(p95_ms, MEDIUM_P95_MS, HIGH_P95_MS, standing.get(query.fingerprint)),
        subject=quoted(query.statement or query.fingerprint, MAX_SUBJECT),
        sentence=f"p95 {ms(p95_ms)}, {times(query.slow)} slow of {query.count:,} "
        f"({percent(query.slow / query.count)}){place}{serves}",
        evidence={
            "statement": quoted(query.statement),
            "fingerprint": query.fingerprint,
            "executions": query.count,
            "slow": query.slow,
            "p50_ms": _rounded(query.latency.p50_ms),
            "p95_ms": _rounded(query.latency.p95_ms),
            "max_ms": _rounded(query.latency.max_ms),
            "total_ms": round(query.total_ms, 3),
            "share_of_all_requests": round(query.total_ms / whole_ms, 4) if whole_ms else None,
            "routes": list(query.routes[:5]),
            "call_site": query.call_site,
            "database": query.database or None,
        },
        advice=_advice(summary, query),
        impact=query.total_ms / max(summary.window_s, 1.0),
        key=query.fingerprint,
        route=query.routes[0] if query.routes and summary.route(query.routes[0]) else None,
        statement=query.fingerprint,
    )


def _advice(summary: Summary, query: QuerySummary) -> str:
    """Return what is to be done: by its plan, where an agent has asked for it."""
    plan = summary.plans.get(query.fingerprint)
    if plan is not None and plan.verdicts:
        return f"{plan.verdicts[0].sentence}. {advice_on(plan.missing, plan.verdicts, plan.kind)}"
    return STATEMENT if query in summary.queries else TRANSACTION


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


CRITERIA = Criteria(
    kind=KIND,
    means="statements beyond the agent's threshold (PERFTUI_SLOW_QUERY_MS) as a habit",
    subject="statement",
    when=(
        At(
            "of its executions beyond the threshold",
            SHARE,
            "share",
            lambda row, summary: max(
                (each.slow / each.count for each in summary.asked if row.route in each.routes and each.count),
                default=0.0,
            ),
        ),
        f"{MIN_SLOW} and more of them, and more than chance would make of fewer",
        f"{written(SHARE_BESIDE_BLOCKS.enter, 'share')} while the loop is held",
    ),
    medium=f"p95 {graded_by(MEDIUM_P95_MS, 'ms')}",
    high=f"p95 {graded_by(HIGH_P95_MS, 'ms')}",
    never="statements of routes that keep a latency target of their own",
)
