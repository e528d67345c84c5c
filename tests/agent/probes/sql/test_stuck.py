"""Which connections are stuck in a statement, by every driver, and which of SQLite's wait for a lock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from perftui_agent.locked import Stuck
from perftui_agent.probes.sql import stuck as module
from perftui_agent.probes.sql.stuck import StuckLook
from perftui_agent.records import current_request
from tests.agent.probes.sql.conftest import filled
from tests.support.databases import Database, Seen
from tests.support.servers import wait_until

UPDATE = text("UPDATE authors SET name = 'x' WHERE id = 1")
OTHERS = text("UPDATE authors SET name = 'y' WHERE id = 1")

PSYCOPG2 = "psycopg2"


@pytest.fixture(params=["pysqlite", "aiosqlite", "psycopg", "psycopg_async", PSYCOPG2, "asyncpg"])
def every_database(request: pytest.FixtureRequest, tmp_path: Any) -> Database:
    return filled(request, request.param, tmp_path)


@pytest.fixture(autouse=True)
def probe(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> StuckLook:
    """What is stuck for 20 ms is enough here."""
    monkeypatch.setattr(module, "STUCK_NS", 20_000_000)
    return StuckLook(seen.pool.holders)


def within(
    database: Database, seen: Seen, work: Callable[[Connection], Any], look: Callable[[], None]
) -> None:
    """Have a request work with a connection, on a thread of its own, and look meanwhile."""

    def in_thread() -> None:
        if database.is_async:
            asyncio.run(in_loop())
            return
        engine = database.sync_engine()
        with seen.request("POST /buy"), engine.connect() as connection:
            work(connection)
            connection.rollback()
        engine.dispose()

    async def in_loop() -> None:
        engine = database.async_engine()
        with seen.request("POST /buy"):
            async with engine.connect() as connection:
                await connection.run_sync(work)
                await connection.rollback()
        await engine.dispose()

    thread = threading.Thread(target=in_thread)
    thread.start()
    try:
        look()
    finally:
        thread.join()


class Holder:
    """Somebody else, who has the row; until let go of."""

    def __init__(self, database: Database) -> None:
        driver = "sqlite" if "sqlite" in database.driver else "postgresql+psycopg"
        self._engine = Database(f"{driver}:{database.url.partition(':')[2]}").sync_engine()
        self._connection = self._engine.connect()
        self._connection.execute(OTHERS)

    def let_go(self) -> None:
        self._connection.rollback()
        self._connection.close()
        self._engine.dispose()


def found_by(probe: StuckLook, wanted: Callable[[list[Stuck]], bool]) -> list[Stuck]:
    """Look until what is found is as wanted."""
    seen: list[list[Stuck]] = [[]]

    def look() -> bool:
        seen.append(probe.look())
        return wanted(seen[-1])

    wait_until(look, "what is stuck to be found")
    return seen[-1]


def test_a_statement_that_waits_for_a_lock(every_database: Database, seen: Seen, probe: StuckLook) -> None:
    """It is found with its backend, or its wait within SQLite; and no more once it goes on."""
    holder = Holder(every_database)
    sqlite = "sqlite" in every_database.driver

    def look() -> None:
        try:
            (stuck,) = found_by(
                probe, lambda found: any(each.session or each.waits_in_sqlite for each in found)
            )
        finally:
            holder.let_go()
        assert (stuck.session is None, stuck.waits_in_sqlite) == (sqlite, sqlite)
        assert stuck.database == ("shop.db" if sqlite else "postgres")
        assert stuck.engine.startswith(stuck.database)
        assert stuck.out_ns <= stuck.since_ns < time.perf_counter_ns()
        found_by(probe, lambda found: not found)

    within(every_database, seen, lambda connection: connection.execute(UPDATE), look)


def test_the_write_lock_by_begin_immediate(seen: Seen, probe: StuckLook, tmp_path: Any) -> None:
    """Who begins by taking it waits for it there, and who commits is found as well as who executes."""
    database = Database(f"sqlite:///{tmp_path}/shop.db")
    database.fill()
    holder = Holder(database)

    def look() -> None:
        found_by(probe, lambda found: [each.waits_in_sqlite for each in found] == [True])
        holder.let_go()

    within(database, seen, lambda connection: connection.execute(text("BEGIN IMMEDIATE")), look)


def looks_while(
    work: Callable[[Connection], Any], database: Database, seen: Seen, probe: StuckLook
) -> list[Stuck]:
    found: list[Stuck] = []
    begun, ended = threading.Event(), threading.Event()

    def worked(connection: Connection) -> None:
        begun.set()
        try:
            work(connection)
        finally:
            ended.set()

    def look() -> None:
        begun.wait(10)
        while not ended.wait(0.02):
            seen.window.fold_pending()
            found.extend(probe.look())

    within(database, seen, worked, look)
    return found


@pytest.mark.parametrize("driver", ["pysqlite", "aiosqlite"])
def test_a_statement_of_sqlites_that_works(driver: str, seen: Seen, probe: StuckLook, tmp_path: Any) -> None:
    """It is under way for long, and waits for nothing: neither computing nor in a function of the app's."""
    database = Database(f"sqlite+{driver}:///{tmp_path}/shop.db")
    database.fill()
    counts = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
        " SELECT max(i) FROM n"
    )

    def pause() -> int:
        time.sleep(0.2)
        return 1

    def work(connection: Connection) -> None:
        connection.execute(counts).all()
        connection.connection.create_function("pause", 0, pause)
        connection.execute(text("UPDATE authors SET name = pause() WHERE id = 1"))

    found = looks_while(work, database, seen, probe)
    assert not any(each.waits_in_sqlite for each in found)


def test_a_request_that_does_something_else(every_database: Database, seen: Seen, probe: StuckLook) -> None:
    """It may hold its connection for as long as it likes: what is stuck is a statement."""
    answered, looked = threading.Event(), threading.Event()
    found: list[Stuck] = []

    def work(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))
        answered.set()
        looked.wait(60)

    def look() -> None:
        answered.wait(60)
        try:
            for _ in range(10):
                time.sleep(0.02)
                seen.window.fold_pending()
                found.extend(probe.look())
        finally:
            looked.set()  # and not before: its rollback is a statement as well

    within(every_database, seen, work, look)
    assert not any(each.session or each.waits_in_sqlite for each in found)


def test_many_quick_statements(
    sync_database: Database, seen: Seen, probe: StuckLook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that goes on and on is not stuck, followed in full or not."""
    monkeypatch.setattr(module, "STUCK_NS", 300_000_000)
    for followed in (True, False):

        def work(connection: Connection, followed: bool = followed) -> None:
            request = current_request.get()
            assert request is not None
            request.followed = followed
            until = time.monotonic() + 0.7
            while time.monotonic() < until:
                connection.execute(text("SELECT 1")).all()

        found = looks_while(work, sync_database, seen, probe)
        assert found == []


def test_nobody_is_asked_where_nothing_is_slow(
    sync_database: Database, seen: Seen, probe: StuckLook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that are in their pool, or have just been given out, cost a look at a number each."""

    def fail() -> Iterator[Any]:
        raise AssertionError("no stack is looked at")

    monkeypatch.setattr(module, "_calls", fail)
    monkeypatch.setattr(module, "sleeps", fail)
    engine = sync_database.sync_engine(pool_size=5)
    with seen.request("GET /"):
        connections = [engine.connect() for _ in range(5)]
        assert probe.look() == []
        for each in connections:
            each.close()
    time.sleep(0.03)
    assert probe.look() == []
    engine.dispose()
