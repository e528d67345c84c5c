"""`missing-index`: a statement is slow, and its plan reads a table whole for want of an index.

The agent has asked the database for the plan, and judged it where the rows are: this rule says only that the
statement is slow as a habit, and what there is to try.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, percent, plural, times
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.model.happenings import Finding
from perftui.model.outside_summary import QuerySummary
from perftui.model.plans import advice_on, subject_of
from perftui.model.summary import Summary
from perftui_agent.wire.explain import MissingIndex, PlanNote

KIND = "missing-index"

SHARE = Bar(0.05, 0.03)
"""Of a statement's executions that were slow, as for `slow-query`; a single one is enough, since it is not
guessed from its time why it was."""

MEDIUM_P95_MS = Bar(200.0, 150.0)
HIGH_P95_MS = Bar(1000.0, 750.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each index that is missing, once, by the statement that suffers most from it."""
    suffering: dict[str, list[QuerySummary]] = {}
    for query in summary.queries:
        plan = summary.plans.get(query.fingerprint)
        if plan is None or not query.slow or not query.count or query.latency.p95_ms is None:
            continue
        for subject in {subject_of(missing) for missing in plan.missing}:
            if SHARE.reached(query.slow / query.count, subject in standing):
                suffering.setdefault(subject, []).append(query)
    for subject, queries in suffering.items():
        plan = summary.plans[queries[0].fingerprint]
        missing = next(each for each in plan.missing if subject_of(each) == subject)
        yield _finding(summary, queries, plan, missing, standing)


def _finding(
    summary: Summary,
    queries: Sequence[QuerySummary],
    plan: PlanNote,
    missing: MissingIndex,
    standing: Standing,
) -> Finding:
    query = queries[0]
    p95_ms = query.latency.p95_ms or 0.0
    subject = subject_of(missing)
    routes = tuple(dict.fromkeys(route for each in queries for route in each.routes))
    others = f"; also for {plural(len(queries) - 1, 'other statement')}" if len(queries) > 1 else ""
    why = next((each.sentence for each in plan.verdicts if each.columns == missing.columns), "")
    place = f" from {query.call_site}" if query.call_site else ""
    serves = f" for {query.routes[0]}" if query.routes else ""
    return Finding(
        kind=KIND,
        severity=graded(p95_ms, MEDIUM_P95_MS, HIGH_P95_MS, standing.get(subject)),
        subject=quoted(subject, MAX_SUBJECT),
        sentence=f"{why or 'a table is read whole'}; p95 {ms(p95_ms)}, {times(query.slow)} slow of "
        f"{query.count:,} ({percent(query.slow / query.count)}){place}{serves}{others}",
        evidence={
            "table": missing.table,
            "columns": list(missing.columns),
            "create": missing.create,
            "checked": missing.checked or None,
            "statement": quoted(query.statement),
            "fingerprint": query.fingerprint,
            "executions": query.count,
            "slow": query.slow,
            "p95_ms": round(p95_ms, 3),
            "total_ms": round(query.total_ms, 3),
            "statements": len(queries),
            "routes": list(routes[:5]),
            "call_site": query.call_site,
            "database": query.database or None,
            "plan": [each.sentence for each in plan.verdicts],
        },
        advice=advice_on([missing], plan.verdicts, plan.kind),
        impact=sum(each.total_ms for each in queries) / max(summary.window_s, 1.0),
        key=subject,
        route=query.routes[0] if query.routes and summary.route(query.routes[0]) else None,
        routes=routes,
        statement=query.fingerprint,
        statements=tuple(each.fingerprint for each in queries),
    )


CRITERIA = Criteria(
    kind=KIND,
    means="the plan of a slow statement scans a table by a filter without an index",
    subject="table and columns",
    when=(
        "a plan that reads a table whole, or sorts it, for want of an index (SQLite, PostgreSQL)",
        At("of the statement's executions beyond the agent's threshold", SHARE, "share"),
    ),
    medium=f"p95 {graded_by(MEDIUM_P95_MS, 'ms')}",
    high=f"p95 {graded_by(HIGH_P95_MS, 'ms')}",
)
