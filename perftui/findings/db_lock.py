"""`db-lock`: sessions wait for a lock that one of them holds, and which route that is.

Judged by what the database itself said, when a worker had a reason to ask it. Locks that are waited for a
moment are what they are there for; a queue is a finding when somebody of ours has stood in it for seconds, or
holds it up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.databases import place_of
from perftui.findings.figures import ms, plural
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.model.database import DatabaseView, Holder, LockRow, SessionRow
from perftui.model.happenings import Finding, Severity
from perftui.model.summary import Summary

KIND = "db-lock"

WAITS_MS = Bar(2000.0, 1000.0)

MEDIUM_MS = Bar(2000.0, 1000.0)
HIGH_MS = Bar(5000.0, 3500.0)

MAX_TOLD = 10


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each session that others wait for, and SQLite's writer."""
    for view in summary.databases:
        for root in view.roots:
            rows = [row for row in view.locks if row.root == root]
            waiters = [row for each in rows if (row := view.session(each.blocked)) is not None]
            holder = view.session(root)
            if not any(each.ours for each in (*waiters, *filter(None, [holder]))):
                continue
            finding = _finding(summary, view, root, holder, rows, waiters, standing)
            if finding is not None:
                yield finding
        writer = view.writer
        if writer is not None and view.waiting_for_writer:
            finding = _of_sqlite(view, writer, standing)
            if finding is not None:
                yield finding


def _finding(
    summary: Summary,
    view: DatabaseView,
    root: int,
    holder: SessionRow | None,
    rows: list[LockRow],
    waiters: list[SessionRow],
    standing: Standing,
) -> Finding | None:
    longest = max(rows, key=lambda row: row.waits_ms or 0.0)
    longest_ms = longest.waits_ms or 0.0
    routes = list(dict.fromkeys(each.route for each in waiters if each.route))
    own = holder.route if holder is not None and holder.route else None
    subject = own or (routes[0] if routes else view.name)
    key = f"{view.name} {subject}"
    if not WAITS_MS.reached(longest_ms, key in standing):
        return None
    first = next((each for each in waiters if each.pid == longest.blocked), None)
    at = place_of(summary, holder) if holder is not None else None
    return Finding(
        kind=KIND,
        severity=graded(longest_ms, MEDIUM_MS, HIGH_MS, standing.get(key)),
        subject=quoted(subject, MAX_SUBJECT),
        sentence=f"{_count(rows)} up to {ms(longest_ms)} for {longest.on} in {view.name}: "
        f"{_held_by(root, holder)}{f', now at {at}' if at else ''}",
        evidence={
            "database": view.name,
            "blocker": root,
            "blocker_worker": holder.worker_pid if holder is not None else None,
            "blocker_route": own,
            "blocker_state": holder.session.state if holder is not None else None,
            "blocker_statement": holder.session.statement if holder is not None else None,
            "blocker_application": holder.session.application if holder is not None else None,
            "blocker_at": at,
            "in_transaction_ms": _round(holder.age_ms if holder is not None else None),
            "longest_wait_ms": _round(longest_ms),
            "waiting": [_told(view, row) for row in rows[:MAX_TOLD]],
        },
        advice=_advice(holder),
        impact=sum(min(row.waits_ms or 0.0, 1000.0) for row in rows),
        key=key,
        route=own or (routes[0] if routes else None),
        worker=holder.worker if holder is not None else None,
        statement=first.session.fingerprint if first is not None else None,
        routes=tuple(dict.fromkeys([*([own] if own else []), *routes])),
    )


def _count(rows: list[LockRow]) -> str:
    sessions = len({row.blocked for row in rows})
    return f"{plural(sessions, 'session')} {'waits' if sessions == 1 else 'wait'}"


def _held_by(root: int, holder: SessionRow | None) -> str:
    if root == 0:
        return "a prepared transaction holds it, which nobody has committed"
    if holder is None:
        return f"session {root} holds it"
    who = f"worker {holder.worker_pid}" if holder.ours else f"{holder.who} (session {root})"
    for_ms = f" for {ms(holder.age_ms)}" if holder.age_ms is not None else ""
    doing = "idle in transaction" if holder.idles_within else "in a transaction"
    if holder.idles_within and holder.ours and not holder.in_flight:
        doing += " after its request was over" if holder.route else ""
    after = f", after {quoted(holder.session.statement)}" if holder.session.statement else ""
    return f"{who} holds it, {doing}{for_ms}{after}"


def _advice(holder: SessionRow | None) -> str:
    if holder is None or not holder.ours:
        return (
            "It is held from outside of this service: whoever that is should end the transaction. "
            "See who waits: perftui database."
        )
    if holder.idles_within:
        return (
            "The route that holds it does something else within its transaction: commit before calling other "
            "services or waiting, and keep transactions short. See the queue: perftui database."
        )
    return (
        "Make its transaction shorter, and take locks in the same order everywhere. "
        "See the queue: perftui database."
    )


def _told(view: DatabaseView, row: LockRow) -> dict[str, Any]:
    blocked, by = view.session(row.blocked), view.session(row.by)
    return {
        "session": row.blocked,
        "worker": blocked.worker_pid if blocked is not None else None,
        "route": blocked.route if blocked is not None else None,
        "by": row.by,
        "by_route": by.route if by is not None else None,
        "on": row.on,
        "waits_ms": _round(row.waits_ms),
        "statement": blocked.session.statement if blocked is not None else None,
    }


def _of_sqlite(view: DatabaseView, writer: Holder, standing: Standing) -> Finding | None:
    waiting = view.waiting_for_writer
    longest_ms = (waiting[0].held.writing_ns or 0) / 1e6
    subject = writer.held.route or view.name
    key = f"{view.name} {subject}"
    if not WAITS_MS.reached(longest_ms, key in standing):
        return None
    was: Severity | None = standing.get(key)
    routes = dict.fromkeys(each.held.route for each in waiting if each.held.route)
    number = f"{plural(len(waiting), 'connection')} {'seems' if len(waiting) == 1 else 'seem'} to wait"
    timeout = f"; they give up after {ms(view.sqlite.busy_timeout_ms)}" if view.sqlite is not None else ""
    return Finding(
        kind=KIND,
        severity=graded(longest_ms, MEDIUM_MS, HIGH_MS, was),
        subject=quoted(subject, MAX_SUBJECT),
        sentence=f"{number} up to {ms(longest_ms)} for the write lock of {view.name}: worker {writer.pid} "
        f"has it, with a connection that is out for {ms(writer.held.age_ns / 1e6)}{timeout}",
        evidence={
            "database": view.name,
            "blocker_worker": writer.pid,
            "blocker_route": writer.held.route or None,
            "in_transaction_ms": _round(writer.held.age_ns / 1e6),
            "longest_wait_ms": _round(longest_ms),
            "estimated": True,
            "waiting": [
                {
                    "worker": each.pid,
                    "route": each.held.route or None,
                    "waits_ms": _round((each.held.writing_ns or 0) / 1e6),
                }
                for each in waiting[:MAX_TOLD]
            ],
        },
        advice="SQLite has one writer at a time: commit before calling other services or waiting. "
        "See who has the lock: perftui database.",
        impact=1000.0 * len(waiting),
        key=key,
        route=writer.held.route or next(iter(routes), None),
        worker=writer.worker,
        routes=tuple(dict.fromkeys([*([writer.held.route] if writer.held.route else []), *routes])),
    )


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


CRITERIA = Criteria(
    kind=KIND,
    means="sessions wait for a lock of ours, or one of ours for theirs",
    subject="route, statement or session",
    when=(At("the longest wait", WAITS_MS, "ms"),),
    medium=graded_by(MEDIUM_MS, "ms"),
    high=graded_by(HIGH_MS, "ms"),
)
