"""Promise 10: each statement counts once, whoever runs it and however it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy.exc
from sqlalchemy import create_engine, event, func, select, text
from sqlalchemy.orm import Session

from perftui_agent.records import current_request
from perftui_agent.wire.outside import StatementFrame
from tests.agent.probes.sql.vocabulary import BOOK_BY_ID, counts, plain, select_book
from tests.support.databases import Author, Book, Database, Seen, repeats_of, seeing, spans_of


def test_a_statement_says_where_it_ran_and_for_what(database: Database, seen: Seen) -> None:
    """A statement has its shape, count, route, database and the place in the app that sent it."""
    with seen.request("GET /books/{id}"):
        database.run(select_book)
    (statement,) = [s for s in seen.frame().statements if s.statement.startswith("SELECT books")]
    assert plain(statement.statement) == BOOK_BY_ID
    assert (statement.latency.count, statement.errors) == (1, 0)
    assert statement.routes == {"GET /books/{id}": 1}
    assert statement.database == ("shop.db" if "sqlite" in database.url else "postgres")
    assert statement.call_site is not None
    assert statement.call_site.endswith(f":{select_book.__code__.co_firstlineno + 1} select_book")


def test_outside_of_requests(database: Database, seen: Seen) -> None:
    """What no request ran is counted under a route of its own."""
    database.run(select_book)
    statements = [s for s in seen.frame().statements if s.statement.startswith("SELECT books")]
    assert [s.routes for s in statements] == [{"(outside requests)": 1}]


def test_of_a_background_task(database: Database, seen: Seen) -> None:
    """What a request runs after its last byte still counts for its route, and repeats nothing."""

    def five(session: Session) -> None:
        for _ in range(5):
            select_book(session)

    with seen.request("GET /later") as record:
        pass
    token = current_request.set(record)
    database.run(five)
    current_request.reset(token)
    frame = seen.frame()
    (statement,) = [s for s in frame.statements if s.statement.startswith("SELECT books")]
    assert statement.routes == {"GET /later": 5}
    assert repeats_of(frame, "GET /later") == []


def test_failed(database: Database, seen: Seen) -> None:
    """A statement that fails counts once, as an error; the exception is the driver's own."""

    def nonsense(session: Session) -> None:
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            session.execute(text("SELECT nothing FROM nowhere"))

    with seen.request():
        database.run(nonsense)
    statement = seen.statements()["SELECT nothing FROM nowhere"]
    assert (statement.latency.count, statement.errors) == (1, 1)


def test_failed_in_a_flush(database: Database, seen: Seen) -> None:
    """An insert that violates a constraint counts once, as an error."""

    def twice(session: Session) -> None:
        session.add(Author(id=1, name="another one"))
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            session.flush()

    with seen.request():
        database.run(twice)
    (statement,) = [s for s in seen.frame().statements if s.statement.startswith("INSERT")]
    assert (statement.latency.count, statement.errors) == (1, 1)


def test_failed_after_it_ran(database: Database, seen: Seen) -> None:
    """Another listener that raises after the statement makes it count neither twice nor not at all."""

    def work(session: Session) -> None:
        def listener(*_: object) -> None:
            raise LookupError("of the app")

        event.listen(session.connection().engine, "after_cursor_execute", listener)
        with pytest.raises(LookupError):
            select_book(session)

    with seen.request():
        database.run(work)
    statements = [s for s in seen.frame().statements if s.statement.startswith("SELECT books")]
    assert [s.latency.count for s in statements] == [1]


def test_autoflush(database: Database, seen: Seen) -> None:
    """A query that flushes first counts as the insert and the select that it is."""

    def flushing(session: Session) -> None:
        session.add(Author(id=77, name="new"))
        assert session.scalar(select(func.count(Author.id))) == 6

    with seen.request():
        database.run(flushing)
    assert counts(seen) == {
        "INSERT INTO authors (id, name) VALUES (…)": 1,
        "SELECT count(authors.id) AS count_1 FROM authors": 1,
    }


def test_savepoints(database: Database, seen: Seen) -> None:
    """Savepoints are steps of a transaction, of one shape whatever their number."""

    def nested(session: Session) -> None:
        for _ in range(3):
            with session.begin_nested():
                select_book(session)

    with seen.request():
        database.run(nested)
    steps = {name: step.latency.count for name, step in seen.transactions().items()}
    assert (steps["SAVEPOINT sa_savepoint_?"], steps["RELEASE SAVEPOINT sa_savepoint_?"]) == (3, 3)


def test_streaming(database: Database, seen: Seen) -> None:
    """A result that is read in parts, by a server-side cursor too, is one statement."""

    def stream(session: Session) -> int:
        rows = session.execute(select(Book.id), execution_options={"yield_per": 2})
        return sum(len(part) for part in rows.partitions())

    with seen.request():
        assert database.run(stream) == [10]
    assert counts(seen) == {"SELECT books.id FROM books": 1}


def test_several_engines(database: Database, seen: Seen) -> None:
    """Two engines (a replica, a second database) add up under one shape."""
    with seen.request():
        database.run(select_book)
        database.run(select_book)
    assert counts(seen)[BOOK_BY_ID] == 2


def test_slow(seen: Seen, sync_database: Database) -> None:
    """A statement beyond the threshold counts as slow and says where it came from."""
    seen.sql.detach()
    with seeing(slow_query_ms=0) as everything_is_slow, everything_is_slow.request():
        sync_database.run(select_book, select_book)
    statement = next(
        s for s in everything_is_slow.frame().statements if s.statement.startswith("SELECT books")
    )
    assert statement.slow == 2
    assert statement.call_site is not None
    assert "select_book" in statement.call_site


def test_text_off(sync_database: Database) -> None:
    """With PERFTUI_SQL_TEXT=off a frame has the verb and the fingerprint, and no word of the statement."""
    with seeing(sql_text="off") as seen, seen.request():
        sync_database.run(select_book)
    frame = seen.frame()
    assert {s.statement for s in frame.statements} <= {"SELECT", "SHOW"}
    assert {span.name for span in spans_of(frame, "sql")} <= {"SELECT", "SHOW"}
    assert all(len(s.fingerprint) == 16 for s in frame.statements)


def test_statements_that_run_after_a_migration_are_named(tmp_path: Path, seen: Seen) -> None:
    """Three thousand distinct ones at start leave room for those of requests, call sites included."""
    engine = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with engine.connect() as connection:
        for number in range(3_000):
            connection.exec_driver_sql(f"SELECT 1 AS column_{number}")
    assert sum(seen.counts().values()) == 3_000
    named: dict[str, StatementFrame] = {}
    for _ in range(3):
        with seen.request("GET /hot"), engine.connect() as connection:
            for number in range(10):
                connection.exec_driver_sql(f"SELECT 2 AS hot_{number}")
        named = seen.statements()
    assert set(named) == {f"SELECT ? AS hot_{number}" for number in range(10)}
    assert all("test_statements.py" in (each.call_site or "") for each in named.values())
    engine.dispose()
