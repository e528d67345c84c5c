"""A connection of the agent's own: as the engine makes its own, for reading alone, and seen by nobody."""

from __future__ import annotations

import asyncio
import gc
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from perftui_agent.engines import Engines
from perftui_agent.inspect.database import own_connection
from perftui_agent.inspect.database.own_connection import OwnConnections
from perftui_agent.inspect.database.read_only import Ask, AskError, CannotAskError, Row
from tests.support.databases import Database, Seen, seeing
from tests.support.servers import wait_until

T = TypeVar("T")

DRIVERS = ["pysqlite", "aiosqlite", "psycopg", "psycopg_async", "psycopg2", "asyncpg"]

OF_POSTGRES = DRIVERS[2:]


@pytest.fixture
def seen() -> Iterator[Seen]:
    with seeing() as it:
        yield it


@pytest.fixture(params=DRIVERS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database with five authors, by every driver in turn."""
    return filled(request, request.param, tmp_path)


@pytest.fixture(params=OF_POSTGRES)
def postgres_database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return filled(request, request.param, tmp_path)


def filled(request: pytest.FixtureRequest, driver: str, tmp_path: Path) -> Database:
    if "sqlite" in driver:
        database = Database(f"sqlite+{driver}:///{tmp_path}/shop.db")
    else:
        url: str = request.getfixturevalue("postgres_url")
        database = Database(url.replace("asyncpg", driver))
    database.fill()
    return database


def engine_of(database: Database, **options: Any) -> Engine:
    """Return a new engine; of an async one what SQLAlchemy has behind it."""
    if database.is_async:
        return create_async_engine(database.url, **options).sync_engine
    return create_engine(database.url, **options)


def asked(engine: Engine, work: Callable[[Ask], T], seconds: float = 20.0) -> T:
    return asyncio.run(OwnConnections(Engines()).over(engine, work, seconds=seconds, why="a test"))


def authors(ask: Ask) -> list[Row]:
    return ask(f"SELECT id, name FROM authors WHERE id <= {ask.mark(1)} ORDER BY id", (2,))


def test_rows_are_tuples(database: Database) -> None:
    """Every driver is asked the same way, and gives rows as tuples."""
    engine = engine_of(database)
    assert asked(engine, authors) == [(1, "author 1"), (2, "author 2")]
    assert asked(engine, lambda ask: ask.kind) == engine.dialect.name


def test_it_can_only_read(database: Database) -> None:
    """No statement writes anything, not in autocommit either; and the next one is answered."""

    def work(ask: Ask) -> list[Row]:
        for writing in ("DELETE FROM authors", "CREATE TABLE ours (id integer)"):
            with pytest.raises(AskError, match=r"read.?only") as failed:
                ask(writing)
            assert failed.value.code == ("" if ask.kind == "sqlite" else "25006")
        return ask("SELECT count(*) FROM authors")

    for options in ({}, {"isolation_level": "AUTOCOMMIT"}):
        assert asked(engine_of(database, **options), work) == [(5,)]


def test_autocommit_by_the_apps_own_listener(postgres_database: Database) -> None:
    """A listener that puts each connection in autocommit is honoured, and yet nothing is written."""
    engine = engine_of(postgres_database)

    @event.listens_for(engine, "connect")
    def autocommit(connection: Any, record: Any) -> None:
        connection.autocommit = True

    def work(ask: Ask) -> str:
        with pytest.raises(AskError) as failed:
            ask("DELETE FROM authors")
        return failed.value.code

    assert asked(engine, work) == "25006"


def test_nothing_stays_set_in_the_session(postgres_database: Database) -> None:
    """All that is set is the transaction's own: behind a pooler the session is somebody else's next."""

    def work(ask: Ask) -> tuple[Row, Row]:
        shown = (
            "SELECT current_setting('transaction_read_only'), current_setting('application_name'),"
            " current_setting('statement_timeout') = '0', current_setting('lock_timeout') = '0'"
        )
        within = ask(shown)[0]
        connection = ask._connection
        connection.rollback()
        cursor = connection.cursor()
        cursor.execute(shown)
        (after,) = cursor.fetchall()
        return within, tuple(after)

    within, after = asked(engine_of(postgres_database), work)
    assert within == ("on", "perftui", False, False)
    assert after[0] == "off"
    assert after[1] != "perftui"
    assert after[2:] == (True, True)


def test_the_probes_see_nothing_of_it(database: Database, seen: Seen) -> None:
    """No statement, step, checkout or connection of ours is counted among the app's."""
    engine = engine_of(database, isolation_level="SERIALIZABLE")
    asked(engine, authors)
    frame = seen.frame()
    assert (frame.statements, frame.transactions, frame.pools) == ([], [], [])
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_it_is_known_by_the_name_of_its_pool(tmp_path: Path, seen: Seen) -> None:
    """The pools' probe gives engines out by the names that stand in frames, and keeps none alive."""
    database = Database(f"sqlite:///{tmp_path}/shop.db")
    engine = database.sync_engine()
    with engine.execution_options(logging_token="of its own").connect():
        pass
    assert seen.engines.get("shop.db") is engine
    engine.dispose()
    del engine
    gc.collect()
    assert seen.engines.get("shop.db") is None
    with pytest.raises(CannotAskError, match=r"no engine shop\.db any more"):
        asyncio.run(OwnConnections(seen.engines).over("shop.db", authors, seconds=1, why="a test"))


def test_listeners_and_creators_are_honoured(database: Database) -> None:
    """Arguments that a listener changes, what it does with a connection and its end are as for the app's."""
    engine = engine_of(database)
    heard: list[str] = []

    @event.listens_for(engine, "do_connect")
    def arguments(dialect: Any, record: Any, args: list[Any], options: dict[str, Any]) -> None:
        heard.append("do_connect")

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.cursor().execute("SELECT 1")
        record.info["ours"] = True
        heard.append("connect")

    @event.listens_for(engine, "close")
    def closed(connection: Any, record: Any) -> None:
        heard.append(f"close {record.info['ours']}")

    assert len(asked(engine, authors)) == 2
    assert heard == ["do_connect", "connect", "close True"]


def test_a_creator(tmp_path: Path) -> None:
    """A `creator`, sync or async, makes the connection; rows of a kind of its own are tuples all the same."""
    Database(f"sqlite:///{tmp_path}/shop.db").fill()
    made: list[int] = []

    def create() -> sqlite3.Connection:
        made.append(threading.get_ident())
        connection = sqlite3.connect(tmp_path / "shop.db")
        connection.row_factory = lambda cursor, row: {
            name: value for (name, *_), value in zip(cursor.description, row, strict=True)
        }
        return connection

    engine = create_engine("sqlite+pysqlite:///of-the-creator", creator=create, poolclass=NullPool)
    engine.url = engine.url.set(database=str(tmp_path / "shop.db"))
    assert asked(engine, authors) == [(1, "author 1"), (2, "author 2")]
    assert made
    assert made[0] != threading.get_ident()


def test_an_async_creator_is_the_apps_loops_alone() -> None:
    """It is not called on a loop of ours: what it waits with would be bound to that, and fail the app."""
    made: list[str] = []

    async def create() -> Any:
        made.append(threading.current_thread().name)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=create)
    with pytest.raises(CannotAskError, match="async_creator"):
        asked(engine.sync_engine, authors)
    assert made == []


def test_a_connection_that_the_app_shares_is_left_alone() -> None:
    """Where a creator gives the one connection there is, it is neither rolled back nor closed."""
    made: list[str] = []
    engine = create_engine(
        "postgresql+psycopg://shop@nowhere/shop", creator=lambda: made.append("ours"), poolclass=StaticPool
    )
    with pytest.raises(CannotAskError, match="one connection"):
        asked(engine, authors)
    assert made == []


def test_a_statement_that_takes_too_long(database: Database) -> None:
    """It ends when its time is over, at the server: and says so."""
    slow = {
        "postgresql": "SELECT pg_sleep(30)",
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    }
    with pytest.raises((AskError, CannotAskError), match=r"timeout|interrupted|no answer"):
        asked(engine_of(database), lambda ask: ask(slow[ask.kind]), seconds=0.5)
    assert asked(engine_of(database), authors), "the next one is answered"


def test_a_table_that_is_locked(postgres_database: Database) -> None:
    """A catalog or table that somebody else has locked is not waited for: we stand in nobody's way."""
    other = create_engine(postgres_database.url.replace(f"+{postgres_database.driver}", "+psycopg"))
    with other.connect() as holder:
        holder.exec_driver_sql("LOCK TABLE authors IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(AskError) as failed:
            asked(engine_of(postgres_database), authors, seconds=30)
    other.dispose()
    assert failed.value.code == "55P03"


def test_one_at_a_time(database: Database) -> None:
    """While one is open no other is opened; when it is closed, the next is."""
    engine = engine_of(database)
    connections = OwnConnections(Engines())
    begun, go_on = threading.Event(), threading.Event()

    def holding(ask: Ask) -> None:
        begun.set()
        go_on.wait(10)

    async def both() -> None:
        first = asyncio.create_task(connections.over(engine, holding, seconds=10, why="a test"))
        await asyncio.to_thread(begun.wait, 10)
        with pytest.raises(CannotAskError, match="is open still"):
            await connections.over(engine, authors, seconds=1, why="a test")
        go_on.set()
        await first
        assert len(await connections.over(engine, authors, seconds=5, why="a test")) == 2

    asyncio.run(both())


def test_one_right_after_the_other(database: Database) -> None:
    """Who has an answer may ask again at once: the connection before is closed by then."""
    engine = engine_of(database)
    connections = OwnConnections(Engines())

    async def several() -> None:
        for _ in range(20):
            assert len(await connections.over(engine, authors, seconds=20, why="a test")) == 2

    asyncio.run(several())


def test_a_database_that_never_answers() -> None:
    """A connection that can't be made in time is given up, and no other is piled on it."""
    go_on = threading.Event()

    def create() -> Any:
        go_on.wait(30)
        raise OSError("no route to host")

    engine = create_engine("postgresql+psycopg://shop@nowhere/shop", creator=create)
    connections = OwnConnections(Engines())

    async def ask_twice() -> None:
        with pytest.raises(CannotAskError, match=r"gave no answer in 0\.1 s"):
            await connections.over(engine, authors, seconds=0.1, why="a test")
        with pytest.raises(CannotAskError, match="is open still"):
            await connections.over(engine, authors, seconds=0.1, why="a test")

    asyncio.run(ask_twice())
    go_on.set()
    wait_until(lambda: not alive(), "the thread has ended", lambda: str(threading.enumerate()))


def test_who_asks_is_on_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each connection is a line in the audit trail: to what, for whom, how many statements, how long."""
    database = Database(f"sqlite:///{tmp_path}/shop.db")
    database.fill()
    with caplog.at_level(logging.INFO, "perftui.audit"):
        asked(database.sync_engine(), authors)
        wait_until(lambda: bool(caplog.messages), "a line", lambda: caplog.text)
    assert caplog.messages[0].startswith("a connection of perftui's own to sqlite for a test: done (")
    assert "statements, " in caplog.messages[0]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("sqlite://", {}),
        ("sqlite:///:memory:", {"poolclass": StaticPool}),
        ("sqlite:///file:shop?mode=memory&cache=shared&uri=true", {"poolclass": StaticPool}),
    ],
)
def test_a_database_in_memory(url: str, options: dict[str, Any]) -> None:
    """Nobody else can see what lives in a connection's own memory: it is refused in a sentence."""
    with pytest.raises(CannotAskError, match="lives in the memory"):
        asked(create_engine(url, **options), authors)


def test_a_creator_of_a_database_in_memory(tmp_path: Path) -> None:
    """It is refused as well where only the connection tells."""
    engine = create_engine(f"sqlite:///{tmp_path}", creator=lambda: sqlite3.connect(":memory:"))
    with pytest.raises(CannotAskError, match="lives in the memory"):
        asked(engine, authors)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """No empty file is left where a database was."""
    engine = create_engine(f"sqlite:///{tmp_path}/gone.db")
    with pytest.raises(CannotAskError, match=r"no file gone\.db any more"):
        asked(engine, authors)
    assert not (tmp_path / "gone.db").exists()


def test_databases_of_other_kinds() -> None:
    """What perftui can't ask it names."""
    engine = create_engine("mysql+pymysql://shop@nowhere/shop", module=sqlite3)
    with pytest.raises(CannotAskError, match="this database is of the kind mysql"):
        asked(engine, authors)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """The driver's own words say why there is no connection."""
    for driver in OF_POSTGRES:
        engine = engine_of(Database(f"postgresql+{driver}://shop@/postgres?host={tmp_path}"))
        with pytest.raises(CannotAskError, match=r"as the app makes them: .*(No such|refused)"):
            asked(engine, authors)


def test_what_an_app_says_itself_of_a_failure_stays_in_it(tmp_path: Path) -> None:
    """A token provider may quote its token, a driver the address that it can't read: the kind is told."""

    def create() -> sqlite3.Connection:
        raise ValueError("no token for s3cret")

    Database(f"sqlite:///{tmp_path}/shop.db").fill()
    engine = create_engine("sqlite+pysqlite:///shop", creator=create, poolclass=NullPool)
    engine.url = engine.url.set(database=str(tmp_path / "shop.db"))
    with pytest.raises(CannotAskError) as refused:
        asked(engine, authors)
    assert str(refused.value) == "no connection as the app makes them: ValueError"


def test_no_connection_is_left(postgres_database: Database) -> None:
    """Afterwards the server has no session of ours."""
    engine = engine_of(postgres_database)
    (pid,) = asked(engine, lambda ask: ask("SELECT pg_backend_pid()"))[0]

    def sessions() -> int:
        count: int = asked(
            engine, lambda ask: ask(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {int(pid)}")
        )[0][0]
        return count

    wait_until(lambda: sessions() == 0, "its end", lambda: str(pid))
    wait_until(lambda: not alive(), "the end of the last thread", lambda: str(threading.enumerate()))


def alive() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == own_connection.THREAD]


def test_it_is_closed_whatever_ends_the_closing(tmp_path: Path) -> None:
    """A time that is over in the midst of it, or a listener that fails, leaves no connection open."""
    database = Database(f"sqlite:///{tmp_path}/shop.db")
    database.fill()
    made: list[sqlite3.Connection] = []

    def creator() -> sqlite3.Connection:
        made.append(sqlite3.connect(f"{tmp_path}/shop.db", check_same_thread=False))
        return made[-1]

    engine = create_engine("sqlite:///" + f"{tmp_path}/shop.db", creator=creator)

    @event.listens_for(engine, "close")
    def cancelled(connection: Any, record: Any) -> None:
        raise asyncio.CancelledError

    assert len(asked(engine, authors)) == 2
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        made[-1].execute("SELECT 1")


def test_who_watches_gives_way(tmp_path: Path) -> None:
    """A connection that is open to look again and again is closed for whoever has something to ask."""
    database = Database(f"sqlite:///{tmp_path}/shop.db")
    database.fill()
    engine = engine_of(database)
    nudge, begun = threading.Event(), threading.Event()

    def watch(ask: Ask) -> bool:
        begun.set()
        return nudge.wait(30)

    async def both() -> tuple[bool, list[Row]]:
        own = OwnConnections(Engines())
        watching = asyncio.create_task(own.over(engine, watch, seconds=40, why="a watch", gives_way=nudge))
        await asyncio.to_thread(begun.wait, 30)
        with pytest.raises(CannotAskError, match="open still") as refused:
            await own.over(engine, watch, seconds=5, why="another watch", gives_way=threading.Event())
        assert refused.value.in_use
        rows = await own.over(engine, authors, seconds=5, why="a person")
        return await watching, rows

    assert asyncio.run(both()) == (True, [(1, "author 1"), (2, "author 2")])


def test_at_rest_it_holds_nothing(postgres_database: Database) -> None:
    """Between two statements it may be in no transaction, and has the same bounds in the next one."""

    def work(ask: Ask) -> list[Row]:
        ask("SELECT count(*) FROM authors")
        ask.rest()
        ask.rest()
        return ask(
            "SELECT current_setting('transaction_read_only'), current_setting('application_name'),"
            " (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'authors'::regclass)"
        )

    assert asked(engine_of(postgres_database), work) == [("on", "perftui", 0)]
