"""The shop of `shop.py`, once in SQLite and once in PostgreSQL."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

import psycopg
import pytest

from perftui_agent.inspect.database.read_only import AskPostgres, AskSqlite
from tests.agent.inspect.explain.shop import TABLES, rows
from tests.support.postgres import postgres

SECONDS = 60.0


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the shop's tables."""
    file = tmp_path_factory.mktemp("explain") / "shop.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        for table in TABLES:
            database.execute(table)
        for name, of_it in rows().items():
            database.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(of_it[0]))})", of_it)
        database.commit()
    return file


@pytest.fixture
def ask_sqlite(sqlite_file: Path) -> Iterator[AskSqlite]:
    """What asks it, held to reading."""
    with contextlib.closing(sqlite3.connect(sqlite_file)) as connection:
        yield AskSqlite(connection, SimpleNamespace(paramstyle="qmark"), monotonic() + SECONDS)


@pytest.fixture(scope="session")
def postgres_host() -> Iterator[str]:
    """A server with the shop's tables twice: `postgres`, which was never analysed, and `analysed`."""
    with postgres() as url:
        host = url.partition("host=")[2]
        with connected(host) as connection:
            for table in TABLES:
                connection.execute(table.encode())
            for name, of_it in rows().items():
                with connection.cursor().copy(f"COPY {name} FROM STDIN".encode()) as copy:
                    for row in of_it:
                        copy.write_row(row)
            # The tests say when; a server does it by itself a minute later.
            for name in rows():
                connection.execute(f"ALTER TABLE {name} SET (autovacuum_enabled = false)".encode())
            connection.execute("CREATE DATABASE analysed TEMPLATE postgres")
        with connected(host, "analysed") as connection:
            connection.execute("ANALYZE")
        yield host


def connected(host: str, database: str = "postgres") -> psycopg.Connection:
    """Return a connection of the app's kind."""
    return psycopg.connect(f"host={host} user=shop dbname={database}", autocommit=True)


@contextlib.contextmanager
def asking(host: str, database: str) -> Iterator[AskPostgres]:
    """Ask one of them on a connection that is held to reading."""
    with psycopg.connect(f"host={host} user=shop dbname={database}") as connection:
        yield AskPostgres(connection, SimpleNamespace(paramstyle="pyformat"), monotonic() + SECONDS)
