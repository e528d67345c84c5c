"""What PostgreSQL says of its sessions, locks, statements and tables.

Takes a connection that only reads; gives a `DatabaseLook`. What takes a right or an extension that is not
there is left out, by name, and the rest is told; what the agent itself asks is none of it. No table is locked
but in passing, for its size; where one can't be had at once, the estimate from the catalog stands in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from perftui_agent.inspect.database.postgres_locks import locks_of, told_lock
from perftui_agent.inspect.database.read_only import Ask, AskError, Row
from perftui_agent.inspect.database.tables import tables_of
from perftui_agent.inspect.text import printable
from perftui_agent.wire.database import DatabaseLook, DatabaseSession, LockWait, StatementCost, TableUse

Shaped: TypeAlias = Callable[[str, str], tuple[str, str]]
"""Makes of a statement, for a kind of database, its fingerprint and what of it may leave the process."""

MAX_SESSIONS = 200
MAX_LOCKS = 200
MAX_APPLICATIONS = 20
MAX_STATEMENTS = 15
MAX_TABLES = 30
NAME = 100
"""Characters."""

MONITOR = "pg_monitor"

_LACKS = "42501"
"""The SQLSTATE of a right that is lacking."""

_HIDDEN = "<insufficient privilege>"

_BASICS = """
SELECT /*perftui*/
  current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
  current_setting('max_connections')::int AS most,
  current_setting('superuser_reserved_connections')::int
    + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
  current_user::text AS who, pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS may
"""

_SESSIONS = """
SELECT /*perftui*/
  pid::int AS pid, coalesce(usename::text, '') AS usename, coalesce(datname::text, '') AS datname,
  coalesce(application_name, '') AS application, coalesce(state, '') AS state,
  coalesce(wait_event_type || ': ' || wait_event, '') AS waits,
  extract(epoch FROM clock_timestamp() - backend_start)::float8 AS connected_s,
  extract(epoch FROM clock_timestamp() - xact_start)::float8 AS transaction_s,
  extract(epoch FROM clock_timestamp() - state_change)::float8 AS state_s,
  extract(epoch FROM clock_timestamp() - query_start)::float8 AS statement_s,
  coalesce(query, '') AS query
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND (backend_type = 'client backend' OR backend_type IS NULL)
"""

_DATABASE = """
SELECT /*perftui*/
  sum(blks_hit)::float8 AS hit, sum(blks_read)::float8 AS missed, sum(deadlocks)::int8 AS deadlocks
FROM pg_stat_database WHERE datname = current_database()
"""

_EXTENSION = """
SELECT /*perftui*/
  n.nspname::text AS name FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'
"""

_STATEMENTS = """
SELECT /*perftui*/
  query, calls::int8 AS calls, {total}::float8 AS total_ms, rows::int8 AS rows,
  shared_blks_hit::float8 AS hit, shared_blks_read::float8 AS missed
FROM {schema}.pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND position('/*perftui*/' IN query) = 0
ORDER BY {total} DESC LIMIT 60
"""

_TABLES = """
SELECT /*perftui*/
  t.relname::text AS relname, {size} AS bytes, {index_size} AS index_bytes,
  t.n_live_tup::int8 AS rows, t.n_dead_tup::int8 AS dead, coalesce(t.seq_scan, 0)::int8 AS scans,
  coalesce(t.seq_tup_read, 0)::int8 AS scanned, coalesce(t.idx_scan, 0)::int8 AS index_scans,
  extract(epoch FROM clock_timestamp() - greatest(t.last_vacuum, t.last_autovacuum))::float8 AS vacuumed_s,
  extract(epoch FROM clock_timestamp() - greatest(t.last_analyze, t.last_autoanalyze))::float8 AS analyzed_s
FROM pg_stat_user_tables t JOIN pg_class c ON c.oid = t.relid
WHERE t.relname::text = ANY({names}::text[])
ORDER BY c.relpages DESC LIMIT 30
"""

_EXACT = {"size": "pg_table_size(t.relid)::int8", "index_size": "pg_indexes_size(t.relid)::int8"}

_ESTIMATED = {
    "size": "(c.relpages::int8 * current_setting('block_size')::int8)",
    "index_size": "(SELECT sum(i.relpages)::int8 * current_setting('block_size')::int8 FROM pg_index x"
    " JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = t.relid)",
}


def look_at_postgres(
    ask: Ask, engine: str, database: str, shaped: Shaped, tables: Iterable[str], *, brief: bool
) -> DatabaseLook:
    """Return what the server says; `brief`: of sessions and locks alone, of which most are in no trouble."""
    left_out: list[str] = []
    version, number, most, reserved, user, may_see_all = ask(_BASICS)[0]
    rows = ask(_SESSIONS)
    waits, about = locks_of(ask, number)
    sessions = [_session(row, shaped) for row in rows]
    hidden = sum(each.hidden for each in sessions)
    if not may_see_all:
        left_out.append(
            f"other users' statements and waits ({hidden} of {len(sessions)} sessions): needs"
            f" pg_read_all_stats, which is in {MONITOR} (GRANT {MONITOR} TO {printable(user, NAME)})"
        )
    look = DatabaseLook(
        engine=engine,
        kind=ask.kind,
        database=database,
        version=printable(version, NAME),
        user=printable(user, NAME),
        connections_used=len(rows),
        connections_max=most,
        connections_reserved=reserved,
        applications=dict(
            Counter(each.application or "(no name)" for each in sessions).most_common(MAX_APPLICATIONS)
        ),
        locks=_named(waits, about, sessions)[:MAX_LOCKS],
    )
    involved = {pid for wait in look.locks for pid in (wait.blocked, *wait.by)}
    roots = involved - {wait.blocked for wait in look.locks}
    sessions.sort(key=lambda each: (each.pid not in roots, *_importance(each, involved)))
    if brief:
        kept = [each for each in sessions if each.pid in involved or _is_idle_within(each)]
        return msgspec.structs.replace(look, sessions=kept[:MAX_SESSIONS], left_out=left_out)
    cache_hit, deadlocks = _of_database(ask)
    return msgspec.structs.replace(
        look,
        sessions=sessions[:MAX_SESSIONS],
        sessions_cut=max(0, len(sessions) - MAX_SESSIONS),
        cache_hit=cache_hit,
        deadlocks=deadlocks,
        statements=_statements(ask, number, shaped, left_out, may_see_all=may_see_all),
        tables=_tables(ask, list(tables), left_out),
        left_out=left_out,
    )


def _session(row: Row, shaped: Shaped) -> DatabaseSession:
    pid, user, database, application, state, waits, connected, transaction, changed, began, query = row
    hidden = query == _HIDDEN
    fingerprint, statement = shaped(query, "postgresql") if query and not hidden else ("", "")
    return DatabaseSession(
        pid=pid,
        user=printable(user, NAME),
        database=printable(database, NAME),
        application=printable(application, NAME),
        state=state,
        # An idle session waits for its client: that is what being idle is.
        waits_for="" if waits.startswith("Client") else waits,
        connected_ns=_ns(connected),
        transaction_ns=_ns(transaction),
        state_ns=_ns(changed),
        statement_ns=_ns(began),
        statement=statement,
        fingerprint=fingerprint,
        hidden=hidden,
    )


def _is_idle_within(session: DatabaseSession) -> bool:
    return session.state.startswith("idle in transaction")


def _importance(session: DatabaseSession, involved: set[int]) -> tuple[bool, bool, bool, int]:
    return (
        session.pid not in involved,
        not _is_idle_within(session),
        session.state != "active",
        -(session.transaction_ns or session.state_ns or 0),
    )


def _named(
    waits: Sequence[tuple[LockWait, str, str]], about: dict[int, str], sessions: Iterable[DatabaseSession]
) -> list[LockWait]:
    """Return the waits with what each is for, the longest first."""
    known = {each.pid: each for each in sessions}
    told = []
    for wait, kind, relation in waits:
        session = known.get(wait.blocked)
        used = tables_of(session.statement) if session is not None else []
        table = relation or about.get(wait.blocked, "") or (used[0] if used else "")
        waits_ns = wait.waits_ns
        if waits_ns is None and session is not None:
            waits_ns = session.statement_ns
        told.append(
            msgspec.structs.replace(wait, on=told_lock(kind, printable(table, NAME)), waits_ns=waits_ns)
        )
    return sorted(told, key=lambda each: -(each.waits_ns or 0))


def _of_database(ask: Ask) -> tuple[float | None, int | None]:
    hit, missed, deadlocks = ask(_DATABASE)[0]
    return _share(hit, missed), deadlocks


def _statements(
    ask: Ask, number: int, shaped: Shaped, left_out: list[str], *, may_see_all: bool
) -> list[StatementCost]:
    where = ask(_EXTENSION)
    if not where:
        left_out.append("statements by their cost: needs the extension pg_stat_statements")
        return []
    schema = '"{}"'.format(where[0][0].replace('"', '""'))
    total = "total_exec_time" if number >= 130000 else "total_time"
    try:
        rows = ask(_STATEMENTS.format(schema=schema, total=total))
    except AskError as error:
        needs = f"USAGE on the schema {schema}" if error.code == _LACKS else error.reason
        left_out.append(f"statements by their cost: {needs}")
        return []
    if not may_see_all:
        left_out.append(f"other users' statements by their cost: needs pg_read_all_stats, in {MONITOR}")
    added: dict[str, StatementCost] = {}
    for query, calls, total_ms, count, hit, missed in rows:
        if query in {None, _HIDDEN}:
            continue
        fingerprint, statement = shaped(query, "postgresql")
        was = added.get(fingerprint)
        calls, total_ns = (
            calls + (was.calls if was else 0),
            int(total_ms * 1e6) + (was.total_ns if was else 0),
        )
        added[fingerprint] = StatementCost(
            statement=statement,
            fingerprint=fingerprint,
            calls=calls,
            total_ns=total_ns,
            mean_ns=total_ns // max(calls, 1),
            rows=count,
            cache_hit=_share(hit, missed),
        )
    return sorted(added.values(), key=lambda each: -each.total_ns)[:MAX_STATEMENTS]


def _tables(ask: Ask, names: list[str], left_out: list[str]) -> list[TableUse]:
    if not names:
        return []
    rows: list[Row] = []
    for sizes in (_EXACT, _ESTIMATED):
        try:
            rows = ask(_TABLES.format(names=ask.mark(1), **sizes), (names,))
            break
        except AskError as error:
            if sizes is _ESTIMATED:
                left_out.append(f"sizes and scans of tables: {printable(error.reason, 200)}")
    return [
        TableUse(
            table=printable(table, NAME),
            bytes=size,
            index_bytes=index_size,
            rows=count,
            dead_rows=dead,
            sequential_scans=scans,
            rows_scanned=scanned,
            index_scans=index_scans,
            vacuumed_ns=_ns(vacuumed),
            analyzed_ns=_ns(analyzed),
        )
        for table, size, index_size, count, dead, scans, scanned, index_scans, vacuumed, analyzed in rows[
            :MAX_TABLES
        ]
    ]


def _share(hit: Any, missed: Any) -> float | None:
    return hit / (hit + missed) if hit is not None and missed is not None and hit + missed > 0 else None


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else max(0, int(seconds * 1e9))
