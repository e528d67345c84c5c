"""What PostgreSQL says of itself, asked of a real one: queues, idle transactions, rights, costs, tables."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any, TypeAlias

import psycopg
import pytest
from sqlalchemy import create_engine

from perftui_agent.engines import Engines
from perftui_agent.inspect.database.look import Databases
from perftui_agent.inspect.database.own_connection import OwnConnections
from perftui_agent.probes.sql.databases import database_of
from perftui_agent.window.shapes import ShapeTable
from perftui_agent.wire.database import DatabaseLook, DatabaseSession
from tests.support.servers import wait_until

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class Server:
    """A server with sessions that a test steers."""

    def __init__(self, url: str) -> None:
        self._directory = url.partition("host=")[2]

    def session(
        self, user: str = "shop", application: str = "", dbname: str = "postgres"
    ) -> psycopg.Connection:
        """Return a session of its own, outside of a transaction."""
        return psycopg.connect(
            f"host={self._directory} user={user} dbname={dbname} application_name='{application}'"
        )

    def run(self, *statements: str) -> None:
        """Run statements, each for itself."""
        with self.session() as connection:
            connection.autocommit = True
            for statement in statements:
                connection.execute(statement.encode())

    def look(self, user: str = "shop", *, brief: bool = False, tables: tuple[str, ...] = ()) -> DatabaseLook:
        """Return what the agent sees, through an engine of a user."""
        engine = create_engine(f"postgresql+psycopg://{user}@/postgres?host={self._directory}")
        engines = Engines()
        engines.add("postgres", engine)
        databases = Databases(
            engines, OwnConnections(engines), list, ShapeTable().told, lambda _: tables, database_of
        )
        look = asyncio.run(databases.look("postgres", why="a test", brief=brief))
        engine.dispose()
        assert not look.refused
        return look

    @contextlib.contextmanager
    def waiting(self, connection: Connection, statement: str) -> Iterator[int]:
        """Have a session wait within a statement; yield its pid."""
        pid = connection.info.backend_pid

        def run() -> None:
            with contextlib.suppress(psycopg.Error):
                connection.execute(statement.encode())

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: any(each.blocked == pid for each in self.look(brief=True).locks), "it waits", str)
        try:
            yield pid
        finally:
            connection.cancel_safe()
            thread.join(10)


@pytest.fixture
def server(postgres_url: str) -> Server:
    server = Server(postgres_url)
    server.run(
        "DROP TABLE IF EXISTS goods",
        "CREATE TABLE goods (id integer PRIMARY KEY, stock integer, name text)",
        "INSERT INTO goods SELECT n, 10, 'goods' FROM generate_series(1, 1000) n",
        "DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "GRANT ALL ON goods TO plain",
        "ANALYZE goods",
    )
    return server


def by_pid(look: DatabaseLook) -> dict[int, DatabaseSession]:
    return {each.pid: each for each in look.sessions}


def test_a_queue_three_deep(server: Server) -> None:
    """Who waits for whom, for how long and for what; the one that holds it idles."""
    with server.session() as first, server.session() as second, server.session() as third:
        first.execute("UPDATE goods SET stock = 1, name = 'secret' WHERE id = 5")
        with (
            server.waiting(second, "UPDATE goods SET stock = 2 WHERE id = 5") as waits,
            server.waiting(third, "DELETE FROM goods WHERE id = 5") as last,
        ):
            look = server.look()
        root = first.info.backend_pid
        first.rollback()
    locks = {each.blocked: each for each in look.locks}
    assert locks[waits].by == [root]
    assert waits in locks[last].by
    assert {each.on for each in look.locks} == {"a row of goods"}
    assert all(each.waits_ns and each.waits_ns > 0 for each in look.locks)
    sessions = by_pid(look)
    assert sessions[root].state == "idle in transaction"
    assert sessions[root].statement == "UPDATE goods SET stock = ?, name = ? WHERE id = ?"
    assert (sessions[waits].state, sessions[waits].waits_for) == ("active", "Lock: transactionid")
    assert [each.pid for each in look.sessions][:1] != [], "those that matter come first"
    assert {each.pid for each in look.sessions[:3]} == {root, waits, last}


def test_locks_of_tables_and_advisory_locks(server: Server) -> None:
    """What is waited for has its name."""
    with server.session() as holder, server.session() as other:
        holder.execute("LOCK TABLE goods IN ACCESS EXCLUSIVE MODE")
        with server.waiting(other, "SELECT count(*) FROM goods") as pid:
            look = server.look(tables=("goods",))
        holder.rollback()
    (lock,) = [each for each in look.locks if each.blocked == pid]
    assert (lock.on, lock.mode) == ("goods", "AccessShareLock")
    assert [each.table for each in look.tables] == ["goods"], "its size is the catalog's: it is locked"
    with server.session() as holder, server.session() as other:
        holder.execute("SELECT pg_advisory_lock(7)")
        with server.waiting(other, "SELECT pg_advisory_lock(7)") as pid:
            look = server.look(brief=True)
    (lock,) = [each for each in look.locks if each.blocked == pid]
    assert lock.on == "an advisory lock"


def test_a_prepared_transaction(server: Server) -> None:
    """It holds its locks without a session: that is said as well."""
    with server.session() as holder:
        holder.autocommit = True
        holder.execute("BEGIN; UPDATE goods SET stock = 3 WHERE id = 9; PREPARE TRANSACTION 'ours'")
    try:
        with server.session() as other, server.waiting(other, "DELETE FROM goods WHERE id = 9") as pid:
            look = server.look(brief=True)
    finally:
        server.run("ROLLBACK PREPARED 'ours'")
    assert [each.by for each in look.locks if each.blocked == pid] == [[0]]


def test_a_role_without_rights(server: Server) -> None:
    """What other users do is left out, and the right that it takes is named; who waits for whom is not."""
    with server.session("plain") as own, server.session("shop", application="billing") as other:
        other.execute("UPDATE goods SET stock = 4 WHERE id = 3")
        with server.waiting(own, "UPDATE goods SET stock = 5 WHERE id = 3") as pid:
            look = server.look("plain")
        holder = other.info.backend_pid
        other.rollback()
    sessions = by_pid(look)
    (lock,) = look.locks
    assert (lock.blocked, lock.by, lock.on) == (pid, [holder], "a row of goods")
    assert sessions[pid].statement == "UPDATE goods SET stock = ? WHERE id = ?"
    assert sessions[holder].hidden
    assert (sessions[holder].statement, sessions[holder].state) == ("", "")
    assert sessions[holder].application == "billing"
    (left_out, *_) = look.left_out
    assert "pg_read_all_stats" in left_out
    assert "GRANT pg_monitor TO plain" in left_out


def test_statements_by_their_cost(server: Server) -> None:
    """Where the extension is there; else it is named. Texts are shapes, and the agent's own left out."""
    server.run("DROP EXTENSION IF EXISTS pg_stat_statements")
    assert any("needs the extension pg_stat_statements" in each for each in server.look().left_out)
    server.run("CREATE EXTENSION pg_stat_statements", "SELECT pg_stat_statements_reset()")
    try:
        server.run(*["SELECT name FROM goods WHERE stock > 3 AND name <> 'secret'"] * 4)
        look = server.look()
        unseen = server.look("plain")
    finally:
        server.run("DROP EXTENSION pg_stat_statements")
    costs = {each.statement: each for each in look.statements}
    ours = costs["SELECT name FROM goods WHERE stock > ? AND name <> ?"]
    assert (ours.calls, ours.rows) == (4, 4000)
    assert ours.total_ns > ours.mean_ns > 0
    assert ShapeTable().told("SELECT name FROM goods WHERE stock > 9 AND name <> ''", "postgresql") == (
        ours.fingerprint,
        ours.statement,
    )
    assert "secret" not in str(look)
    assert ours.fingerprint not in {each.fingerprint for each in unseen.statements}
    assert not [each for each in look.statements if "pg_stat_activity" in each.statement], (
        "nor what the agent asks"
    )
    assert any("by their cost" in each and "pg_read_all_stats" in each for each in unseen.left_out)


def test_tables_connections_and_the_cache(server: Server) -> None:
    """Sizes, scans and dead rows of the tables that are asked for; connections by who has them."""
    server.run("UPDATE goods SET stock = stock + 1", *["SELECT count(*) FROM goods WHERE stock = 0"] * 3)
    with server.session(application="billing"), server.session(application="billing"):
        wait_until(lambda: server.look(tables=("goods",)).tables[0].dead_rows >= 1000, "statistics", str)
        look = server.look(tables=("goods", "nowhere"))
    (goods,) = look.tables
    assert goods.table == "goods"
    assert goods.rows >= 1000
    assert goods.bytes is not None
    assert goods.bytes >= 40_000
    assert goods.index_bytes is not None
    assert goods.index_bytes >= 16_384
    assert goods.sequential_scans >= 3
    assert goods.rows_scanned >= 3000
    assert look.applications["billing"] == 2
    assert look.connections_used == sum(look.applications.values())
    assert (look.connections_max, look.connections_reserved) == (100, 3)
    assert look.cache_hit is not None
    assert 0.5 < look.cache_hit <= 1.0


def test_a_brief_look_tells_of_trouble_alone(server: Server) -> None:
    """Sessions that idle or run are many: told is who waits, blocks or idles in a transaction."""
    with (
        server.session(application="quiet"),
        server.session(application="begun") as begun,
        server.session() as third,
    ):
        begun.execute("SELECT 1")
        third.autocommit = True
        third.execute("SELECT 1")
        look = server.look(brief=True)
    assert [each.application for each in look.sessions] == ["begun"]
    assert (look.statements, look.tables) == ([], [])


def test_values_never_leave(server: Server) -> None:
    """A statement that the server cut in the middle of a text is told up to where it is certain."""
    with server.session() as long:
        long.execute(f"SELECT 1 WHERE 'secret{'x' * 3000}' = 'y'".encode())
        pid, look = long.info.backend_pid, server.look()
    session = by_pid(look)[pid]
    assert session.statement.startswith("SELECT ? WHERE")
    assert "secret" not in str(look)
