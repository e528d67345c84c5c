"""Several engines, engines of every kind of pool, and more engines than anyone makes."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import weakref
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, select, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.pool import (
    AssertionPool,
    AsyncAdaptedQueuePool,
    NullPool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

from perftui_agent.probes.sql.pool_places import MAX_POOLS
from perftui_agent.window.shapes import MAX_TEXTS
from tests.agent.probes.sql.vocabulary import counts
from tests.support.databases import Author, Base, Database, Seen

MANY_ENGINES = 100_000

ENGINES_TO_A_STATEMENT = 10

INSERT = "INSERT INTO authors (id, name) VALUES (…)"
NAMES = "SELECT authors.name FROM authors WHERE authors.id = ?"


class Primary:
    """A database and its replica, each with an engine of its own, and who of them is asked what."""

    def __init__(self, folder: Path) -> None:
        self.primary = create_engine(f"sqlite:///{folder}/primary.db")
        self.replica = create_engine(f"sqlite:///{folder}/replica.db")
        for engine in (self.primary, self.replica):
            Base.metadata.create_all(engine)

    def session_class(self) -> type[Session]:
        """Return the class of sessions that write to the primary and read from the replica."""
        primary, replica = self.primary, self.replica

        class Routed(Session):
            def get_bind(self, *_: Any, **__: Any) -> Engine:
                return primary if self._flushing else replica

        return Routed

    def dispose(self) -> None:
        self.primary.dispose()
        self.replica.dispose()


def write_and_read(session: Session) -> None:
    session.add(Author(id=1, name="new"))
    session.flush()
    for number in range(2):
        session.scalar(select(Author.name).where(Author.id == number))


def test_read_replica(tmp_path: Path, seen: Seen) -> None:
    """What a session sends to the primary and to the replica counts once each, and each pool has its own."""
    databases = Primary(tmp_path)
    seen.frame()
    with seen.request("POST /authors"), databases.session_class()() as session:
        write_and_read(session)
    frame = seen.frame()
    found = {s.statement: (s.latency.count, s.database, s.routes) for s in frame.statements}
    assert found == {
        INSERT: (1, "primary.db", {"POST /authors": 1}),
        NAMES: (2, "replica.db", {"POST /authors": 2}),
    }
    assert {pool.name: pool.checkouts for pool in frame.pools} == {"primary.db": 1, "replica.db": 1}
    databases.dispose()


def test_read_replica_of_an_async_session(tmp_path: Path, seen: Seen) -> None:
    """An async session that routes its statements is no different."""
    databases = Primary(tmp_path)
    seen.frame()

    async def work() -> None:
        async with AsyncSession(sync_session_class=databases.session_class()) as session:
            await session.run_sync(write_and_read)

    with seen.request():
        asyncio.run(work())
    assert counts(seen) == {INSERT: 1, NAMES: 2}
    databases.dispose()


def test_two_engines_at_once(database: Database, seen: Seen, tmp_path: Path) -> None:
    """One request may have connections of two engines at a time: each statement counts for it."""
    other = create_engine(f"sqlite:///{tmp_path}/other.db")

    def both(session: Session) -> None:
        with other.connect() as connection:
            for _ in range(2):
                session.execute(text("SELECT 1 AS here"))
                connection.execute(text("SELECT 1 AS there"))

    with seen.request("GET /both"):
        database.run(both)
    routes = {s.statement: s.routes for s in seen.frame().statements if " AS " in s.statement}
    assert routes == {"SELECT ? AS here": {"GET /both": 2}, "SELECT ? AS there": {"GET /both": 2}}
    other.dispose()


@pytest.mark.parametrize("kind", [QueuePool, NullPool, StaticPool, SingletonThreadPool, AssertionPool])
def test_statements_of_every_pool(tmp_path: Path, seen: Seen, kind: Any) -> None:
    """Whatever pool lends the connection, each statement counts once."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=kind)
    for _ in range(3):
        with seen.request(), engine.connect() as connection:
            connection.execute(text("SELECT 7"))
    assert counts(seen) == {"SELECT ?": 3}
    engine.dispose()


@pytest.mark.parametrize("kind", [AsyncAdaptedQueuePool, NullPool, StaticPool])
def test_statements_of_every_async_pool(async_database: Database, seen: Seen, kind: Any) -> None:
    """The same of async engines."""
    with seen.request():
        async_database.run(lambda session: session.execute(text("SELECT 7")).all(), poolclass=kind)
    assert counts(seen)["SELECT ?"] == 1


def test_promise_13_of_100_000_engines_nothing_is_kept(seen: Seen) -> None:
    """Engines that are made, used and disposed of leave bounded registries and no engine behind."""
    shared: Any = sqlite3.connect(":memory:")
    url = make_url("sqlite://")
    dead: list[weakref.ref[Any]] = []

    def use(number: int) -> None:
        # Put together by hand, each with a pool and a dialect: `create_engine` would take a minute.
        dialect = SQLiteDialect_pysqlite(dbapi=sqlite3)
        engine = Engine(StaticPool(lambda: shared, dialect=dialect), dialect, url)
        engine.raw_connection().close()
        if number % ENGINES_TO_A_STATEMENT == 0:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"SELECT {number}")
            dead.extend([weakref.ref(engine), weakref.ref(engine.pool), weakref.ref(dialect)])

    checkouts = statements = 0
    for number in range(MANY_ENGINES):
        use(number)
        if number % 1_000 == 999:
            frame = seen.frame()
            checkouts += sum(pool.checkouts for pool in frame.pools)
            statements += sum(s.latency.count for s in frame.statements)
    gc.collect()
    assert statements == MANY_ENGINES // ENGINES_TO_A_STATEMENT
    assert checkouts == MANY_ENGINES + statements
    assert [ref() for ref in dead if ref() is not None] == []
    assert len(seen.pool._places.pools) <= MAX_POOLS
    assert len(seen.window.known_texts) <= MAX_TEXTS
    assert len([shape for shape in seen.window.shapes._shapes.values() if shape.kind == "sql"]) == 1
    shared.close()
