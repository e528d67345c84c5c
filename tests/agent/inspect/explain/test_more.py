"""Further forms of statements, on both databases: what each wants is found through joins, ORs and orders."""

from __future__ import annotations

import pytest

from perftui_agent.inspect.database.read_only import AskSqlite
from perftui_agent.inspect.explain.postgresql import explain_postgresql
from perftui_agent.inspect.explain.sqlite import explain_sqlite
from tests.agent.inspect.explain.conftest import asking

WANTS: dict[str, tuple[str, tuple[object, ...], set[tuple[str, tuple[str, ...]]]]] = {
    "each side of an OR": (
        "SELECT * FROM orders WHERE reference = ? OR customer_id = ?",
        ("ref-9", 77),
        {("orders", ("reference",)), ("orders", ("customer_id",))},
    ),
    "the greatest value": (
        "SELECT max(created_on) FROM orders",
        (),
        {("orders", ("created_on",))},
    ),
    "the greatest value of one": (
        "SELECT max(created_on) FROM orders WHERE customer_id = ?",
        (77,),
        {("orders", ("customer_id",))},
    ),
    "one join after the other": (
        (
            "SELECT e.id FROM customers c JOIN orders o ON o.customer_id = c.id"
            " JOIN events e ON e.order_id = o.id WHERE c.id = ?"
        ),
        (77,),
        {("orders", ("customer_id",)), ("events", ("order_id",))},
    ),
    "an order in two ways": (
        "SELECT id FROM orders ORDER BY created_on DESC, customer_id ASC LIMIT ?",
        (5,),
        {("orders", ("created_on", "customer_id"))},
    ),
    "a common table": (
        "WITH recent AS (SELECT * FROM orders WHERE reference = ?) SELECT * FROM recent",
        ("ref-4",),
        {("orders", ("reference",))},
    ),
    "an outer join": (
        (
            "SELECT c.id, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id"
            " WHERE c.email = ? GROUP BY c.id"
        ),
        ("customer-5@example.org",),
        {("orders", ("customer_id",))},
    ),
    "the greatest value for each": (
        (
            "SELECT c.id, (SELECT max(o.total) FROM orders o WHERE o.customer_id = c.id)"
            " FROM customers c WHERE c.email = ?"
        ),
        ("customer-5@example.org",),
        {("orders", ("customer_id",))},
    ),
    "the greatest value, of which there is an index": ("SELECT max(total) FROM orders", (), set()),
    "what is not": ("SELECT * FROM orders WHERE status <> ?", ("paid",), set()),
    "all of it, sorted": ("SELECT * FROM orders ORDER BY created_on", (), set()),
    "all of it, counted": ("SELECT count(*) FROM orders", (), set()),
}

EVERY = pytest.mark.parametrize("name", list(WANTS))


@EVERY
def test_in_sqlite(name: str, ask_sqlite: AskSqlite) -> None:
    """As SQLite's planner says."""
    sql, values, wanted = WANTS[name]
    assert wanted == {(each.table, each.columns) for each in explain_sqlite(ask_sqlite, sql, values).wanted}


@EVERY
def test_in_postgresql(name: str, postgres_host: str) -> None:
    """As PostgreSQL's costs say."""
    sql, values, wanted = WANTS[name]
    with asking(postgres_host, "analysed") as ask:
        explained = explain_postgresql(ask, sql.replace("?", "%s"), values)
    assert wanted == {(each.table, each.columns) for each in explained.wanted}


@pytest.mark.parametrize(
    "sql", ["DELETE FROM events WHERE actor = ?", "UPDATE events SET at = 0 WHERE actor = ?"]
)
def test_promise_18_what_is_explained_is_not_done(
    sql: str, ask_sqlite: AskSqlite, postgres_host: str
) -> None:
    """Not a row is another afterwards: it is planned, and only rows of a sample are read."""
    digest = "SELECT count(*), sum(at) FROM events"
    before = ask_sqlite(digest)
    assert explain_sqlite(ask_sqlite, sql, ("actor-9",)).wanted
    assert ask_sqlite(digest) == before
    with asking(postgres_host, "analysed") as ask:
        assert explain_postgresql(ask, sql.replace("?", "%s"), ("actor-9",)).wanted
    with asking(postgres_host, "analysed") as ask:
        assert ask(digest) == before


def test_what_a_condition_calls_is_not_tried_on_rows(postgres_host: str) -> None:
    """A function may do or wait for anything: how many rows it keeps is not looked at."""
    sql = "SELECT * FROM orders WHERE pg_sleep(total) IS NOT NULL AND status = %s"
    with asking(postgres_host, "analysed") as ask:
        explained = explain_postgresql(ask, sql, ("paid",))
    assert explained.wanted == []
