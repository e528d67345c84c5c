"""The ways to send a statement: Core, the driver's own SQL, streams, and the ORM in bulk."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from perftui_agent.wire.frames import Frame
from tests.agent.probes.sql.vocabulary import counts, plain
from tests.support.databases import Author, Book, Database, Seen, repeats_of

INSERT = "INSERT INTO authors (id, name) VALUES (…)"
NEW_AUTHORS = [{"id": 100 + number, "name": "new"} for number in range(50)]

PARAMETERS = {"asyncpg": "$1", "psycopg": "%s", "psycopg_async": "%s"}
"""How a driver writes the first value of a statement; SQLite's say `?`."""


def test_the_drivers_own_sql(database: Database, seen: Seen) -> None:
    """`exec_driver_sql` counts like any, with values and without, by the same shape as Core's text."""
    value = PARAMETERS.get(database.driver, "?")

    def work(session: Session) -> None:
        connection = session.connection()
        connection.exec_driver_sql("SELECT title FROM books WHERE id = 3")
        connection.exec_driver_sql(f"SELECT title FROM books WHERE id = {value}", (3,))
        connection.execute(text("SELECT title FROM books WHERE id = :id"), {"id": 3})

    with seen.request():
        database.run(work)
    assert counts(seen) == {"SELECT title FROM books WHERE id = ?": 3}


def test_the_drivers_own_executemany(database: Database, seen: Seen) -> None:
    """Of `exec_driver_sql` too an executemany is one statement."""
    value = PARAMETERS.get(database.driver, "?")

    def work(session: Session) -> None:
        rows = [("new title",)] * 10
        session.connection().exec_driver_sql(f"UPDATE books SET title = {value} WHERE id = 1", rows)

    with seen.request():
        database.run(work)
    assert counts(seen) == {"UPDATE books SET title = ? WHERE id = ?": 1}


def orm_insert(session: Session) -> None:
    session.execute(insert(Author), NEW_AUTHORS)


def add_all(session: Session) -> None:
    session.add_all([Author(**row) for row in NEW_AUTHORS])
    session.flush()


def bulk_save(session: Session) -> None:
    session.bulk_insert_mappings(Author, NEW_AUTHORS)


@pytest.mark.parametrize("work", [orm_insert, add_all, bulk_save])
def test_orm_inserts_in_bulk(database: Database, seen: Seen, work: Any) -> None:
    """Fifty rows by any of the ORM's ways are one statement, and no repetition."""
    with seen.request():
        database.run(work)
    frame = seen.frame()
    (statement,) = [s for s in frame.statements if s.statement.startswith("INSERT")]
    assert (statement.statement, statement.latency.count) == (INSERT, 1)
    assert repeats_of(frame) == []


def test_orm_updates_in_bulk(database: Database, seen: Seen) -> None:
    """Rows that the ORM updates by key are one statement; so are those that a criterion finds."""

    def work(session: Session) -> None:
        session.execute(update(Book), [{"id": number, "title": "new"} for number in range(1, 11)])
        session.execute(update(Book).where(Book.author_id == 1).values(title="newer"))
        session.execute(delete(Book).where(Book.author_id == 2))

    with seen.request():
        database.run(work)
    frame = seen.frame()
    assert counts_of(frame, "UPDATE books SET title=? WHERE books.id = ?") == 1
    assert counts_of(frame, "UPDATE books SET title=? WHERE books.author_id = ?") == 1
    assert counts_of(frame, "DELETE FROM books WHERE books.author_id = ?") == 1
    assert repeats_of(frame) == []


def counts_of(frame: Frame, beginning: str) -> int:
    """Return how many statements begin like this; what the session then asks for is left out."""
    return sum(s.latency.count for s in frame.statements if plain(s.statement).startswith(beginning))


async def rows(executor: Any) -> list[int]:
    result = await executor.stream(select(Book.id).execution_options(yield_per=2))
    return [row.id async for row in result]


@pytest.mark.parametrize("stream", ["connection", "session"])
def test_async_streams(async_database: Database, seen: Seen, stream: str) -> None:
    """A result that is streamed and awaited row by row is one statement, whoever streams it."""

    async def work() -> list[int]:
        engine = async_database.async_engine()
        async with AsyncSession(engine) if stream == "session" else engine.connect() as executor:
            found = await rows(executor)
        await engine.dispose()
        return found

    with seen.request("GET /stream"):
        assert len(asyncio.run(work())) == 10
    (statement,) = [s for s in seen.frame().statements if s.statement == "SELECT books.id FROM books"]
    assert (statement.latency.count, statement.routes) == (1, {"GET /stream": 1})
    assert statement.call_site is not None
    assert statement.call_site.endswith(f":{rows.__code__.co_firstlineno + 1} rows")


def test_an_abandoned_stream(async_database: Database, seen: Seen) -> None:
    """A stream that is closed after its first row is one statement, and no error."""

    async def work() -> None:
        engine = async_database.async_engine()
        async with engine.connect() as connection, connection.stream(select(Book.id)) as result:
            await result.fetchone()
        await engine.dispose()

    with seen.request():
        asyncio.run(work())
    (statement,) = [s for s in seen.frame().statements if s.statement == "SELECT books.id FROM books"]
    assert (statement.latency.count, statement.errors) == (1, 0)
