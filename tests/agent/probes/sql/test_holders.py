"""Which request has which connection, and which backend of the server serves it: by every driver."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, TextClause, create_engine, text
from sqlalchemy.util import greenlet_spawn

from perftui_agent.probes.sql.holders import Holders
from perftui_agent.probes.sql.running import takes_the_lock
from perftui_agent.wire.database import HeldConnection
from tests.agent.probes.sql.conftest import filled
from tests.support.databases import Database, Seen
from tests.support.servers import wait_until


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


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg", "psycopg_async", "pysqlite"])
def test_a_transaction_that_is_left_open(
    driver: str, request: pytest.FixtureRequest, tmp_path: Path, seen: Seen
) -> None:
    """A pool that rolls nothing back keeps what a request has begun: it is told of, with who left it so."""
    database = filled(request, driver, tmp_path)

    def leave(engine: Engine) -> list[HeldConnection]:
        connection = engine.raw_connection()
        connection.cursor().execute("UPDATE books SET title = 'left'")
        connection.close()
        return seen.pool.holders.told(1)

    async def in_loop() -> list[HeldConnection]:
        engine = database.async_engine(pool_reset_on_return=None)
        with seen.request("POST /leaves"):
            told: list[HeldConnection] = await greenlet_spawn(leave, engine.sync_engine)
        await engine.dispose()
        return told

    if database.is_async:
        (held,) = asyncio.run(in_loop())
    else:
        engine = database.sync_engine(pool_reset_on_return=None)
        with seen.request("POST /leaves"):
            (held,) = leave(engine)
        engine.dispose()
    assert (held.held, held.in_transaction) == (False, True)


def test_a_forked_child_knows_nothing(sync_database: Database, seen: Seen) -> None:
    """What it uses of its parent's connections it meets anew."""
    engine = sync_database.sync_engine(pool_size=1)
    with engine.connect():
        pass
    seen.pool.holders.forget()
    assert seen.pool.holders.told() == []
    with seen.request("GET /child"), engine.connect():
        (held,) = seen.pool.holders.told()
    assert held.held
    engine.dispose()


@pytest.mark.parametrize("driver", ["pysqlite", "aiosqlite"])
def test_a_write_that_waits(driver: str, tmp_path: Path, seen: Seen) -> None:
    """While somebody has SQLite's write lock, a statement that needs it is seen where it runs."""
    database = Database(f"sqlite+{driver}:///{tmp_path}/shop.db")
    database.fill()
    holder = create_engine(f"sqlite:///{tmp_path}/shop.db")
    write = text("UPDATE books SET title = 'waits'")
    told: list[HeldConnection] = []

    def look(loop: asyncio.AbstractEventLoop | None, release: Callable[[], None]) -> None:
        holders = seen.pool.holders
        holders._loop = lambda: loop
        try:
            wait_until(
                lambda: any((each.writing_ns or 0) > 50_000_000 for each in holders.told()), "a write", str
            )
            told.extend(holders.told())
        finally:
            release()

    with holder.connect() as locking:
        locking.execute(text("BEGIN IMMEDIATE"))

        async def in_loop() -> None:
            engine = database.async_engine()
            loop = asyncio.get_running_loop()
            looking = threading.Thread(target=look, args=(loop, lambda: None))
            looking.start()
            async with engine.connect() as connection:
                writing = asyncio.create_task(connection.execute(write))
                await asyncio.to_thread(looking.join)
                locking.rollback()
                await writing
                await connection.rollback()
            await engine.dispose()

        if database.is_async:
            asyncio.run(in_loop())
        else:
            engine = database.sync_engine(connect_args={"check_same_thread": False})
            free = threading.Event()
            looking = threading.Thread(target=look, args=(None, free.set))
            looking.start()
            writer = threading.Thread(target=lambda: _written(engine, write))
            writer.start()
            free.wait(10)
            locking.rollback()
            writer.join(10)
            looking.join(10)
            engine.dispose()
    holder.dispose()
    waiting = [each for each in told if each.writing_ns]
    assert len(waiting) == 1
    assert [each.writing_ns for each in told if each not in waiting] == [None]


def _written(engine: Engine, write: TextClause) -> None:
    with engine.begin() as connection:
        connection.execute(write)


@pytest.mark.parametrize(
    ("statement", "takes"),
    [
        ("UPDATE a SET b = 1", True),
        ("  insert into a values (1)", True),
        ("BEGIN IMMEDIATE", True),
        ("WITH x AS (SELECT 1) INSERT INTO a SELECT * FROM x", True),
        ("BEGIN", False),
        ("SELECT 1", False),
        ("WITH x AS (SELECT 1) SELECT * FROM x", False),
        ("", False),
    ],
)
def test_what_takes_the_write_lock(statement: str, takes: bool) -> None:
    """Reading takes none, and a deferred BEGIN none yet."""
    assert takes_the_lock(statement) == takes


def test_who_has_what_others_wait_for(sync_database: Database, seen: Seen) -> None:
    """Asked by whoever looks where requests are; of a pool that nobody waits for, nobody is told."""
    engine = sync_database.sync_engine(pool_size=1, max_overflow=0)
    with seen.request("GET /orders"):
        with engine.connect():
            assert seen.pool.who_holds() == {}
            waiting = threading.Thread(target=lambda: engine.connect().close())
            waiting.start()
            wait_until(lambda: bool(seen.pool.who_holds()), "somebody waits")
            ((request, pool),) = seen.pool.who_holds().items()
            assert not request.ended_ns
            assert pool == seen.pool.holders.told()[0].pool
        waiting.join()
        assert seen.pool.who_holds() == {}
    engine.dispose()
