"""`idle-in-transaction`: a session of ours has begun a transaction and does nothing; which route left it so.

It holds its locks and its connection meanwhile, and keeps the database from clearing away dead rows. A
moment of it is what every transaction has between two statements.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.databases import place_of
from perftui.findings.figures import ms, plural
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.model.database import DatabaseView, SessionRow
from perftui.model.happenings import Finding, Severity
from perftui.model.summary import Summary

KIND = "idle-in-transaction"

IDLES_MS = Bar(5000.0, 3000.0)

MEDIUM_MS = Bar(10_000.0, 8_000.0)
HIGH_MS = Bar(60_000.0, 50_000.0)

OUTSIDE = "outside requests"
"""Who has begun it, if no request has."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each route that has left a transaction open for long; those of other applications are theirs."""
    for view in summary.databases:
        routes: dict[str, list[SessionRow]] = {}
        for row in view.sessions:
            if row.ours and row.idles_within:
                routes.setdefault(row.route or OUTSIDE, []).append(row)
        for route, rows in routes.items():
            key = f"{view.name} {route}"
            idle = [row for row in rows if IDLES_MS.reached(row.state_ms, key in standing)]
            if idle:
                yield _finding(summary, view, route, idle, key, standing.get(key))


def _over(number: int) -> str:
    return "its request is over" if number == 1 else f"{number} of their requests are over"


def _finding(
    summary: Summary,
    view: DatabaseView,
    route: str,
    rows: list[SessionRow],
    key: str,
    was: Severity | None,
) -> Finding:
    longest = max(rows, key=lambda row: row.state_ms or 0.0)
    longest_ms = longest.state_ms or 0.0
    statement = longest.session.statement
    after = f" after {quoted(statement)}" if statement else ""
    over = sum(not row.in_flight for row in rows)
    left = f"; {_over(over)}" if over and route != OUTSIDE else ""
    at = place_of(summary, longest)
    now = f", now at {at}" if at else ""
    return Finding(
        kind=KIND,
        severity=graded(longest_ms, MEDIUM_MS, HIGH_MS, was),
        subject=quoted(route, MAX_SUBJECT),
        sentence=f"{plural(len(rows), 'session')} of {view.name} idle in transaction for up to "
        f"{ms(longest_ms)}{after}, worker {longest.worker_pid}{now}{left}",
        evidence={
            "database": view.name,
            "sessions": [
                {
                    "session": row.pid,
                    "worker": row.worker_pid,
                    "idle_ms": round(row.state_ms or 0.0, 1),
                    "in_transaction_ms": None if row.age_ms is None else round(row.age_ms, 1),
                    "request_goes_on": row.in_flight,
                    "connection_out": row.held,
                    "statement": row.session.statement,
                }
                for row in rows[:10]
            ],
            "statement": statement,
            "at": at,
        },
        advice="Commit or roll back before the route calls another service, waits or renders: a transaction "
        "is for its statements. idle_in_transaction_session_timeout ends what is forgotten.",
        impact=float(len(rows)) * 100.0,
        key=key,
        route=None if route == OUTSIDE else route,
        worker=longest.worker,
        workers=tuple(dict.fromkeys(row.worker for row in rows if row.worker is not None)),
        statement=longest.session.fingerprint or None,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="a session of ours holds a transaction and does nothing",
    subject="route",
    when=(At("for so long", IDLES_MS, "ms"),),
    medium=graded_by(MEDIUM_MS, "ms"),
    high=graded_by(HIGH_MS, "ms"),
    never="sessions of other applications",
)
