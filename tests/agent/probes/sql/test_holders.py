"""Which request has which connection, and which backend of the server serves it: by every driver."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text

from perftui_agent.probes.sql.holders import Holders
from perftui_agent.wire.database import HeldConnection
from tests.support.databases import Database, Seen


def told_within(database: Database, seen: Seen, look: Callable[[int | None], None]) -> None:
    """Have a request to `GET /orders` hold a connection, and look meanwhile, with its backend's pid."""

    def ask(connection: Connection) -> int | None:
        if connection.dialect.name == "sqlite":
            connection.execute(text("SELECT 1"))
            return None
        pid: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        return pid

    async def in_loop() -> None:
        engine = database.async_engine()
        with seen.request("GET /orders"):
            async with engine.connect() as connection:
                look(await connection.run_sync(ask))
        await engine.dispose()

    if database.is_async:
        asyncio.run(in_loop())
        return
    engine = database.sync_engine()
    with seen.request("GET /orders"), engine.connect() as connection:
        look(ask(connection))
    engine.dispose()


def test_a_connection_that_is_out(database: Database, seen: Seen) -> None:
    """It is known by its backend's pid, without asking the server, and by the route that has it."""
    told: list[HeldConnection] = []
    pids: list[int | None] = []

    def look(pid: int | None) -> None:
        pids.append(pid)
        told.extend(seen.pool.holders.told())

    told_within(database, seen, look)
    (held,) = told
    assert [held.session] == pids
    assert (held.held, held.in_flight) == (True, True)
    assert held.age_ns > 0
    assert held.database in {"shop.db", "postgres"}
    assert held.pool == held.database


def test_a_connection_that_has_gone_back(sync_database: Database, seen: Seen) -> None:
    """It says which route had it last: what that left behind is the route's."""
    engine = sync_database.sync_engine(pool_size=1)
    with seen.request("GET /orders"), engine.connect():
        pass
    (held,) = seen.pool.holders.told()
    assert (held.route, held.held, held.in_flight) == ("GET /orders", False, False)
    with engine.connect():
        (held,) = seen.pool.holders.told()
        assert (held.route, held.held) == ("", True), "nobody's request has it now"
    engine.dispose()
    gc.collect()
    assert seen.pool.holders.told() == [], "nothing is known of what is closed"


def test_only_those_that_are_out_for_long(sync_database: Database, seen: Seen) -> None:
    """What a frame tells of is what has been held for so long."""
    engine = sync_database.sync_engine(pool_size=2)
    with engine.connect(), engine.connect():
        assert len(seen.pool.holders.told(1)) == 2
        assert seen.pool.holders.told(60_000_000_000) == []
    assert seen.pool.holders.told(1) == []
    engine.dispose()


def test_a_connection_that_is_opened_again(sync_database: Database, seen: Seen) -> None:
    """After an invalidation the record in the pool is the same, and the backend another."""
    engine = sync_database.sync_engine(pool_size=1)
    with engine.connect() as connection:
        before = seen.pool.holders.told()
        connection.invalidate()
    with engine.connect():
        after = seen.pool.holders.told()
    assert len(before) == len(after) == 1
    if "psycopg" in sync_database.url:
        assert before[0].session != after[0].session
    engine.dispose()


@pytest.mark.parametrize("isolation", ["legacy", "begun"])
def test_a_transaction_of_sqlites(
    tmp_path_factory: pytest.TempPathFactory, seen: Seen, isolation: str
) -> None:
    """Its driver knows of its own whether it is in one."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('db')}/shop.db")
    database.fill()
    engine = database.sync_engine()
    with engine.connect() as connection:
        assert [each.in_transaction for each in seen.pool.holders.told() if each.held] == [False]
        connection.execute(
            text("BEGIN IMMEDIATE" if isolation == "begun" else "UPDATE books SET title = 'x'")
        )
        assert [each.in_transaction for each in seen.pool.holders.told() if each.held] == [True]
        connection.rollback()
    engine.dispose()


def test_what_is_known_is_bounded(
    sync_database: Database, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the bound further connections work as ever and are not known."""
    monkeypatch.setattr("perftui_agent.probes.sql.holders.MOST", 1)
    engine = sync_database.sync_engine(pool_size=2)
    with engine.connect(), engine.connect() as second:
        assert second.execute(text("SELECT 1")).scalar_one() == 1
        assert len(seen.pool.holders.told()) == 1
    engine.dispose()
    assert isinstance(seen.pool.holders, Holders)
