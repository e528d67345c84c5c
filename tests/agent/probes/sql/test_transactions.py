"""What a transaction, a pool and a connection ask the database is told where it happens, and once."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from perftui_agent.probes.sql import transactions
from perftui_agent.window.folding import is_transaction
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import StatementFrame
from perftui_agent.wire.requests import RouteFrame
from tests.support.databases import Author, Database, Seen, spans_of

SLOW_S = 0.2
SLOW_NS = 200_000_000

MUCH_WORK = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n"
"""Some 50 ms of SQLite's."""


@contextmanager
def slowed(owner: Any, method: str, by_s: float = SLOW_S) -> Iterator[None]:
    """Have a method of a class or an object take some time more."""
    original = getattr(owner, method)

    def slow(*args: Any, **options: Any) -> Any:
        time.sleep(by_s)
        return original(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, method, slow)
        yield


def add_author(session: Session) -> None:
    session.add(Author(id=50, name="new"))
    session.commit()


def steps_of(frame: Frame) -> dict[str, StatementFrame]:
    return {step.statement: step for step in frame.transactions}


def route_of(frame: Frame) -> RouteFrame:
    (route,) = frame.routes
    return route


def slow_step(seen: Seen, name: str) -> StatementFrame:
    """Close a frame, whose one request has spent its time on one step; return that."""
    frame = seen.frame()
    step = steps_of(frame)[name]
    assert step.latency.max >= SLOW_NS
    assert step.routes == {"GET /": step.latency.count}
    (span,) = [span for span in spans_of(frame, "transaction") if span.name == name]
    assert span.ns >= SLOW_NS
    assert route_of(frame).transaction_ns >= SLOW_NS > route_of(frame).sql_ns
    assert all(statement.latency.max < SLOW_NS for statement in frame.statements)
    return step


def test_a_slow_commit(database: Database, seen: Seen) -> None:
    """It is the route's, with its call site, by every driver, and no statement's."""
    with slowed(DefaultDialect, "do_commit"), seen.request():
        database.run(add_author)
    step = slow_step(seen, "COMMIT")
    assert (step.latency.count, step.slow, step.errors) == (1, 1, 0)
    assert (step.call_site or "").endswith(" add_author")


def test_commits_are_told_where_most_of_their_time_goes(sync_database: Database, seen: Seen) -> None:
    """Not where the first came from."""

    def migrate(session: Session) -> None:
        session.add(Author(id=51, name="first"))
        session.commit()

    def charge(session: Session) -> None:
        session.execute(text("UPDATE authors SET name = 'paid'"))
        session.commit()

    def committed(way: Callable[[Session], None]) -> str | None:
        with seen.request():
            sync_database.run(way)
        return steps_of(seen.frame())["COMMIT"].call_site

    with slowed(DefaultDialect, "do_commit", by_s=0.01):
        assert (committed(migrate) or "").endswith("migrate")
        sites = [committed(charge) for _ in range(9)]
        assert (sites[-1] or "").endswith("charge")


def test_a_commit_that_is_slow_in_one_engines_dialect(seen: Seen) -> None:
    """Whatever an app has put in a dialect's place is part of it."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with slowed(engine.dialect, "do_commit"), seen.request(), engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
    slow_step(seen, "COMMIT")


def test_a_slow_rollback(database: Database, seen: Seen) -> None:
    """The one at the end of a session that only read included."""

    def reads(session: Session) -> None:
        session.get(Author, 1)

    with slowed(DefaultDialect, "do_rollback"), seen.request():
        database.run(reads)
    slow_step(seen, "ROLLBACK")


def test_a_slow_reset(seen: Seen) -> None:
    """What a pool does to a connection that comes back is the request's that gives it back."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    seen.frame()
    with seen.request():
        connection = engine.connect()
        connection.commit()
        with slowed(DefaultDialect, "do_rollback"):
            connection.close()
    slow_step(seen, "RESET")


def test_a_failed_commit(sync_database: Database, seen: Seen) -> None:
    """Counts as failed, once, and the app gets its own error."""

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("disk full")

    def work(session: Session) -> None:
        session.get(Author, 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DefaultDialect, "do_commit", fails)
            with pytest.raises(Exception, match="disk full"):
                session.commit()

    with seen.request():
        sync_database.run(work)
    commit = seen.transactions()["COMMIT"]
    assert (commit.latency.count, commit.errors) == (1, 1)


def test_a_cancelled_commit(async_database: Database, seen: Seen) -> None:
    """Is told of for as long as it went on, as failed."""

    async def work() -> None:
        engine = async_database.async_engine()
        async with AsyncSession(engine) as session:
            session.add(Author(id=60, name="new"))
            await session.flush()
            connection = (await (await session.connection()).get_raw_connection()).dbapi_connection
            assert connection is not None
            waiting = asyncio.Event()

            def commit() -> None:
                from sqlalchemy.util import await_only

                waiting.set()
                await_only(asyncio.sleep(30))

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(engine.dialect, "do_commit", lambda _: commit())
                task = asyncio.create_task(session.commit())
                await waiting.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        await engine.dispose()

    with seen.request():
        asyncio.run(work())
    commit = seen.transactions()["COMMIT"]
    assert (commit.latency.count, commit.errors) == (1, 1)


def test_what_a_commit_waits_for(tmp_path: Any, seen: Seen) -> None:
    """A commit that waits for a reader of SQLite's is told of for as long as that reads."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
        connection.execute(text("INSERT INTO t VALUES (1), (2)"))
    seen.frame()
    reader = sqlite3.connect(f"{tmp_path}/shop.db", check_same_thread=False)
    reading = reader.execute("SELECT a FROM t")
    reading.fetchone()
    threading.Timer(SLOW_S * 2, reading.fetchall).start()
    with seen.request(), engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (3)"))
    slow_step(seen, "COMMIT")
    reader.close()
    engine.dispose()


def test_a_deferred_constraint(asyncpg_database: Database, seen: Seen) -> None:
    """PostgreSQL's are looked at by the commit, which fails there."""

    async def work() -> None:
        engine = asyncpg_database.async_engine()
        async with engine.connect() as connection:
            await connection.execute(text("CREATE TEMP TABLE d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
            await connection.execute(text("INSERT INTO d VALUES (1), (1)"))
            with pytest.raises(DBAPIError):
                await connection.commit()
        await engine.dispose()

    with seen.request():
        asyncio.run(work())
    frame = seen.frame()
    assert [step.errors for step in frame.transactions if step.statement == "COMMIT"] == [1]
    assert sum(statement.errors for statement in frame.statements) == 0


def test_two_phases(sync_database: Database, seen: Seen) -> None:
    """Preparing and committing what was prepared are steps, each told of once."""
    if sync_database.driver == "pysqlite":
        return  # it has no two phases
    engine = sync_database.sync_engine()
    with seen.request(), engine.connect() as connection:
        transaction = connection.begin_twophase("x1")
        connection.execute(text("SELECT 1"))
        transaction.prepare()
        transaction.commit()
    engine.dispose()
    steps = seen.transactions()
    assert steps["PREPARE TRANSACTION"].latency.count == steps["COMMIT"].latency.count == 1


def test_what_happens_within_a_step_is_left_out_of_it(seen: Seen) -> None:
    """A statement that a listener runs as a transaction is committed is a statement."""
    engine = create_engine("sqlite://", poolclass=StaticPool)

    @event.listens_for(engine, "commit")
    def run_another(connection: Any) -> None:
        connection.exec_driver_sql(MUCH_WORK).all()

    with seen.request(), engine.begin():
        pass
    frame = seen.frame()
    assert steps_of(frame)["COMMIT"].latency.max < route_of(frame).sql_ns / 4
    assert route_of(frame).transaction_ns < route_of(frame).sql_ns / 4


def test_a_new_engines_first_statements_are_no_part_of_connecting(seen: Seen) -> None:
    """What a dialect asks its first connection counts once."""
    engine = create_engine("sqlite://")

    def initialize(dialect: Any, connection: Any) -> None:
        connection.exec_driver_sql(MUCH_WORK).all()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.dialect, "initialize", initialize.__get__(engine.dialect))
        with seen.request(), engine.connect():
            pass
    frame = seen.frame()
    assert sum(span.ns for span in spans_of(frame, "connect")) < route_of(frame).sql_ns / 4
    assert sum(pool.wait.max for pool in frame.pools) < route_of(frame).sql_ns / 4


def ping(engine: Engine, work: Callable[[Any], None] = lambda _: None) -> None:
    with engine.connect() as connection:
        work(connection)


def test_a_ping_is_the_requests_that_checks_out(sync_database: Database, seen: Seen) -> None:
    """With `pool_pre_ping` every checkout but the first asks first whether the connection lives."""
    engine = sync_database.sync_engine(pool_pre_ping=True)
    ping(engine)
    seen.frame()
    with slowed(engine.dialect, "do_ping"), seen.request():
        ping(engine)
    step = slow_step(seen, "PING")
    assert (step.latency.count, step.errors) == (1, 0)
    engine.dispose()


@pytest.mark.parametrize(("event_name", "step"), [("checkout", "CHECKOUT"), ("checkin", "CHECKIN")])
def test_what_listeners_of_a_pool_ask_by_the_driver_is_told(
    event_name: str, step: str, sync_database: Database, seen: Seen
) -> None:
    """Whom a connection acts for is often set as it is taken, and taken back as it is given back."""
    engine = sync_database.sync_engine()
    asked: list[Any] = []

    def ask(connection: Any, *_: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        asked.append(cursor.fetchall())
        time.sleep(2 * SLOW_NS / 1e9)

    event.listen(engine, event_name, ask)
    ping(engine)  # by this it is seen to have listeners
    seen.frame()
    asked.clear()
    with seen.request():
        ping(engine)
    assert slow_step(seen, step).latency.count == len(asked) == 1
    with seen.request(), engine.connect():
        waits = seen.frame()
    assert sum(pool.wait.max for pool in waits.pools) < SLOW_NS, "no part of the wait for a connection"
    engine.dispose()


def test_listeners_that_ask_nobody_are_no_step(
    sync_database: Database, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of them count something, which takes less than any question does."""
    monkeypatch.setattr(transactions, "LEAST_OF_LISTENERS_NS", 2_000_000_000)
    engine = sync_database.sync_engine()
    for name in ("checkout", "checkin"):
        event.listen(engine, name, lambda *_: None)
    ping(engine)
    seen.frame()
    with seen.request():
        ping(engine, lambda connection: connection.execute(text("SELECT 1")))
    assert not {"CHECKOUT", "CHECKIN"} & set(steps_of(seen.frame()))
    engine.dispose()


def test_the_reconnect_after_a_failed_ping_is_booked_where_it_happens(
    sync_database: Database, seen: Seen
) -> None:
    """The ping is told of as failed, and opening the next connection is no other checkout's."""
    engine = sync_database.sync_engine(pool_pre_ping=True)
    ping(engine)
    seen.frame()

    def dead(*_: object) -> bool:
        raise engine.dialect.loaded_dbapi.OperationalError("gone")

    with pytest.MonkeyPatch.context() as patch, slowed(engine.dialect, "connect"), seen.request():
        patch.setattr(engine.dialect, "do_ping", dead)
        patch.setattr(engine.dialect, "is_disconnect", lambda *_: True)
        ping(engine)
    frame = seen.frame()
    assert steps_of(frame)["PING"].errors == 1
    (connect,) = spans_of(frame, "connect")
    assert connect.ns >= SLOW_NS
    assert route_of(frame).transaction_ns >= SLOW_NS
    with seen.request("GET /next"):
        ping(engine)
    assert spans_of(seen.frame(), "connect") == []
    engine.dispose()


def test_a_connection_that_cannot_be_opened(seen: Seen) -> None:
    """Is told of with the time it took to fail."""
    engine = create_engine("sqlite:////nowhere/at/all.db")
    with slowed(engine.dialect, "connect"), seen.request(), pytest.raises(OperationalError):
        ping(engine)
    (connect,) = spans_of(seen.frame(), "connect")
    assert connect.ns >= SLOW_NS


def test_steps_outside_of_requests(seen: Seen) -> None:
    """Belong to nobody's route, as statements do."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
    assert seen.transactions()["COMMIT"].routes == {"(outside requests)": 1}


def test_the_same_commit_many_times_is_no_repetition(seen: Seen) -> None:
    """It is counted, and neither an N+1 nor a statement of the request."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with seen.request(), engine.connect() as connection:
        for _ in range(20):
            connection.execute(text("SELECT 1"))
            connection.commit()
    frame = seen.frame()
    assert steps_of(frame)["COMMIT"].latency.count == 20
    assert (route_of(frame).sql_count, route_of(frame).transaction_count >= 20) == (20, True)
    assert [repeats.executions for repeats in route_of(frame).repeats] == [20]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("BEGIN", True),
        ("BEGIN IMMEDIATE", True),
        ("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE", True),
        ("START TRANSACTION READ ONLY", True),
        ("COMMIT PREPARED ?", True),
        ("ROLLBACK TO SAVEPOINT sa_savepoint_?", True),
        ("RELEASE SAVEPOINT sa_savepoint_?", True),
        ("SAVE TRANSACTION x", True),
        ("XA COMMIT ?", True),
        ("BEGIN pay(?); COMMIT; END", False),
        ("PREPARE by_id AS SELECT ?", False),
        ("RESET ALL", False),
        ("SELECT commit FROM git", False),
        ("COMMITS", False),
    ],
)
def test_which_statements_are_steps_of_a_transaction(shape: str, expected: bool) -> None:
    """Those that begin, end or divide one, whoever sends them; a block of PL/SQL is work."""
    assert is_transaction(shape) is expected
