"""What single requests repeat, what requests have in common, and what only looks like it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, joinedload, selectinload, subqueryload

from tests.agent.probes.sql.vocabulary import counts, select_book
from tests.support.databases import Author, Book, Database, Seen, repeats_of


def authors(session: Session, *options: Any) -> list[Author]:
    return list(session.scalars(select(Author).order_by(Author.id).options(*options)))


def test_lazy_loading_repeats(database: Database, seen: Seen) -> None:
    """Lazy loading in a loop is one shape, repeated with other values each time, from one place."""

    def n_plus_one(session: Session) -> int:
        return sum(len(author.books) for author in authors(session))

    with seen.request("GET /authors"):
        assert database.run(n_plus_one) == [10]
    frame = seen.frame()
    (repeats,) = repeats_of(frame, "GET /authors")
    assert (repeats.requests, repeats.executions, repeats.most, repeats.distinct_binds) == (1, 5, 5, 5)
    assert "test_repetition.py" in repeats.call_site
    assert "n_plus_one" in repeats.call_site
    (statement,) = [s for s in frame.statements if s.fingerprint == repeats.fingerprint]
    assert statement.latency.count == 5
    assert repeats.total_ns == statement.latency.total


def test_same_values_again(database: Database, seen: Seen) -> None:
    """The same values in one request are no distinct ones; in the next request they are the same again."""

    def thrice(session: Session) -> None:
        for _ in range(3):
            select_book(session)

    for _ in range(2):
        with seen.request():
            database.run(thrice)
    frame = seen.frame()
    (repeats,) = repeats_of(frame)
    assert (repeats.requests, repeats.executions, repeats.distinct_binds) == (2, 6, 2)
    (statement,) = [s for s in frame.statements if s.fingerprint == repeats.fingerprint]
    assert statement.same_binds == 1, "the first execution of the second request; the rest repeats within it"


def test_other_values_in_other_requests(database: Database, seen: Seen) -> None:
    """The same statement with other values is no candidate for a cache."""
    for number in range(1, 6):
        with seen.request():
            database.run(lambda session, number=number: session.get(Book, number))  # type: ignore[misc]
    assert [s.same_binds for s in seen.frame().statements if s.statement.startswith("SELECT books")] == [0]


@pytest.mark.parametrize("option", [selectinload, subqueryload, joinedload])
def test_eager_loading_repeats_nothing(database: Database, seen: Seen, option: Any) -> None:
    """Eager loading of 1,200 authors is a few statements, none of which counts as repeated."""
    database.fill(authors=1_200, books_each=1)
    seen.frame()

    def eager(session: Session) -> int:
        found = session.scalars(select(Author).options(option(Author.books))).unique()
        return sum(len(author.books) for author in found)

    with seen.request():
        assert database.run(eager) == [1_200]
    frame = seen.frame()
    # 1,200 keys go in three lists of at most 500.
    expected = {selectinload: 4, subqueryload: 2, joinedload: 1}[option]
    assert (
        sum(s.latency.count for s in frame.statements if "authors" in s.statement)
        + sum(
            s.latency.count
            for s in frame.statements
            if "authors" not in s.statement and "books" in s.statement
        )
        == expected
    )
    assert repeats_of(frame) == []


def test_lists_of_any_length_are_one_shape(database: Database, seen: Seen) -> None:
    """An IN list of no, one or many values is the same statement."""

    def lists(session: Session) -> None:
        for length in (0, 1, 2, 7, 300):
            session.execute(select(Book.id).where(Book.id.in_(range(length)), Book.title != "x"))

    with seen.request():
        database.run(lists)
    assert counts(seen) == {"SELECT books.id FROM books WHERE books.id IN (…) AND books.title != ?": 5}


def test_many_rows_at_once(database: Database, seen: Seen) -> None:
    """An insert in batches counts as often as the database executed it, and repeats nothing."""

    def insert_many(session: Session) -> list[int]:
        rows = [{"id": 100 + number, "name": "new"} for number in range(2_500)]
        return list(session.scalars(insert(Author).returning(Author.id), rows))

    with seen.request():
        (ids,) = database.run(insert_many)
    assert len(ids) == 2_500
    frame = seen.frame()
    (statement,) = [s for s in frame.statements if s.statement.startswith("INSERT")]
    assert statement.latency.count == 3  # SQLAlchemy's insertmanyvalues: 1,000 rows a page
    assert repeats_of(frame) == []


def test_executemany(database: Database, seen: Seen) -> None:
    """One executemany of the driver is one statement."""

    def update_many(session: Session) -> None:
        rows = [{"key": number, "new": "title"} for number in range(1, 11)]
        session.connection().execute(text("UPDATE books SET title = :new WHERE id = :key"), rows)

    with seen.request():
        database.run(update_many)
    assert counts(seen) == {"UPDATE books SET title = ? WHERE id = ?": 1}


def test_many_at_a_time(async_database: Database, seen: Seen) -> None:
    """Requests that take turns on one loop each get their own statements."""

    async def request(engine: Any, number: int) -> None:
        with seen.request(f"GET /{number}"):
            async with engine.connect() as connection:
                for _ in range(number):
                    await connection.execute(text("SELECT 7"))

    async def work() -> None:
        engine = async_database.async_engine()
        await asyncio.gather(*(request(engine, number) for number in (1, 3, 5)))
        await engine.dispose()

    asyncio.run(work())
    frame = seen.frame()
    (statement,) = [s for s in frame.statements if s.statement == "SELECT ?"]
    assert statement.routes == {"GET /1": 1, "GET /3": 3, "GET /5": 5}
    assert [r.executions for route in ("GET /1", "GET /3", "GET /5") for r in repeats_of(frame, route)] == [
        3,
        5,
    ]


def test_lookups_that_stand_in_lines_of_their_own_are_no_repetition(database: Database, seen: Seen) -> None:
    """Six things are asked for one by one, each for a reason of its own: there is no loop to take apart."""

    def lookups(session: Session) -> None:
        session.get(Book, 1)
        session.get(Book, 2)
        session.get(Book, 3)
        session.get(Book, 4)
        session.get(Book, 5)
        session.get(Book, 6)

    with seen.request():
        database.run(lookups)
    frame = seen.frame()
    assert [s.latency.count for s in frame.statements if s.statement.startswith("SELECT books")] == [6]
    assert repeats_of(frame) == []


def test_requests_that_take_turns_bring_the_places_of_each(async_database: Database, seen: Seen) -> None:
    """Whether one place repeats is told of each request by itself, whoever runs the same in between."""

    async def lookups(engine: Any) -> None:
        with seen.request("GET /lines"):
            async with AsyncSession(engine) as session:
                await session.get(Book, 1)
                await session.get(Book, 2)
                await session.get(Book, 3)
                await session.get(Book, 4)
                await session.get(Book, 5)

    async def loop(engine: Any) -> None:
        with seen.request("GET /loop"):
            async with AsyncSession(engine) as session:
                for number in range(1, 6):
                    await session.get(Book, number)

    async def work() -> None:
        engine = async_database.async_engine()
        await asyncio.gather(*(each(engine) for each in (lookups, loop) * 3))
        await engine.dispose()

    asyncio.run(work())
    frame = seen.frame()
    assert repeats_of(frame, "GET /lines") == []
    (repeats,) = repeats_of(frame, "GET /loop")
    assert (repeats.requests, repeats.executions) == (3, 15)


def test_a_loop_with_several_lookups_repeats(database: Database, seen: Seen) -> None:
    """Each line of it again and again: the shape is counted once, by all of them."""

    def loop(session: Session) -> None:
        for number in (1, 4, 7):
            session.get(Book, number)
            session.get(Book, number + 1)
            session.get(Book, number + 2)

    with seen.request():
        database.run(loop)
    (repeats,) = repeats_of(seen.frame())
    assert (repeats.executions, repeats.distinct_binds) == (9, 9)


@pytest.mark.parametrize(
    "written",
    [
        "SELECT title FROM books WHERE id = {}",
        "SELECT title FROM books WHERE title = 'book {}'",
        'SELECT "title" FROM books WHERE "id" = {}',
        "/* page {} */ SELECT title FROM books WHERE id = 0{}",
    ],
)
def test_values_that_are_written_into_the_text_are_told_apart(
    written: str, database: Database, seen: Seen
) -> None:
    """A loop that formats them into its SQL is one, and what no two requests share no cache would save."""

    def by_hand(session: Session, first: int) -> None:
        for number in range(first, first + 5):
            session.connection().exec_driver_sql(written.format(number, number))

    for _ in range(2):  # the second time the texts are known
        for first in (1, 11):
            with seen.request():
                database.run(lambda session, first=first: by_hand(session, first))  # type: ignore[misc]
        frame = seen.frame()
        (repeats,) = repeats_of(frame)
        assert (repeats.requests, repeats.executions, repeats.distinct_binds) == (2, 10, 10)
    (statement,) = [s for s in frame.statements if s.fingerprint == repeats.fingerprint]
    assert statement.same_binds == 10, "each has been asked once before, by another request"


def test_comments_are_no_values(database: Database, seen: Seen) -> None:
    """Tools tell there whose statement it is, another each time."""

    def traced(session: Session) -> None:
        for number in range(5):
            session.connection().exec_driver_sql(f"/* trace {number} */ SELECT title FROM books WHERE id = 3")

    with seen.request():
        database.run(traced)
    (repeats,) = repeats_of(seen.frame())
    assert (repeats.executions, repeats.distinct_binds) == (5, 1)
