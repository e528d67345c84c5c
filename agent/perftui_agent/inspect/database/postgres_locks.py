"""Who waits for a lock, as PostgreSQL tells of it; with whom each waits for, or for how long alone.

Whom a session waits for (`pg_blocking_pids`) takes the server's lock table for itself for a moment, so it is
asked where a person wants to know; how long it has waited is read as often as somebody is stuck.
"""

from __future__ import annotations

from typing import NamedTuple

from perftui_agent.inspect.database.read_only import Ask
from perftui_agent.wire.database import LockWait

TELLS_SINCE = 140000
"""From this version on the server knows when each wait began."""

_LOCKS = """
SELECT /*perftui*/
  l.pid::int AS pid, l.granted AS granted, l.locktype AS locktype, coalesce(l.mode, '') AS mode,
  CASE WHEN l.relation IS NULL THEN ''
    WHEN l.database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      THEN coalesce((SELECT relname::text FROM pg_class WHERE oid = l.relation), '')
    ELSE '' END AS relation,
  {since} AS waits_s,
  {blockers} AS blockers
FROM pg_locks l WHERE NOT l.granted OR l.locktype = 'tuple'
"""

_SINCE = "extract(epoch FROM clock_timestamp() - l.waitstart)::float8"
_SINCE_UNKNOWN = "NULL::float8"

_BLOCKERS = "CASE WHEN l.granted THEN '' ELSE array_to_string(pg_blocking_pids(l.pid), ',') END"
_NO_BLOCKERS = "''"


class Waiting(NamedTuple):
    """A session that waits for a lock."""

    session: int
    on: str
    waits_ns: int | None
    """For how long; None if the server does not tell."""


def locks_of(ask: Ask, number: int) -> tuple[list[tuple[LockWait, str, str]], dict[int, str]]:
    """Return who waits for whom, with the kind of lock and its table; and whose rows each is at."""
    waits: list[tuple[LockWait, str, str]] = []
    about: dict[int, str] = {}
    for pid, granted, kind, mode, relation, waits_s, blockers in ask(_query(number, _BLOCKERS)):
        if granted:
            about[pid] = relation
            continue
        by = sorted({int(each) for each in blockers.split(",") if each})
        # A parallel worker waits in its leader's place; without anybody before it, the wait is just over.
        if by:
            waits.append((LockWait(blocked=pid, by=by, mode=mode, waits_ns=_ns(waits_s)), kind, relation))
    return waits, about


def waiting_in(ask: Ask, number: int) -> list[Waiting]:
    """Return which sessions wait for a lock, and for how long they have."""
    rows = ask(_query(number, _NO_BLOCKERS))
    about = {row[0]: row[4] for row in rows if row[1]}
    return [
        Waiting(pid, told_lock(kind, relation or about.get(pid, "")), _ns(waits_s))
        for pid, granted, kind, _, relation, waits_s, _ in rows
        if not granted
    ]


def told_lock(kind: str, table: str) -> str:
    """Return what a lock is on, as people say it."""
    if kind in {"transactionid", "tuple", "spectoken"}:
        return f"a row of {table}" if table else "a row"
    if kind == "advisory":
        return "an advisory lock"
    if kind == "virtualxid":
        return "the end of a transaction"
    return table or f"a lock of the kind {kind}"


def _query(number: int, blockers: str) -> str:
    return _LOCKS.format(since=_SINCE if number >= TELLS_SINCE else _SINCE_UNKNOWN, blockers=blockers)


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else max(0, int(seconds * 1e9))
