"""The tables that a statement reads in SQLite: what each is filtered, joined and sorted by, and how far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from perftui_agent.inspect.database.read_only import Ask
from perftui_agent.inspect.explain.facts import covers
from perftui_agent.inspect.explain.names import RESERVED_IN_SQLITE, named
from perftui_agent.inspect.explain.scopes import Scope, scopes_of
from perftui_agent.inspect.explain.sqlite_plan import Access
from perftui_agent.inspect.explain.sqlite_tables import Binds, Table
from perftui_agent.inspect.explain.terms import Term, is_call
from perftui_agent.inspect.explain.tokens import split, tokens_of

UNKNOWN_ROWS = 100.0
"""Of a subquery that a table is joined to."""


class Read(NamedTuple):
    """A table as one query of the statement reads it."""

    access: Access
    scope: Scope
    table: Table
    terms: list[Term]
    """Of the query, those that are about this table."""


class Reading:
    """One statement's tables and queries; what has been asked of a table is not asked again."""

    def __init__(self, ask: Ask, text: str, parameters: Any) -> None:
        self._ask = ask
        self._binds = Binds(tokens_of(text), parameters)
        self._scopes = _with_views(ask, scopes_of(text))
        self._tables: dict[str, Table | None] = {}

    def reads(self, access: Access) -> Iterator[Read]:
        """Yield what may be meant by a table of the plan."""
        for scope in self._scopes:
            name = scope.tables.get(access.name.lower())
            table = self.table(name) if name else None
            if table is not None:
                yield Read(access, scope, table, about(scope, access.name, table))

    def table(self, name: str) -> Table | None:
        """Return a table by its name; None if there is none."""
        key = name.lower()
        if key not in self._tables:
            known = self._ask(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND lower(name) = ?", (key,)
            )
            self._tables[key] = Table(self._ask, str(known[0][0]), self._binds) if known else None
        return self._tables[key]

    def share_by(self, read: Read, columns: tuple[str, ...]) -> float | None:
        """Return the share of the table that an index on these columns would lead to in a run."""
        names = {bare(column) for column in columns}
        return self.share_of(
            read, [term for term in read.terms if column_in(term, read.access.name, read.table) in names]
        )

    def share_of(self, read: Read, terms: Sequence[Term]) -> float | None:
        """Return the share of the table that meets terms, of joins included."""
        table, name = read.table, read.access.name
        kinds = {"equal", "range", "pattern"}
        share = table.share(name, [term for term in terms if term.kind in kinds and not term.asks])
        if share is None:
            share = 1.0
            for term in terms:
                if term.kind in kinds and not term.asks:
                    one = table.share(name, [term])
                    share *= table.repeat(column_in(term, name, table)) if one is None else one
        for term in terms:
            if term.kind == "join" or term.asks:
                repeat = table.repeat(column_in(term, name, table))
                once = read.access.inner or read.access.how == "temporary"
                share = min(share, repeat * (1.0 if once else self._rows_beside(read, term)))
        return share

    def _rows_beside(self, read: Read, term: Term) -> float:
        """Return about how many rows of another table a table is looked up for, by a join."""
        name = read.access.name
        for other in (term.other, term.column):
            alias = other.table.lower() if other is not None else ""
            if not alias or alias == name.lower():
                continue
            for scope in self._scopes:
                table = self.table(scope.tables[alias]) if alias in scope.tables else None
                if table is not None:
                    terms = [
                        each for each in about(scope, alias, table) if each.kind != "join" and not each.asks
                    ]
                    return max(table.kept(alias, terms), 1.0)
        return UNKNOWN_ROWS

    def equal(self, read: Read) -> list[str]:
        """Return the columns that are held against one value."""
        return [
            column_in(term, read.access.name, read.table)
            for term in read.terms
            if term.kind in {"equal", "join"}
        ]

    def ordered(self, read: Read) -> tuple[str, ...]:
        """Return the columns that a query's rows are sorted by, if all are this table's."""
        scope, table = read.scope, read.table
        if scope.grouped or not scope.order:
            return ()
        names: list[str] = []
        for each in scope.order:
            alias, column = each.column
            if alias.lower() not in {"", read.access.name.lower()} or not table.has(column):
                return ()
            names.append(named_here(table.columns[column.lower()]))
        ways = {each.descending for each in scope.order}
        if len(ways) == 1:
            return tuple(names)
        return tuple(
            f"{name} DESC" if each.descending else name for name, each in zip(names, scope.order, strict=True)
        )

    def limit(self, scope: Scope) -> float | None:
        """Return how many rows a query wants, with those that it leaves out before; None for all."""
        rows = 0.0
        for token in scope.limit:
            if token.kind not in {"value", "bind"}:
                continue
            try:
                rows += float(self._binds.value(token) if token.kind == "bind" else token.text)
            except (LookupError, TypeError, ValueError):
                return None
        return rows if rows > 0 else None

    def extreme(self, read: Read) -> str:
        """Return the column whose least or greatest value is all that a query wants."""
        scope, table = read.scope, read.table
        if len(split(scope.selects, ",")) != 1 or scope.grouped or len(scope.tables) != 1 or scope.terms:
            return ""
        tokens = [token for token in scope.selects if token.word != "AS"]
        call = next((tokens[:end] for end in range(3, len(tokens) + 1) if is_call(tokens[:end])), None)
        if call is None or call[0].word not in {"MIN", "MAX"}:
            return ""
        column = call[-2].name.lower()
        return named_here(table.columns[column]) if len(call) <= 6 and column in table.columns else ""

    def anywhere(self, term: Term) -> bool:
        """Tell whether a pattern begins with anything."""
        if term.kind != "pattern":
            return False
        value = term.value
        if value is None:
            return True
        try:
            text = str(self._binds.value(value)) if value.kind == "bind" else value.text.strip("'")
        except (LookupError, TypeError):
            return False
        return not text or text[0] in "%_*?["


def _with_views(ask: Ask, scopes: list[Scope]) -> list[Scope]:
    """Return the queries of a statement, and of the views that they read."""
    every = list(scopes)
    seen: set[str] = set()
    for scope in every:
        for name in scope.tables.values():
            if name.lower() in seen:
                continue
            seen.add(name.lower())
            for (sql,) in ask(
                "SELECT sql FROM sqlite_master WHERE type = 'view' AND lower(name) = ?", (name.lower(),)
            ):
                _, _, query = str(sql).partition("AS")
                # Its own values stand in it: a view has no placeholders.
                every.extend(scopes_of(query))
    return every


def has_index_on(table: Table, columns: Sequence[str]) -> bool:
    """Tell whether there is an index on these columns already."""
    wanted = tuple(bare(column) for column in columns)
    return any(covers(index, wanted) for index in table.indexes)


def about(scope: Scope, alias: str, table: Table) -> list[Term]:
    """Return the terms of a query that are about one table, the other tables' and those of both left out."""
    others = [name for name in scope.tables if name != alias.lower()]
    about: list[Term] = []
    for term in scope.terms:
        columns = list(term.all_columns())
        mine = [
            each
            for each in columns
            if each.table.lower() == alias.lower() or (not each.table and table.has(each.column))
        ]
        if not mine or (term.kind != "join" and any(each.table.lower() in others for each in columns)):
            continue
        if term.kind == "join" and len(mine) == len(columns):
            continue  # two columns of one row
        about.append(term)
    return about


def column_in(term: Term, alias: str, table: Table) -> str:
    """Return the column of a table that a term is about, in lower case; empty if it is another's."""
    for name in (term.column, term.other):
        if name is None or not name.column or not table.has(name.column):
            continue
        if name.table.lower() == alias.lower() or not name.table:
            return name.column.lower()
    return ""


def column_of(column: str) -> str:
    """Return the name in what an index says of a column."""
    return column.removesuffix(" DESC").removesuffix(" COLLATE NOCASE").strip('"')


def bare(column: str) -> str:
    """Return that name in lower case, in which all are compared."""
    return column_of(column).lower()


def named_here(name: str) -> str:
    """Return a name, in quotes if it needs them."""
    return named(name, RESERVED_IN_SQLITE)
