"""Twenty statements, ten that want an index and ten that come near, on real databases: all told apart."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

import pytest

from perftui_agent.inspect.database.read_only import AskPostgres, AskSqlite
from perftui_agent.inspect.explain.facts import Explained
from perftui_agent.inspect.explain.postgresql import explain_postgresql
from perftui_agent.inspect.explain.sqlite import explain_sqlite
from tests.agent.inspect.explain.conftest import SECONDS, asking, connected
from tests.agent.inspect.explain.shop import NEAR, WANTING, Statement

EVERY = pytest.mark.parametrize("statement", [*WANTING, *NEAR], ids=lambda each: each.name)


def check(statement: Statement, explained: Explained) -> None:
    """See that what is wanted is what the statement wants, and that otherwise it is said why none is."""
    wanted = [(each.table, each.columns) for each in explained.wanted]
    kinds = [each.kind for each in explained.verdicts]
    if statement.wants is not None:
        assert wanted == [statement.wants]
        assert "scan" in kinds
    else:
        assert wanted == []
        assert "scan" not in kinds
        assert not statement.kind or statement.kind in kinds


def in_postgres(statement: Statement, ask: AskPostgres) -> Explained:
    return explain_postgresql(ask, statement.sql.replace("?", "%s"), statement.values)


@EVERY
def test_sqlite(statement: Statement, ask_sqlite: AskSqlite, sqlite_file: Path) -> None:
    """In SQLite; and with the index that is advised, the scan is gone and nothing more is wanted."""
    explained = explain_sqlite(ask_sqlite, statement.sql, statement.values)
    check(statement, explained)
    if not explained.wanted:
        return
    (wanted,) = explained.wanted
    assert wanted.checked
    name = wanted.create.split()[2]
    with contextlib.closing(sqlite3.connect(sqlite_file, isolation_level=None)) as database:
        database.execute(wanted.create)
        try:
            ask = AskSqlite(
                sqlite3.connect(sqlite_file), SimpleNamespace(paramstyle="qmark"), monotonic() + SECONDS
            )
            afterwards = explain_sqlite(ask, statement.sql, statement.values)
        finally:
            database.execute(f"DROP INDEX {name}")
    assert any(name in step for step in afterwards.plan)
    assert not any(step.strip() == f"SCAN {wanted.table}" for step in afterwards.plan)
    assert afterwards.wanted == []


@pytest.mark.parametrize("database", ["postgres", "analysed"])
@EVERY
def test_postgresql(statement: Statement, database: str, postgres_host: str) -> None:
    """In PostgreSQL, whether it knows the values or not; with the index that is advised the scan is gone."""
    with asking(postgres_host, database) as ask:
        explained = in_postgres(statement, ask)
    check(statement, explained)
    guesses = any("was never analysed" in each.sentence for each in explained.verdicts)
    assert guesses == (database == "postgres" and statement.kind != "small-table")
    # While the planner guesses, what it does with an index is a guess as well: that is said.
    for wanted in explained.wanted if database == "analysed" else ():
        name = wanted.create.split()[2]
        with connected(postgres_host, database) as connection:
            connection.execute(wanted.create.encode())
            try:
                with asking(postgres_host, database) as ask:
                    afterwards = in_postgres(statement, ask)
            finally:
                connection.execute(f"DROP INDEX {name}".encode())
        assert any(f"using {name}" in step for step in afterwards.plan)
        assert not any(f"Seq Scan on {wanted.table}" in step for step in afterwards.plan)
        assert afterwards.wanted == []
