"""Which tables a statement uses."""

from __future__ import annotations

import pytest

from perftui_agent.inspect.database.tables import tables_of


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("SELECT a FROM items WHERE id = ?", ["items"]),
        ('SELECT a FROM shop."Order Lines" AS l JOIN items i ON i.id = l.item', ["Order Lines", "items"]),
        ("SELECT 1 FROM a, b AS c, d.e WHERE a.x = c.x", ["a", "b", "e"]),
        ("INSERT INTO `items` (a) VALUES (…)", ["items"]),
        ("UPDATE ONLY items SET a = ?", ["items"]),
        ("DELETE FROM items USING orders", ["items"]),
        ("SELECT * FROM (SELECT 1 FROM inner_one) AS x", ["inner_one"]),
        ("SELECT extract(epoch FROM created) FROM logs", ["created", "logs"]),
        ("SELECT ? FOR UPDATE", []),
        ("SELECT stock FROM items WHERE id = ? FOR UPDATE", ["items"]),
        ("COMMIT", []),
    ],
)
def test_tables(statement: str, tables: list[str]) -> None:
    """Names come without quotes and schemas; a column that looks like one is not known to the server."""
    assert tables_of(statement) == tables
