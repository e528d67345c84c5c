"""What it takes to fetch a statement's rows is part of the statement."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from perftui_agent.wire.outside import StatementFrame
from tests.support.databases import Author, Database, Seen, spans_of

SLOW_S = 0.05
SLOW_NS = 50_000_000

ROWS = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT {value} AS a FROM n"


def slow(value: int) -> int:
    """Return the value, some time later."""
    time.sleep(SLOW_S)
    return value


LAST_ROW_IS_SLOW = text(ROWS.format(rows=20, value="CASE WHEN i = 20 THEN slow(i) ELSE i END"))
"""SQLite computes a row when it is asked for it."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A database whose function `slow` takes some time, and `fails` fails."""
    engine = create_engine("sqlite://", poolclass=StaticPool)

    @event.listens_for(engine, "connect")
    def add_functions(connection: Any, _: Any) -> None:
        connection.create_function("slow", 1, slow)
        connection.create_function("fails", 1, lambda value: 1 / (20 - value))

    yield engine
    engine.dispose()


def the_statement(seen: Seen) -> StatementFrame:
    (statement,) = seen.frame().statements
    return statement


WAYS: dict[str, Callable[[Connection], object]] = {
    "all": lambda connection: connection.execute(LAST_ROW_IS_SLOW).all(),
    "scalars": lambda connection: connection.scalars(LAST_ROW_IS_SLOW).all(),
    "fetchall": lambda connection: connection.execute(LAST_ROW_IS_SLOW).fetchall(),
    "iteration": lambda connection: list(connection.execute(LAST_ROW_IS_SLOW)),
    "mappings": lambda connection: list(connection.execute(LAST_ROW_IS_SLOW).mappings()),
    "fetchmany": lambda connection: connection.execute(LAST_ROW_IS_SLOW).fetchmany(20),
    "partitions": lambda connection: list(connection.execute(LAST_ROW_IS_SLOW).partitions(3)),
    "yield_per": lambda connection: list(connection.execute(LAST_ROW_IS_SLOW).yield_per(4)),
    "fetchone": lambda connection: [
        *iter(connection.execute(LAST_ROW_IS_SLOW).fetchone, None),
    ],
    "unique": lambda connection: connection.execute(LAST_ROW_IS_SLOW).unique().all(),
    "stream_results": lambda connection: list(
        connection.execution_options(stream_results=True).execute(LAST_ROW_IS_SLOW)
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_rows_that_are_computed_as_they_are_fetched(engine: Engine, seen: Seen, way: str) -> None:
    """However they are fetched: the statement counts once, with the time they took."""
    with seen.request(), engine.connect() as connection:
        WAYS[way](connection)
    frame = seen.frame()
    (statement,) = frame.statements
    assert statement.latency.count == 1
    assert SLOW_NS <= statement.latency.max < 2 * SLOW_NS
    assert statement.routes == {"GET /": 1}
    assert sum(route.sql_ns for route in frame.routes) == sum(span.ns for span in spans_of(frame, "sql"))


def test_a_statement_that_is_slow_to_fetch_is_slow(engine: Engine, seen: Seen) -> None:
    """It is counted among the slow ones, with the line that fetches."""
    seen.sql._slow_ns = SLOW_NS
    with engine.connect() as connection:
        for _ in range(2):
            connection.execute(LAST_ROW_IS_SLOW).all()
    statement = the_statement(seen)
    assert statement.slow == 2
    assert (statement.call_site or "").endswith(" test_a_statement_that_is_slow_to_fetch_is_slow")


def test_a_failure_while_rows_are_fetched_is_the_statements(engine: Engine, seen: Seen) -> None:
    """It counts once, as failed, and the app gets SQLAlchemy's error."""
    with engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(text(ROWS.format(rows=20, value="fails(i)"))).all()
    statement = the_statement(seen)
    assert (statement.latency.count, statement.errors) == (1, 1)


@pytest.mark.parametrize("fetched", [0, 1, 3])
def test_a_result_that_is_not_read_to_its_end_counts_once(engine: Engine, seen: Seen, fetched: int) -> None:
    """It is told of when nobody can read on, without waiting for a garbage collection."""
    gc.disable()
    try:
        with seen.request(), engine.connect() as connection:
            connection.execute(text("SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4")).fetchmany(
                fetched
            ) if fetched else connection.execute(text("SELECT 1 UNION SELECT 2"))
        statement = the_statement(seen)
    finally:
        gc.enable()
    assert (statement.latency.count, statement.routes) == (1, {"GET /": 1})


def test_orm_objects_are_told_of_before_their_request_ends(engine: Engine, seen: Seen) -> None:
    """A session's queries are whole as soon as their objects are there."""
    Author.__table__.create(engine)  # type: ignore[attr-defined]
    seen.frame()
    with seen.request(), Session(engine) as session:
        session.get(Author, 1)
        session.query(Author).all()
        assert sum(statement.latency.count for statement in seen.frame().statements) == 2


def test_many_rows_that_are_quick_are_estimated(engine: Engine, seen: Seen) -> None:
    """Where each takes microseconds, one in 64 is timed, and stands for the others."""
    with engine.connect() as connection:
        result = connection.execute(text(ROWS.format(rows=20_000, value="i")))
        started_ns = time.perf_counter_ns()
        assert sum(row.a for row in result) == 20_000 * 20_001 // 2
        ns = time.perf_counter_ns() - started_ns
    assert ns / 20 < the_statement(seen).latency.max < ns * 2


def test_server_side_cursors(database: Database, seen: Seen) -> None:
    """What the server takes for later rows of a stream is the statement's."""
    if "sqlite" in database.driver:
        return  # it has none
    statement = text(
        "SELECT i, pg_sleep(CASE WHEN i > 28 THEN 0.05 ELSE 0 END) FROM generate_series(1, 30) i"
    )
    options = {"yield_per": 10}
    if database.is_async:

        async def stream() -> int:
            engine = database.async_engine()
            async with engine.connect() as connection:
                result = await connection.stream(statement, execution_options=options)
                count = len([row async for row in result])
            await engine.dispose()
            return count

        with seen.request():
            assert asyncio.run(stream()) == 30
    else:
        engine = database.sync_engine()
        with seen.request(), engine.connect() as connection:
            assert len(list(connection.execute(statement, execution_options=options))) == 30
        engine.dispose()
    (streamed,) = [s for s in seen.frame().statements if "generate_series" in s.statement]
    assert streamed.latency.count == 1
    assert 2 * SLOW_NS <= streamed.latency.max < 4 * SLOW_NS
