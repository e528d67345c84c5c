"""Promise 10: each statement counts once, whoever runs it and however it ends."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy.exc
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import Session, joinedload, selectinload, subqueryload

from perftui_agent.records import current_request
from tests.support.databases import Author, Book, Database, Seen, repeats_of, seeing, spans_of

BOOK_BY_ID = "SELECT books.id, books.title, books.author_id FROM books WHERE books.id = ?"
AUTHORS = "SELECT authors.id, authors.name FROM authors ORDER BY authors.id"


def plain(statement: str) -> str:
    """Return a shape without the casts that a dialect adds."""
    return statement.replace("?::INTEGER", "?").replace("?::VARCHAR", "?")


def authors(session: Session, *options: Any) -> list[Author]:
    return list(session.scalars(select(Author).order_by(Author.id).options(*options)))


def counts(seen: Seen) -> dict[str, int]:
    return {
        plain(shape): count for shape, count in seen.counts().items() if shape.startswith(("S", "I", "U"))
    }


def select_book(session: Session) -> Any:
    return session.execute(select(Book.__table__).where(Book.id == 3)).one()


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


def test_lazy_loading_repeats(database: Database, seen: Seen) -> None:
    """Lazy loading in a loop is one shape, repeated with other values each time, from one place."""

    def n_plus_one(session: Session) -> int:
        return sum(len(author.books) for author in authors(session))

    with seen.request("GET /authors"):
        assert database.run(n_plus_one) == [10]
    frame = seen.frame()
    (repeats,) = repeats_of(frame, "GET /authors")
    assert (repeats.requests, repeats.executions, repeats.most, repeats.distinct_binds) == (1, 5, 5, 5)
    assert "test_statements.py" in repeats.call_site
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
    """Savepoints are statements, of one shape whatever their number."""

    def nested(session: Session) -> None:
        for _ in range(3):
            with session.begin_nested():
                select_book(session)

    with seen.request():
        database.run(nested)
    assert counts(seen)["SAVEPOINT sa_savepoint_?"] == 3


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


def test_engine_options(sync_database: Database, seen: Seen) -> None:
    """An engine with options of its own shares events with the one it comes from: still once."""
    engine = sync_database.sync_engine()
    with seen.request(), engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("SELECT 7"))
    engine.dispose()
    assert counts(seen)["SELECT ?"] == 1


def test_engine_made_before(sync_database: Database) -> None:
    """An engine that has been at work before the probe attaches counts from then on."""
    engine = sync_database.sync_engine()
    with engine.connect() as connection:
        connection.execute(text("SELECT 7"))
        with seeing() as seen:
            connection.execute(text("SELECT 7"))
            assert counts(seen) == {"SELECT ?": 1}
        connection.execute(text("SELECT 7"))
        assert counts(seen) == {}
    engine.dispose()


def test_beside_others_that_rewrite(sync_database: Database, seen: Seen) -> None:
    """An instrument that adds a comment to each statement changes no count, no shape, and costs nothing."""
    engine = sync_database.sync_engine()
    numbers = iter(range(100))

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def comment(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return f"{statement} /* traceparent='00-{next(numbers)}' */", parameters

    with seen.request(), engine.connect() as connection:
        for _ in range(5):
            connection.execute(text("SELECT 7"))
    engine.dispose()
    assert counts(seen)["SELECT ?"] == 5
    assert sum(known.shape.shown == "SELECT ?" for known in seen.window.known_texts.values()) == 1


BESIDE = """
import sentry_sdk
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration
from sqlalchemy import create_engine, event, text
from tests.support.databases import seeing

sentry_sdk.init(
    traces_sample_rate=1.0, default_integrations=False, integrations=[SqlalchemyIntegration()]
)
engine = create_engine("sqlite://")
# It says that it knows SQLAlchemy up to 2.0 only; it works with 2.1.
SQLAlchemyInstrumentor().instrument(
    engine=engine, tracer_provider=TracerProvider(), enable_commenter=True, skip_dep_check=True
)
sent = []
event.listen(engine, "after_cursor_execute", lambda c, cursor, statement, *_: sent.append(statement))
with seeing() as seen:
    for _ in range(5):
        with seen.request(), sentry_sdk.start_transaction(name="GET /"), engine.connect() as connection:
            connection.execute(text("SELECT 7"))
    print(seen.counts(), len(seen.window.known_texts), "traceparent" in sent[0])
"""


def test_beside_opentelemetry_and_sentry() -> None:
    """Beside OpenTelemetry, which comments each statement, and Sentry a statement still counts once."""
    # In a process of its own: neither takes its listeners off again.
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, check=False)
    assert done.stdout == "{'SELECT ?': 5} 1 True\n", done.stderr


def slow_statement(database: Database) -> str:
    if "postgres" in database.url:
        return "SELECT pg_sleep(30)"
    return (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000000) SELECT count(*) FROM n"
    )


def test_cancelled(async_database: Database, seen: Seen) -> None:
    """A statement whose task is cancelled counts once, as an error, with the time it had."""

    async def work() -> None:
        engine = async_database.async_engine()
        async with engine.connect() as connection:
            with seen.request("GET /cancelled"):
                task = asyncio.create_task(_execute(connection, slow_statement(async_database)))
                while not _executing(task):  # noqa: ASYNC110 - nothing tells when the driver waits
                    await asyncio.sleep(0.001)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        await engine.dispose()

    asyncio.run(work())
    frame = seen.frame()
    (statement,) = [s for s in frame.statements if s.errors]
    assert (statement.latency.count, statement.routes) == (1, {"GET /cancelled": 1})
    assert statement.latency.total > 0


async def _execute(connection: Any, statement: str) -> None:
    await connection.execute(text(statement))


def _executing(task: asyncio.Task[None]) -> bool:
    """Whether the task waits for the driver."""
    chain = task.get_coro()
    while (inner := getattr(chain, "cr_await", None)) is not None:
        chain = inner
        if getattr(getattr(chain, "cr_code", None), "co_name", "") == "greenlet_spawn":
            return chain.cr_await is not None
    return False


def test_thrown_away(asyncpg_database: Database, seen: Seen) -> None:
    """A statement whose coroutine is closed half-way counts once, as an error, and leaves nothing."""

    async def work() -> None:
        engine = asyncpg_database.async_engine()
        connection = await engine.connect()
        with seen.request():
            coroutine = _execute(connection, slow_statement(asyncpg_database))
            coroutine.send(None)
            with pytest.raises(RuntimeError, match="ignored GeneratorExit"):  # SQLAlchemy still hangs up
                coroutine.close()
        await engine.dispose()

    asyncio.run(work())
    gc.collect()
    assert [(s.latency.count, s.errors) for s in seen.frame().statements if s.errors] == [(1, 1)]


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


def test_attaching_again(sync_database: Database, seen: Seen) -> None:
    """Probes that attach again and again count once; detached, they leave SQLAlchemy as it was."""
    for _ in range(3):
        assert seen.sql.attach() == "on"
    with seen.request():
        sync_database.run(select_book)
    assert counts(seen)[BOOK_BY_ID] == 1
    seen.sql.detach()
    seen.pool.detach()
    with seen.request():
        sync_database.run(select_book)
    assert counts(seen) == {}
    assert DefaultDialect.do_execute.__module__ == "sqlalchemy.engine.default"
