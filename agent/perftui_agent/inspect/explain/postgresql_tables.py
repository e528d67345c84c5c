"""What is known of a table in PostgreSQL: columns, indexes, about how many rows, and what a filter keeps.

The sample is of whole pages of that table alone, a few hundred however many there are: a parent that
has no pages of its own would have all of its children read. What the statistics say is not
asked: they are what may be wrong, and a table that was filled a minute ago has none.
"""

from __future__ import annotations

from collections.abc import Sequence

from perftui_agent.inspect.database.read_only import Ask, AskError, Row
from perftui_agent.inspect.explain.facts import Index, first, quoted
from perftui_agent.inspect.explain.postgresql_own import OWN_TYPE, OwnCode
from perftui_agent.inspect.explain.terms import Term, may_be_tried

SAMPLED_PAGES = 200
"""Some 1.6 MB, and most often 10,000 rows and more: a few milliseconds."""

PAGE_BYTES = 8192

_ABOUT = """
SELECT c.oid::bigint, pg_relation_size(c.oid)::bigint, n.nspname::text, c.relname::text,
  pg_partition_root(c.oid)::oid::bigint,
  EXISTS (SELECT 1 FROM pg_catalog.pg_stats AS s WHERE s.schemaname = n.nspname AND s.tablename = c.relname),
  (SELECT datcollate::text FROM pg_catalog.pg_database WHERE datname = current_database()),
  row_security_active(c.oid), c.reltuples::float8
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = {schema} AND c.relname = {table}
"""

_COLUMNS = """
SELECT a.attname::text, format_type(a.atttypid, NULL)::text, {own}
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped
"""

_INDEXES = """
SELECT i.indexrelid::regclass::text, i.indpred IS NOT NULL,
  ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnkeyatts) AS k)::text[]
FROM pg_catalog.pg_index AS i WHERE i.indrelid = {oid} AND i.indisvalid
"""


class Table:
    """One table; what has been asked of it is not asked again. LookupError if there is no such table."""

    def __init__(self, ask: Ask, schema: str, name: str, own: OwnCode) -> None:
        self._ask = ask
        self._own = own
        self.unsampled = ""
        """Why its rows, or some of them, were not looked at."""
        about = first(ask(_ABOUT.format(schema=_literal(schema), table=_literal(name))))
        if not about:
            raise LookupError(name)
        self.oid, size_bytes, schema, name, root, self.analysed, collation, guarded, known = about
        if guarded:
            self.unsampled = "row-level security: its policies are the app's own code"
        self._guarded = bool(guarded)
        self.plain_patterns = collation in {"C", "POSIX"}
        """Whether any index serves for the beginning of a text."""
        self._quoted = f"{quoted(schema)}.{quoted(name)}"
        self.shown = (schema, name)
        if root and root != self.oid:
            self.shown = self._name_of(int(root))
        self.name = self.shown[1]
        columns = ask(_COLUMNS.format(oid=self.oid, own=OWN_TYPE))
        self.types = {str(row[0]): str(row[1]) for row in columns}
        self._own_typed = {str(row[0]) for row in columns if row[2]}
        self.indexes = [
            Index(str(row[0]), tuple(str(each).strip('"') for each in row[2]), bool(row[1]))
            for row in ask(_INDEXES.format(oid=self.oid))
        ]
        self.pages = max(size_bytes // PAGE_BYTES, 1)
        self._percent = min(100.0, 100.0 * SAMPLED_PAGES / self.pages)
        self.about = self._percent < 100.0
        self.rows = self._count(float(known))
        self._shares: dict[tuple[str, ...], float | None] = {}
        self._repeats: dict[str, float] = {}

    def share(self, alias: str, terms: Sequence[Term]) -> float | None:
        """Return which share of the rows meets terms that name no other table; None if that can't be told."""
        wanted = tuple(sorted(term.text for term in terms))
        if not wanted:
            return 1.0
        if wanted not in self._shares:
            self._shares[wanted] = self._measured(alias, terms)
        return self._shares[wanted]

    def repeat(self, column: str) -> float:
        """Return which share of the rows has the value of any one of them: that of a row drawn by chance."""
        if column not in self._repeats:
            self._repeats[column] = self._repeated(column)
        return self._repeats[column]

    def _name_of(self, oid: int) -> tuple[str, str]:
        found = first(
            self._ask(
                "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class AS c"
                f" JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = {oid}"
            )
        )
        return (str(found[0]), str(found[1])) if found else self.shown

    def _from_sample(self, alias: str) -> str:
        if not self.about:
            return f"ONLY {self._quoted} AS {quoted(alias)}"
        return (
            f"ONLY {self._quoted} AS {quoted(alias)} TABLESAMPLE SYSTEM ({self._percent:.6f}) REPEATABLE (1)"
        )

    def _sampled(self, query: str) -> Row:
        """Return the one row of a query of the sample; no lock of the table is held after it."""
        try:
            return first(self._ask(query))
        finally:
            self._ask.rest()

    def _count(self, known: float) -> float:
        if self._guarded:
            return known if known >= 0 else float(self.pages * 50)
        try:
            (counted,) = self._sampled(f"SELECT count(*) FROM {self._from_sample('t')}")
        except AskError:  # no right to read it
            return float(self.pages * 50)
        return float(counted) * 100.0 / float(self._percent)

    def _measured(self, alias: str, terms: Sequence[Term]) -> float | None:
        if self._guarded or any(term.asks or not may_be_tried(term) for term in terms):
            return None
        if any(self._is_own(term) for term in terms):
            self.unsampled = "an operator, a function or a type of the app's own in the filter"
            return None
        condition = " AND ".join(f"({term.text})" for term in terms)
        try:
            sampled, met = self._sampled(
                f"SELECT count(*), count(*) FILTER (WHERE {condition}) FROM {self._from_sample(alias)}"
            )
        except AskError:  # it names what is elsewhere in the plan
            return None
        return max(float(met), 0.5) / float(sampled) if sampled else None

    def _is_own(self, term: Term) -> bool:
        return self._own.is_in(term) or any(each.column in self._own_typed for each in term.all_columns())

    def _repeated(self, column: str) -> float:
        name = quoted(column)
        least = 1.0 / max(self.rows, 1.0)
        if self._guarded or column in self._own_typed:
            return least
        try:
            sampled, pairs = self._sampled(
                "SELECT sum(n)::float8, sum(n * (n - 1))::float8 FROM (SELECT count(*) AS n FROM"
                f" {self._from_sample('t')} WHERE {name} IS NOT NULL GROUP BY {name}) AS counted"
            )
        except AskError:
            return least
        if not sampled or sampled < 2:
            return least
        return max(float(pairs) / float(sampled * (sampled - 1)), least)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
