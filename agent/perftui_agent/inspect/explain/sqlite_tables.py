"""What is known of a table in SQLite: its columns and indexes, about how many rows, and what a filter keeps.

Nothing is counted that is large: a sample of rows, spread over the table's key, costs a few hundred seeks
however many there are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from perftui_agent.inspect.database.read_only import Ask, AskError
from perftui_agent.inspect.explain.facts import Index, first, quoted
from perftui_agent.inspect.explain.terms import Term, may_be_tried
from perftui_agent.inspect.explain.tokens import Token

COUNTED_ROWS = 20_000
"""So many are counted: that is a read of some milliseconds."""

SAMPLED = 500
"""Rows of a sample: a share of 8 % is told to 2.4 points, two times out of three to half of that."""

GOLDEN, FULL = 618_034, 1_000_000
"""Steps by the golden section of the whole: evenly spread, and in step with nothing that is counted up."""

INDEXED_ROWS = 1_000
"""So many are counted where an index leads to them."""

WINDOWS, WINDOW = 16, 64
"""Stretches of keys in which it is looked how many of them are taken."""


class Binds:
    """The values that a statement ran with, to be sent with a part of it."""

    def __init__(self, tokens: Sequence[Token], parameters: Any) -> None:
        binds = [token for token in tokens if token.kind == "bind"]
        self._number = {token.start: number for number, token in enumerate(binds)}
        self._parameters = parameters

    def of(self, tokens: Iterable[Token]) -> Any:
        """Return those of some placeholders; KeyError or IndexError if they aren't known."""
        if isinstance(self._parameters, dict):
            return self._parameters
        return tuple(self.value(token) for token in tokens)

    def value(self, token: Token) -> Any:
        """Return that of one placeholder."""
        if isinstance(self._parameters, dict):
            return self._parameters[token.text[1:]]
        if token.text[1:].isdigit():
            return self._parameters[int(token.text[1:]) - 1]
        return self._parameters[self._number[token.start]]


class Table:
    """One table; what has been asked of it is not asked again."""

    def __init__(self, ask: Ask, name: str, binds: Binds) -> None:
        self.name = name
        self._ask = ask
        self._binds = binds
        self._quoted = quoted(name)
        rows = ask(f"PRAGMA table_xinfo({self._quoted})")
        self.columns = {str(row[1]).lower(): str(row[1]) for row in rows}
        self.key = [str(row[1]).lower() for row in sorted(rows, key=lambda row: row[5]) if row[5]]
        """The columns of its primary key."""
        self.indexes = [self._index(row) for row in ask(f"PRAGMA index_list({self._quoted})")]
        self.rows, self.about = self._count()
        """How many there are; whether that is an estimate."""
        self._shares: dict[tuple[str, ...], float | None] = {}
        self._repeats: dict[str, float] = {}

    def has(self, column: str) -> bool:
        """Tell whether it has a column of this name."""
        return column.lower() in self.columns

    def share(self, alias: str, terms: Sequence[Term]) -> float | None:
        """Return which share of the rows meets terms that name no other table; None if that can't be told."""
        wanted = tuple(sorted(term.text for term in terms))
        if not wanted:
            return 1.0
        if wanted not in self._shares:
            self._shares[wanted] = self._measured(alias, sorted(terms, key=lambda term: term.text))
        return self._shares[wanted]

    def kept(self, alias: str, terms: Sequence[Term]) -> float:
        """Return about how many rows meet terms that name no other table."""
        share = self.share(alias, terms)
        equal = {named.column.lower() for term in terms if term.kind == "equal" and (named := term.column)}
        if any(each and each[0] in equal for each in (self.key, *(index.columns for index in self.indexes))):
            condition = " AND ".join(f"({term.text})" for term in terms)
            try:
                rows = self._ask(
                    f"SELECT count(*) FROM (SELECT 1 FROM {self._quoted} AS {quoted(alias)} WHERE {condition}"
                    f" LIMIT {INDEXED_ROWS})",
                    self._binds.of([token for term in terms for token in term.binds]),
                )
            except (AskError, LookupError, TypeError):
                pass
            else:
                counted = float(first(rows)[0])
                if counted < INDEXED_ROWS:
                    return counted
        return self.rows * (1.0 if share is None else share)

    def repeat(self, column: str) -> float:
        """Return which share of the rows has the value of any one of them: that of a row drawn by chance."""
        name = self.columns.get(column.lower())
        if name is None:
            return 1.0
        if name not in self._repeats:
            self._repeats[name] = self._repeated(name)
        return self._repeats[name]

    def _index(self, row: Sequence[Any]) -> Index:
        columns = [
            (str(each[2]).lower() if each[2] is not None else "an expression")
            for each in self._ask(f"PRAGMA index_xinfo({quoted(str(row[1]))})")
            if each[5]
        ]
        return Index(str(row[1]), tuple(columns), partial=bool(row[4]))

    def _count(self) -> tuple[float, bool]:
        ((counted,),) = self._ask(
            f"SELECT count(*) FROM (SELECT 1 FROM {self._quoted} LIMIT {COUNTED_ROWS + 1})"
        )
        if counted <= COUNTED_ROWS:
            return float(counted), False
        try:
            (lowest, highest) = first(
                self._ask(
                    f"SELECT (SELECT min(rowid) FROM {self._quoted}), (SELECT max(rowid) FROM {self._quoted})"
                )
            )
            places = [number * GOLDEN % FULL / FULL for number in range(WINDOWS)]
            begins = [lowest + int((highest - lowest) * place) for place in places]
            taken = sum(
                first(
                    self._ask(
                        f"SELECT count(*) FROM {self._quoted} WHERE rowid >= {begin}"
                        f" AND rowid < {begin + WINDOW}"
                    )
                )[0]
                for begin in begins
            )
            rows = (highest - lowest) * taken / (WINDOWS * WINDOW)
        except AskError:  # it has no rowid
            rows = 0.0
        return max(rows, float(COUNTED_ROWS + 1)), True

    def _sample(self) -> str:
        """Return a query of the keys of a sample's rows."""
        if self.rows <= SAMPLED * 2:
            return f"SELECT rowid AS perftui_row FROM {self._quoted} LIMIT {SAMPLED * 2}"
        return (
            f"WITH RECURSIVE perftui_n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM perftui_n"
            f" WHERE n < {SAMPLED - 1}), perftui_ends(lo, hi) AS"
            f" (SELECT (SELECT min(rowid) FROM {self._quoted}), (SELECT max(rowid) FROM {self._quoted}))"
            f" SELECT (SELECT min(rowid) FROM {self._quoted}"
            f" WHERE rowid >= lo + CAST((hi * 1.0 - lo) * ((n * {GOLDEN}) % {FULL} / {FULL}.0) AS INTEGER))"
            f" AS perftui_row FROM perftui_n, perftui_ends"
        )

    @functools.cached_property
    def _has_rowid(self) -> bool:
        try:
            self._ask(f"SELECT rowid FROM {self._quoted} LIMIT 0")
        except AskError:
            return False
        return True

    def _from_sample(self, alias: str) -> str:
        if not self._has_rowid:
            return f"(SELECT * FROM {self._quoted} LIMIT {SAMPLED * 4}) AS {quoted(alias)}"
        on = f"{quoted(alias)}.rowid = perftui_picked.perftui_row"
        return f"({self._sample()}) AS perftui_picked CROSS JOIN {self._quoted} AS {quoted(alias)} ON {on}"

    def _measured(self, alias: str, terms: Sequence[Term]) -> float | None:
        if any(term.asks or not term.text or not may_be_tried(term) for term in terms):
            return None
        condition = " AND ".join(f"({term.text})" for term in terms)
        tokens = [token for term in terms for token in term.binds]
        try:
            parameters = self._binds.of(tokens)
            rows = self._ask(
                f"SELECT count(*), sum(CASE WHEN {condition} THEN 1 ELSE 0 END)"
                f" FROM {self._from_sample(alias)}",
                parameters,
            )
        except (AskError, LookupError, TypeError):  # it names another table, or a function of the app's own
            return None
        sampled, met = first(rows)
        if not sampled:
            return None
        # None of 500 is less than one of 500, and more than nothing.
        return max(float(met), 0.5) / float(sampled)

    def _repeated(self, column: str) -> float:
        name = quoted(column)
        rows = self._ask(
            "SELECT sum(n), sum(n * (n - 1)) FROM"
            f" (SELECT count(*) AS n FROM {self._from_sample('perftui_t')}"
            f" WHERE {name} IS NOT NULL GROUP BY {name})"
        )
        sampled, pairs = first(rows)
        if not sampled or sampled < 2:
            return 1.0 / max(self.rows, 1.0)
        return float(max(pairs / (sampled * (sampled - 1)), 1.0 / max(self.rows, 1.0)))
