"""An empty copy of an SQLite database's schema, in memory: what its planner makes of an index not there yet.

The planner itself is asked whether it would take an index, as SQLite's own `.expert` does it: nothing else
knows its rules of collations, affinities and patterns. The app's database is not touched, and no row is read.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from perftui_agent.inspect.database.read_only import Ask
from perftui_agent.inspect.explain.facts import quoted
from perftui_agent.inspect.explain.sqlite_plan import Step, steps_of

MOST_OBJECTS = 5_000
MOST_UNKNOWN = 20
"""Functions and collations of the app's own that the copy is given a stand-in for."""


class Copy:
    """The copy of one database; closed by whoever made it."""

    def __init__(self, connection: Any, text: str, parameters: Any) -> None:
        self._connection = connection
        self._text = text
        self._parameters = parameters

    def plan(self) -> list[Step] | None:
        """Return the plan of the statement here; None if it can't be had."""
        for _ in range(MOST_UNKNOWN):
            try:
                explain = f"EXPLAIN QUERY PLAN {self._text}"
                return steps_of(self._connection.execute(explain, self._parameters).fetchall())
            except Exception as error:  # noqa: BLE001 - what can't be planned here is advised without
                if not self._stands_in(str(error)):
                    return None
        return None

    @contextlib.contextmanager
    def without_indexes(self, table: str) -> Iterator[None]:
        """Have a table none but those that its constraints need."""
        self._connection.execute("SAVEPOINT perftui")
        try:
            found = (
                "SELECT name FROM sqlite_master WHERE type = 'index' AND lower(tbl_name) = ? AND sql NOT NULL"
            )
            for (name,) in self._connection.execute(found, (table.lower(),)).fetchall():
                self._connection.execute(f"DROP INDEX {quoted(name)}")
            yield
        finally:
            self._connection.execute("ROLLBACK TO perftui")
            self._connection.execute("RELEASE perftui")

    @contextlib.contextmanager
    def trying(self, name: str, table: str, columns: Sequence[str]) -> Iterator[bool]:
        """Have an index for a while; False if it can't be made."""
        made = self.keep(name, table, columns)
        try:
            yield made
        finally:
            if made:
                self._connection.execute(f"DROP INDEX {quoted(name)}")

    def keep(self, name: str, table: str, columns: Sequence[str]) -> bool:
        """Have an index from now on; False if it can't be made."""
        try:
            self._connection.execute(f"CREATE INDEX {quoted(name)} ON {quoted(table)} ({', '.join(columns)})")
        except Exception:  # noqa: BLE001 - an expression that no index can have
            return False
        return True

    def close(self) -> None:
        """Let it go."""
        self._connection.close()

    def _stands_in(self, error: str) -> bool:
        """Make a stand-in for what the app has added to its connections; False if it is something else."""
        name = error.rpartition(": ")[2]
        if error.startswith("no such function: "):
            self._connection.create_function(name, -1, lambda *_: None, deterministic=True)
        elif error.startswith("no such collation sequence: "):
            self._connection.create_collation(name, lambda one, two: (one > two) - (one < two))
        else:
            return False
        return True


def copy_of(ask: Ask, text: str, parameters: Any) -> Copy | None:
    """Return a copy of the schema that `ask` reads; None where there is no module to make one with."""
    sqlite3: Any = sys.modules.get("sqlite3")  # the driver's own: not to be imported for the sake of this
    if sqlite3 is None:
        return None
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    copy = Copy(connection, text, parameters)
    schema = ask(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type IN ('table', 'index', 'view')"
        f" ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END LIMIT {MOST_OBJECTS}"
    )
    for name, sql in schema:
        if not str(name).startswith("sqlite_"):
            _make(copy, connection, str(sql))
    if any(name == "sqlite_stat1" for name, _ in schema):
        with contextlib.suppress(Exception):
            connection.execute("ANALYZE")
            told = ask(f"SELECT tbl, idx, stat FROM sqlite_stat1 LIMIT {MOST_OBJECTS}")
            connection.execute("DELETE FROM sqlite_stat1")
            connection.executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", told)
            connection.execute("ANALYZE sqlite_master")
    return copy


def _make(copy: Copy, connection: Any, sql: str) -> None:
    for _ in range(MOST_UNKNOWN):
        try:
            connection.execute(sql)
            return
        except Exception as error:  # noqa: BLE001 - a table of a module that is not there, for one
            if not copy._stands_in(str(error)):
                return
