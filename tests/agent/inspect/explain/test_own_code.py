"""What a sample must not run, hold or repeat: the app's own code in a PostgreSQL, locks, a sibling's work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from time import monotonic
from types import SimpleNamespace

import psycopg
import pytest

from perftui_agent.inspect.database.read_only import AskPostgres
from perftui_agent.inspect.explain.facts import Explained
from perftui_agent.inspect.explain.postgresql import explain_postgresql
from tests.agent.inspect.explain.conftest import SECONDS, connected

ROLE = "guarded"

OWN = """
CREATE TABLE calls (n int);
CREATE FUNCTION alike(text, text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS
  $$ BEGIN PERFORM pg_notify('ran', 'alike'); RETURN $1 = $2; END $$;
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = alike);
CREATE TYPE money_of AS (amount int);
CREATE FUNCTION lower(money_of) RETURNS text LANGUAGE plpgsql VOLATILE AS
  $$ BEGIN PERFORM pg_notify('ran', 'lower'); RETURN $1.amount::text; END $$;
CREATE FUNCTION policy_of(text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS
  $$ BEGIN PERFORM pg_notify('ran', 'policy'); RETURN true; END $$;
CREATE TABLE own_things AS SELECT n AS id, 'name ' || n AS name, row(n)::money_of AS price
  FROM generate_series(1, 20000) AS n;
CREATE TABLE guarded_things AS SELECT id, name FROM own_things;
ALTER TABLE guarded_things ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON guarded_things USING (policy_of(name));
CREATE ROLE guarded LOGIN;
GRANT SELECT ON own_things, guarded_things TO guarded;
"""


@pytest.fixture(scope="module")
def own_code(postgres_host: str) -> str:
    """A database with operators, functions, types and policies of the app's own; each tells when it runs."""
    with connected(postgres_host) as connection:
        connection.execute("CREATE DATABASE own_code")
    with connected(postgres_host, "own_code") as connection:
        connection.execute(OWN.encode())
        connection.execute("ANALYZE")
    return postgres_host


@contextlib.contextmanager
def heard(host: str) -> Iterator[list[str]]:
    """Hear which of the app's own functions have run meanwhile."""
    with connected(host, "own_code") as connection:
        connection.execute("LISTEN ran")
        ran: list[str] = []
        yield ran
        connection.execute("SELECT 1")
        ran.extend(each.payload for each in connection.notifies(timeout=0.1))


def explained(host: str, sql: str, user: str = "shop") -> Explained:
    with psycopg.connect(f"host={host} user={user} dbname=own_code") as connection:
        from_now = AskPostgres(connection, DIALECT, monotonic() + SECONDS)
        return explain_postgresql(from_now, sql, None)


DIALECT = SimpleNamespace(paramstyle="pyformat")


@pytest.mark.parametrize(
    "condition",
    ["name === 'name 7'", "lower(price) = '7'", "price = row(7)::money_of"],
    ids=["operator", "function", "type"],
)
def test_the_apps_own_code_is_not_run(condition: str, own_code: str) -> None:
    """Neither by an operator nor by a function that is called as a harmless one; and that is said."""
    with heard(own_code) as ran:
        told = explained(own_code, f"SELECT id FROM own_things WHERE {condition}")
    assert ran == []
    assert told.wanted == []
    assert any("of the app's own" in each.sentence for each in told.verdicts) or condition.startswith("lower")


def test_policies_are_not_run(own_code: str) -> None:
    """A table is not sampled by whom its row-level security holds for, and that is said."""
    sql = "SELECT id FROM guarded_things WHERE name = 'name 7'"
    with heard(own_code) as ran:
        told = explained(own_code, sql, user=ROLE)
    assert ran == []
    assert told.wanted == []
    assert any("row-level security" in each.sentence for each in told.verdicts)
    assert [each.columns for each in explained(own_code, sql).wanted] == [("name",)]


def test_what_postgresql_brings_is_tried(own_code: str) -> None:
    """The same table by an operator of PostgreSQL's: the index is found, whatever else the app has."""
    told = explained(own_code, "SELECT id FROM own_things WHERE name = 'name 7'")
    assert [each.columns for each in told.wanted] == [("name",)]


def test_no_lock_is_held_from_one_question_to_the_next(postgres_host: str) -> None:
    """Who wants a table for himself waits for one query of the sample, not for the whole explanation."""
    held: list[int] = []

    class Watched(AskPostgres):
        def rest(self) -> None:
            super().rest()
            with connected(postgres_host, "analysed") as connection:
                found = connection.execute(
                    "SELECT count(*) FROM pg_locks"
                    " WHERE relation = 'orders'::regclass AND pid <> pg_backend_pid()"
                ).fetchone()
            assert found is not None
            held.append(found[0])

    with psycopg.connect(f"host={postgres_host} user=shop dbname=analysed") as connection:
        explain_postgresql(
            Watched(connection, DIALECT, monotonic() + SECONDS),
            "SELECT * FROM orders WHERE reference = 'r'",
            None,
        )
    assert len(held) >= 3
    assert set(held) == {0}
