"""What a shop's database says on a bad night: a queue behind a checkout that idles."""

from __future__ import annotations

from perftui.model.database import Databases, Holder, joined
from perftui_agent.wire.database import (
    DatabaseLook,
    DatabaseSession,
    HeldConnection,
    LockWait,
    StatementCost,
    TableUse,
)
from tests.support.fake_figures import NOON

SECOND = 1_000_000_000


def _session(pid: int, state: str, seconds: float, statement: str, waits_for: str = "") -> DatabaseSession:
    ns = int(seconds * SECOND)
    return DatabaseSession(
        pid=pid,
        user="shop",
        application="",
        state=state,
        waits_for=waits_for,
        transaction_ns=None if state == "idle" else ns,
        state_ns=ns,
        statement_ns=ns,
        statement=statement,
    )


def locked() -> Databases:
    """Return PostgreSQL with two that wait for `POST /checkout`, as a role without rights sees it."""
    look = DatabaseLook(
        engine="db:5432/main",
        kind="postgresql",
        database="db:5432/main",
        taken_at=int(NOON * 1e9),
        took_ns=31_000_000,
        version="18.1 (Debian)",
        user="shop",
        left_out=[
            "other users' statements and waits (1 of 5 sessions): needs pg_read_all_stats, in pg_monitor"
        ],
        connections_used=41,
        connections_max=100,
        connections_reserved=3,
        applications={"shop": 38, "billing": 3},
        cache_hit=0.992,
        sessions=[
            _session(71, "idle in transaction", 12.4, "UPDATE items SET stock = ? WHERE id = ?"),
            _session(72, "active", 11.9, "UPDATE items SET stock = ? WHERE id = ?", "Lock: transactionid"),
            _session(73, "active", 8.0, "SELECT … FROM items WHERE id = ? FOR UPDATE", "Lock: tuple"),
            _session(74, "active", 41.0, "SELECT count(*) FROM orders GROUP BY day"),
            DatabaseSession(pid=75, user="billing", application="billing", hidden=True),
        ],
        locks=[
            LockWait(blocked=72, by=[71], on="a row of items", mode="ShareLock", waits_ns=int(11.9 * SECOND)),
            LockWait(blocked=73, by=[72], on="a row of items", mode="ExclusiveLock", waits_ns=8 * SECOND),
        ],
        statements=[
            StatementCost(
                statement="SELECT … FROM orders WHERE day = ?",
                fingerprint="f1",
                calls=24_731,
                total_ns=902 * SECOND,
                mean_ns=36_500_000,
                cache_hit=0.81,
            )
        ],
        tables=[
            TableUse(
                table="items",
                bytes=212_000_000,
                index_bytes=48_000_000,
                rows=1_200_000,
                dead_rows=412_000,
                sequential_scans=31,
                index_scans=812_000,
            )
        ],
    )
    routes = {
        71: (102, "POST /checkout"),
        72: (101, "POST /checkout"),
        73: (104, "GET /report"),
        74: (103, "GET /days"),
    }
    holders = [
        Holder(
            f"web-1/{pid}/0",
            pid,
            HeldConnection(
                database="db:5432/main",
                pool="db:5432/main",
                session=session,
                route=route,
                held=True,
                in_flight=True,
                age_ns=12 * SECOND,
            ),
        )
        for session, (pid, route) in routes.items()
    ]
    return Databases((joined(look, holders),), 4, 4, {}, NOON)
