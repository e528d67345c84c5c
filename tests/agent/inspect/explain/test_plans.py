"""Plans as they were recorded: what each step says, which values it loses, which columns it is about."""

from __future__ import annotations

import json

import pytest

from perftui_agent.inspect.explain import postgresql_plan, sqlite_plan
from perftui_agent.inspect.explain.explainer import CannotExplainError, one_statement
from perftui_agent.inspect.explain.scopes import scopes_of
from perftui_agent.inspect.explain.sqlite_plan import Access
from perftui_agent.inspect.explain.terms import ColumnName, terms_of
from perftui_agent.inspect.explain.tokens import shaped


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("(email)::text = 'ann@x.org'::text", "(email)::text = ?::text"),
        ("note = 'O''Brien''s' AND n = -12.5e-3", "note = ? AND n = -?"),
        ("note = E'back\\\\slash \\' s3cret'", "note = ?"),
        ("body = $tag$ s3cret $tag$", "body = ?"),
        ("status = ANY ('{open,s3cret}'::text[])", "status = ANY (?::text[])"),
        ("(data ->> 's3cret'::text) IS NOT NULL", "(data ->> ?::text) IS NOT NULL"),
        ("blob = X'00ff' OR id IN (1, 2, $3)", "blob = ? OR id IN (?, ?, ?)"),
        ("note = 'never ended", "note = …"),
        ('"Order"."Id" = 7', '"Order"."Id" = ?'),
    ],
)
def test_no_value_of_a_plan_is_shown(condition: str, expected: str) -> None:
    """Texts, numbers and placeholders of any spelling become `?`; what can't be read ends there."""
    assert expected == shaped(condition)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("((status)::text = 'paid'::text)", [("equal", "status", "text")]),
        ("(o.id = c.order_id)", [("join", "id", "")]),
        ("((at >= 5) AND (at <= 9))", [("range", "at", ""), ("range", "at", "")]),
        ("at BETWEEN ? AND ? AND kind = ?", [("range", "at", ""), ("equal", "kind", "")]),
        ("(name ~~ 'x%'::text)", [("pattern", "name", "")]),
        ("(lower(name) = 'x'::text)", [("wrapped", "", "")]),
        ("(kind = ANY ('{a,b}'::text[]))", [("equal", "kind", "")]),
        ("kind NOT IN (?, ?)", [("negated", "kind", "")]),
        ("(active AND (NOT closed))", [("equal", "active", "boolean"), ("equal", "closed", "boolean")]),
        ("((a = 1) OR (b = 2))", [("or", "", "")]),
        ("5 < total", [("range", "total", "")]),
        ("deleted_at IS NULL", [("equal", "deleted_at", "")]),
        ("(at)::date = '2024-01-01'::date", [("equal", "at", "date")]),
    ],
)
def test_terms_of_a_condition(condition: str, expected: list[tuple[str, str, str]]) -> None:
    """Each is what an index could make of it, by the column it is about and what that is cast to."""
    assert expected == [(term.kind, term.column.column, term.cast) for term in terms_of(condition)]


def test_a_statement_is_read_query_by_query() -> None:
    """Tables by the names they have there, terms of WHERE and ON, order, limit; queries within apart."""
    outer, inner = scopes_of(
        "SELECT o.id FROM orders AS o JOIN customers c ON c.id = o.customer_id AND c.city = ?"
        " WHERE o.id IN (SELECT order_id FROM events WHERE kind = ?) ORDER BY o.at DESC LIMIT ? OFFSET ?"
    )
    assert outer.tables == {"o": "orders", "c": "customers"}
    assert [term.kind for term in outer.terms] == ["join", "equal", "equal"]
    assert [(each.column, each.descending) for each in outer.order] == [(ColumnName("o", "at"), True)]
    assert [token.text for token in outer.limit] == ["?", "?"]
    assert inner.tables == {"events": "events"}
    assert [term.column.column for term in inner.terms] == ["kind"]


RECORDED_SQLITE = [
    (3, 0, 0, "SCAN o"),
    (7, 0, 0, "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)"),
    (12, 0, 0, "CORRELATED SCALAR SUBQUERY 1"),
    (16, 12, 0, "SCAN e USING COVERING INDEX ix_events"),
    (20, 0, 0, "SEARCH p USING AUTOMATIC COVERING INDEX (order_id=? AND kind>?)"),
    (30, 0, 0, "SCAN words VIRTUAL TABLE INDEX 0:s3cret"),
    (44, 0, 0, "USE TEMP B-TREE FOR ORDER BY"),
]


def test_a_plan_of_sqlite() -> None:
    """Which tables are read how, what is read anew for each row of another, and whether rows are sorted."""
    steps = sqlite_plan.steps_of(RECORDED_SQLITE)
    assert sqlite_plan.accesses_of(steps) == [
        Access("scan", "o"),
        Access("search", "c", "INTEGER PRIMARY KEY", ("rowid",), inner=True),
        Access("walk", "e", "ix_events", inner=True),
        Access("temporary", "p", "", ("order_id", "kind"), inner=True),
    ]
    assert sqlite_plan.sorts(steps)
    lines = sqlite_plan.lines_of(steps)
    assert lines[3] == "  SCAN e USING COVERING INDEX ix_events"
    assert "s3cret" not in "".join(lines)


def test_a_plan_of_older_sqlite() -> None:
    """Before 3.36 it said TABLE, and the name with what it is called in the statement."""
    steps = sqlite_plan.steps_of([(1, 0, 0, "SCAN TABLE orders AS o"), (2, 0, 0, "SCAN TABLE items")])
    assert [(each.how, each.name) for each in sqlite_plan.accesses_of(steps)] == [
        ("scan", "o"),
        ("scan", "items"),
    ]


RECORDED_POSTGRESQL = [
    {
        "Plan": {
            "Node Type": "Limit",
            "Plan Rows": 20,
            "Startup Cost": 9000.0,
            "Total Cost": 9002.3,
            "Output": ["o.id"],
            "Plans": [
                {
                    "Node Type": "Gather Merge",
                    "Parent Relationship": "Outer",
                    "Workers Planned": 2,
                    "Plan Rows": 400,
                    "Startup Cost": 9000.0,
                    "Total Cost": 9040.0,
                    "Plans": [
                        {
                            "Node Type": "Sort",
                            "Parent Relationship": "Outer",
                            "Plan Rows": 170,
                            "Sort Key": ["o.at DESC"],
                            "Startup Cost": 8000.0,
                            "Total Cost": 8001.0,
                            "Plans": [
                                {
                                    "Node Type": "Seq Scan",
                                    "Parent Relationship": "Outer",
                                    "Parallel Aware": True,
                                    "Schema": "public",
                                    "Relation Name": "orders",
                                    "Alias": "o",
                                    "Plan Rows": 170,
                                    "Filter": "((o.buyer)::text = 's3cret'::text)",
                                }
                            ],
                        }
                    ],
                }
            ],
        }
    }
]


@pytest.mark.parametrize("told", [RECORDED_POSTGRESQL, json.dumps(RECORDED_POSTGRESQL)], ids=["list", "text"])
def test_a_plan_of_postgresql(told: object) -> None:
    """The table under a parallel sort under a limit: filter, order, and how many rows are expected in all."""
    root = postgresql_plan.root_of([(told,)])
    (access,) = postgresql_plan.accesses_of(root)
    assert (access.how, access.table, access.alias, access.limit) == ("scan", "orders", "o", 20.0)
    assert access.order == ("o.at DESC",)
    assert [term.column for term in access.filters] == [ColumnName("o", "buyer")]
    assert access.expected == pytest.approx(170 * 2.4)
    lines = postgresql_plan.lines_of(root)
    assert lines[-1].strip() == "Filter: ((o.buyer)::text = ?::text)"
    assert "s3cret" not in "".join(lines) + postgresql_plan.signature_of(root)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1; DELETE FROM orders",
        "SELECT 1; COMMIT; DROP TABLE orders",
        "DROP TABLE orders",
        "EXPLAIN ANALYZE DELETE FROM orders",
        "ANALYZE SELECT 1",
        "SELECT 'never ended; DELETE FROM orders",
        "",
    ],
)
def test_only_one_query_is_explained(text: str) -> None:
    """Of several that go to a server at once, EXPLAIN would be for the first, and the others be done."""
    with pytest.raises(CannotExplainError):
        one_statement(text)


def test_a_sign_at_the_end_is_no_second_query() -> None:
    """Nor is a comment behind it, or a semicolon within a text."""
    assert one_statement("SELECT ';' FROM t ;  ") == "SELECT ';' FROM t"
    assert (
        one_statement("WITH x AS (SELECT 1) SELECT * FROM x -- done")
        == "WITH x AS (SELECT 1) SELECT * FROM x"
    )
