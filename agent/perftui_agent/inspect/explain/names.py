"""How the names of tables, columns and indexes stand in the advice, whatever database they are in."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Protocol

from perftui_agent.inspect.explain.facts import MOST_COLUMNS, quoted, rows_told

RESERVED_IN_POSTGRESQL = frozenset([
    "ALL", "AND", "ANY", "ARRAY", "AS", "ASC", "CASE", "CAST", "CHECK", "COLLATE", "COLUMN",
    "CONSTRAINT", "CREATE", "DEFAULT", "DESC", "DISTINCT", "DO", "ELSE", "END", "EXCEPT", "FALSE",
    "FETCH", "FOR", "FOREIGN", "FROM", "GRANT", "GROUP", "HAVING", "IN", "INTERSECT", "INTO", "LIMIT",
    "NOT", "NULL", "OFFSET", "ON", "ONLY", "OR", "ORDER", "PRIMARY", "REFERENCES", "RETURNING",
    "SELECT", "SOME", "TABLE", "THEN", "TO", "TRUE", "UNION", "UNIQUE", "USER", "USING", "WHEN",
    "WHERE", "WINDOW", "WITH",
])  # fmt: skip

RESERVED_IN_SQLITE = frozenset([
    "ADD", "ALL", "AND", "AS", "ASC", "BETWEEN", "CASE", "CHECK", "COLLATE", "COLUMN", "COMMIT",
    "CONSTRAINT", "CREATE", "DEFAULT", "DELETE", "DESC", "DISTINCT", "DROP", "ELSE", "END", "ESCAPE",
    "EXCEPT", "EXISTS", "FOREIGN", "FROM", "GROUP", "HAVING", "IN", "INDEX", "INSERT", "INTERSECT",
    "INTO", "IS", "ISNULL", "JOIN", "KEY", "LIMIT", "NOT", "NOTNULL", "NULL", "ON", "OR", "ORDER",
    "PRIMARY", "REFERENCES", "SELECT", "SET", "TABLE", "THEN", "TO", "TRANSACTION", "UNION", "UNIQUE",
    "UPDATE", "USER", "USING", "VALUES", "WHEN", "WHERE",
])  # fmt: skip


class Counted(Protocol):
    """A table of which it is known how many rows it has, or about how many."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def rows(self) -> float:
        """How many there are."""

    @property
    def about(self) -> bool:
        """Whether that is an estimate."""


def named(name: str, reserved: AbstractSet[str]) -> str:
    """Return a name, in quotes if it needs them; but for its case."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
    return name if plain and name.upper() not in reserved else quoted(name)


def all_rows(table: Counted) -> str:
    """Return how many rows a table has, as people say it."""
    return f"{'some' if table.about else 'all'} {rows_told(table.rows)} rows of {table.name}"


def bounded(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return as many columns as an index is advised on."""
    return columns[:MOST_COLUMNS]
