"""A database's own view, as the document that scripts read; as text it is what the screen shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from perftui.model.database import Databases, DatabaseView, Holder, LockRow, SessionRow
from perftui.present.details.database import database_rows
from perftui.present.text.cells import text_of


def database_document(databases: Databases, target: str) -> dict[str, Any]:
    """Return the document; CONTRACT names its keys. Of several databases the others are in `others`."""
    first, *others = databases.views
    return {
        "target": target,
        "workers": {"answered": databases.answered, "known": databases.known},
        **_document(first, databases),
        "others": [_document(view, databases) for view in others],
    }


def database_text(databases: Databases, width: int) -> list[str]:
    """Return the lines of all databases."""
    return [text_of(row.line).rstrip() for row in database_rows(databases, width)]


def _document(view: DatabaseView, databases: Databases) -> dict[str, Any]:
    look = view.look
    return {
        "kind": look.kind,
        "name": view.name,
        "version": look.version or None,
        "user": look.user or None,
        "at": datetime.fromtimestamp(look.taken_at / 1e9, UTC).isoformat().replace("+00:00", "Z"),
        "took_ms": round(look.took_ns / 1e6, 1),
        "refused": look.refused or None,
        "left_out": [*look.left_out, *_unknown(view, databases)],
        "connections": {
            "used": len(view.holders) if view.sqlite is not None else look.connections_used,
            "max": look.connections_max,
            "reserved": look.connections_reserved,
            "ours": len(view.holders),
            "by_application": dict(look.applications),
        },
        "cache_hit_ratio": None if look.cache_hit is None else round(look.cache_hit, 4),
        "deadlocks": look.deadlocks,
        "sessions": (
            [_sqlite_session(each, view.waiting_for_writer) for each in view.holders]
            if view.sqlite is not None
            else [_session(row) for row in view.sessions]
        ),
        "sessions_cut": look.sessions_cut,
        "locks": _sqlite_locks(view) if view.sqlite is not None else [_lock(view, row) for row in view.locks],
        "statements": [
            {
                "statement": each.statement,
                "fingerprint": each.fingerprint,
                "calls": each.calls,
                "total_ms": round(each.total_ns / 1e6, 1),
                "mean_ms": round(each.mean_ns / 1e6, 3),
                "rows": each.rows,
                "cache_hit_ratio": None if each.cache_hit is None else round(each.cache_hit, 4),
            }
            for each in view.statements
        ],
        "tables": [
            {
                "table": each.table,
                "bytes": each.bytes,
                "index_bytes": each.index_bytes,
                "rows": each.rows,
                "dead_rows": each.dead_rows,
                "sequential_scans": each.sequential_scans,
                "rows_scanned": each.rows_scanned,
                "index_scans": each.index_scans,
                "vacuumed_s": _seconds(each.vacuumed_ns),
                "analyzed_s": _seconds(each.analyzed_ns),
            }
            for each in view.tables
        ],
        "sqlite": _sqlite(view),
    }


def _unknown(view: DatabaseView, databases: Databases) -> list[str]:
    told = [
        f"whose the sessions of worker {pid} are: {refusal.reason}"
        for pid, refusal in sorted(databases.refusals.items())
    ]
    if view.unmatched:
        told.append(
            "which session is whose: none of the workers' connections is known to the server by its pid; "
            "a pooler such as PgBouncer stands in between"
        )
    return told


def _session(row: SessionRow) -> dict[str, Any]:
    session = row.session
    return {
        "pid": row.pid,
        "worker": row.worker_pid,
        "route": row.route,
        "state": session.state or None,
        "waits_for": session.waits_for or None,
        "age_ms": _ms(row.age_ms),
        "transaction_ms": None if session.transaction_ns is None else _ms(session.transaction_ns / 1e6),
        "state_ms": _ms(row.state_ms),
        "statement": session.statement or None,
        "fingerprint": session.fingerprint or None,
        "application": session.application or None,
        "user": session.user or None,
        "database": session.database or None,
        "ours": row.ours,
        "checked_out": row.held if row.ours else None,
        "request_goes_on": row.in_flight if row.ours else None,
        "blocks": row.blocks,
        "hidden": session.hidden,
    }


def _lock(view: DatabaseView, row: LockRow) -> dict[str, Any]:
    blocked, by, root = (view.session(pid) for pid in (row.blocked, row.by, row.root))
    return {
        "blocked": row.blocked,
        "by": row.by,
        "route": blocked.route if blocked is not None else None,
        "by_route": by.route if by is not None else None,
        "by_application": by.session.application or None if by is not None else None,
        "on": row.on,
        "mode": row.mode,
        "waits_ms": _ms(row.waits_ms),
        "root": row.root,
        "root_route": root.route if root is not None else None,
    }


def _sqlite_session(holder: Holder, waiting: tuple[Holder, ...]) -> dict[str, Any]:
    held = holder.held
    state = "idle" if not held.held else "in transaction" if held.in_transaction else "open"
    return {
        "pid": holder.pid,
        "worker": holder.pid,
        "route": held.route or None,
        "state": state,
        "waits_for": "the write lock" if holder in waiting else None,
        "age_ms": _ms(held.age_ns / 1e6),
        "statement": None,
        "ours": True,
        "checked_out": held.held,
        "request_goes_on": held.in_flight,
    }


def _sqlite_locks(view: DatabaseView) -> list[dict[str, Any]]:
    writer = view.writer
    if writer is None:
        return []
    return [
        {
            "blocked": each.pid,
            "by": writer.pid,
            "route": each.held.route or None,
            "by_route": writer.held.route or None,
            "on": "the write lock",
            "mode": "write",
            "waits_ms": _ms((each.held.writing_ns or 0) / 1e6),
            "estimated": True,
        }
        for each in view.waiting_for_writer
    ]


def _sqlite(view: DatabaseView) -> dict[str, Any] | None:
    file, writer = view.sqlite, view.writer
    if file is None:
        return None
    return {
        "journal_mode": file.journal_mode,
        "busy_timeout_ms": file.busy_timeout_ms,
        "synchronous": file.synchronous,
        "page_bytes": file.page_bytes,
        "bytes": file.page_bytes * file.pages,
        "free_bytes": file.page_bytes * file.free_pages,
        "page_cache_bytes": file.cache_bytes,
        "wal_bytes": file.wal_bytes,
        "writer": None
        if not file.writer
        else {
            "worker": file.writer,
            "route": writer.held.route or None if writer is not None else None,
            "for_ms": _ms(writer.held.age_ns / 1e6) if writer is not None else None,
        },
    }


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _seconds(value: int | None) -> float | None:
    return None if value is None else round(value / 1e9, 1)
