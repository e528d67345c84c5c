"""One table as PostgreSQL's plan reads it: by which columns an index would lead to how many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from perftui_agent.inspect.explain.facts import (
    MOST_COLUMNS,
    NO_FILTER_SHARE,
    WANTED_SHARE,
    covers,
    quoted,
)
from perftui_agent.inspect.explain.names import RESERVED_IN_POSTGRESQL, bounded, named
from perftui_agent.inspect.explain.postgresql_plan import Access
from perftui_agent.inspect.explain.postgresql_tables import Table
from perftui_agent.inspect.explain.terms import Term
from perftui_agent.inspect.explain.tokens import tokens_of

RANDOM_PAGE_COST = 4.0
"""To find a row by an index; by the planner's measure, where a page read in order costs 1, a row 0.0125."""
ROW_COST = 0.0125

BETTER = 0.7
"""Of what a scan costs: no more than that a join by an index may, so as to be what the planner takes."""

_SAME_AS_TEXT = frozenset({"character varying", "text", "citext", "name"})
"""Types whose cast to text leaves an index usable."""


class Read(NamedTuple):
    """A table as the plan reads it."""

    access: Access
    table: Table
    terms: list[Term]
    """All that its rows are held against, joins included."""

    def rows_read(self) -> float:
        """Return how many rows are read before there are as many as are wanted."""
        access, rows = self.access, self.table.rows
        joined = access.joins or any(term.kind == "join" for term in access.filters)
        if access.limit is None or access.order or access.inner or joined:
            return rows
        kept = self.kept()
        return min(rows, access.limit / kept if kept else rows)

    def columns(self) -> tuple[str, ...]:
        """Return the columns by which an index would find rows: equal ones, those that keep fewest first."""
        columns = self._columns_of([term for term in self.terms if term.kind != "join"])
        if columns and not self.access.inner and self._share_alone(columns) <= WANTED_SHARE:
            return columns
        return self._columns_of(self.terms)

    def _columns_of(self, terms: Sequence[Term]) -> tuple[str, ...]:
        access, table = self.access, self.table
        equal: dict[str, float] = {}
        ranges: dict[str, float] = {}
        for term in terms:
            column = column_of(term, access.alias, table)
            if not column or not is_usable(term, column, table):
                continue
            if term.kind == "join" or (term.kind == "equal" and term.asks):
                equal.setdefault(column, table.repeat(column))
            elif term.kind == "equal":
                share = table.share(access.alias, [term])
                equal[column] = min(equal.get(column, 1.0), table.repeat(column) if share is None else share)
            elif term.kind in {"range", "pattern"}:
                of_it = [
                    each
                    for each in self.terms
                    if each.kind == term.kind
                    and column_of(each, access.alias, table) == column
                    and not each.asks
                ]
                share = table.share(access.alias, of_it)
                name = (
                    f"{column} text_pattern_ops"
                    if term.kind == "pattern" and not table.plain_patterns
                    else column
                )
                ranges[name] = 0.3 if share is None else share
        chosen = [
            each for each in sorted(equal, key=lambda each: equal[each]) if equal[each] <= NO_FILTER_SHARE
        ]
        best = min(ranges, key=lambda each: ranges[each], default="")
        # Behind equal ones it costs nothing, and next week's range may be a narrow one.
        if best and bare(best) not in chosen and (chosen or ranges[best] <= NO_FILTER_SHARE):
            chosen.append(best)
        return bounded(tuple(named_here(each) for each in chosen))

    def share(self, columns: Sequence[str]) -> float | None:
        """Return the share of the table that an index on these columns would lead to."""
        access, table = self.access, self.table
        names = {bare(column) for column in columns}
        terms = [term for term in self.terms if column_of(term, access.alias, table) in names]
        alone = [term for term in terms if term.kind != "join" and not term.asks]
        share = table.share(access.alias, alone)
        if share is None:
            return None
        for term in terms:
            if term.kind == "join" or term.asks:
                share = min(share, table.repeat(column_of(term, access.alias, table)))
        return share

    def pays(self, columns: Sequence[str], share: float) -> bool:
        """Tell whether the planner would rather go by such an index."""
        access, table = self.access, self.table
        if share > WANTED_SHARE:
            return False
        alone = self._share_alone(columns)
        if alone <= WANTED_SHARE or access.inner:
            return True
        # Only a join leads to few rows, once for each on its other side.
        scan: float = table.pages + table.rows * ROW_COST
        led = min(share, share * alone) * table.rows
        by_index = access.beside * RANDOM_PAGE_COST * (1.0 + min(led, float(table.pages)))
        return by_index < BETTER * scan

    def _share_alone(self, columns: Sequence[str]) -> float:
        access, table = self.access, self.table
        names = {bare(column) for column in columns}
        alone = [
            term
            for term in self.terms
            if term.kind != "join" and not term.asks and column_of(term, access.alias, table) in names
        ]
        return (table.share(access.alias, alone) or 1.0) if alone else 1.0

    def kept(self) -> float:
        """Return which share of the rows its filters keep."""
        share = self.table.share(self.access.alias, [term for term in self.access.filters if not term.asks])
        return 1.0 if share is None else share

    def equal(self) -> set[str]:
        """Return the columns that are held against one value."""
        found = {"equal", "join"}
        return {
            named_here(column)
            for term in self.terms
            if term.kind in found and (column := column_of(term, self.access.alias, self.table))
        }

    def ordered(self) -> tuple[str, ...]:
        """Return the columns that rows are sorted by, if all are this table's, as an index names them."""
        columns: list[str] = []
        odd = False
        for key in self.access.order:
            tokens = tokens_of(key)
            names = [
                token for token in tokens if token.word not in {"DESC", "NULLS", "FIRST", "LAST", "ASC", "."}
            ]
            if not names or not all(token.name for token in names):
                return ()
            alias = names[-2].name if len(names) > 1 else self.access.alias
            column = names[-1].name
            if alias != self.access.alias or column not in self.table.types:
                return ()
            way = " ".join(token.word for token in tokens if token.word in {"DESC", "NULLS", "FIRST", "LAST"})
            odd = odd or "NULLS" in way
            columns.append(f"{named_here(column)} {way}".strip())
        ways = {column.endswith(" DESC") for column in columns}
        if odd or len(ways) > 1:
            return tuple(columns)
        return tuple(column.removesuffix(" DESC") for column in columns)

    def with_order(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return columns with those that rows are sorted by behind them, where that spares the sorting."""
        more = tuple(each for each in self.ordered() if bare(each) not in map(bare, columns))
        equal = {bare(each) for each in self.equal()}
        if (
            not more
            or not {bare(column) for column in columns} <= equal
            or len(columns) + len(more) > MOST_COLUMNS
        ):
            return columns
        return (*columns, *more)


def about(access: Access, table: Table) -> list[Term]:
    """Return the terms about a table, those of joins that are about others left out."""
    joins = [
        term
        for term in access.joins
        if term.kind == "join" and column_of(term, access.alias, table) and _names_another(term, access.alias)
    ]
    own = [term for term in access.filters if term.kind != "join" or _names_another(term, access.alias)]
    if access.how == "search":
        own = [*access.led_by, *own]
    return [*own, *joins]


def index_on(table: Table, columns: Sequence[str]) -> str:
    """Return the index that there is on these columns, if there is one."""
    wanted = tuple(bare(column) for column in columns)
    return next((index.name for index in table.indexes if covers(index, wanted)), "")


def _names_another(term: Term, alias: str) -> bool:
    others: set[str] = {each.table for each in term.all_columns()} - {"", alias}
    return bool(others)


def column_of(term: Term, alias: str, table: Table) -> str:
    """Return the column of a table that a term is about; empty if it is another's."""
    for name in (term.column, term.other):
        if name is not None and name.column in table.types and name.table in {"", alias}:
            return name.column
    return ""


def is_usable(term: Term, column: str, table: Table) -> bool:
    """Tell whether an index on a column serves for a term."""
    if term.kind not in {"equal", "join", "range", "pattern"}:
        return False
    if term.kind == "pattern" and (term.any_case or anywhere(term)):
        return False
    if term.cast in {"", "boolean"} or term.column.column != column:
        return True
    return term.cast == "text" and table.types[column] in _SAME_AS_TEXT


def side_of(terms: Sequence[Term], alias: str, table: Table) -> str:
    """Return a column by which one side of an OR could be found."""
    for term in terms:
        column = column_of(term, alias, table) if term.kind in {"equal", "range"} else ""
        if column and is_usable(term, column, table):
            return column
    return ""


def anywhere(term: Term) -> bool:
    """Tell whether a pattern begins with anything."""
    text = term.value.text.lstrip("eE") if term.value is not None and term.value.kind == "value" else ""
    return len(text) < 3 or text[1] in "%_"


def bare(column: str) -> str:
    """Return the name in what an index says of a column."""
    for more in (" text_pattern_ops", " NULLS LAST", " NULLS FIRST", " DESC"):
        column = column.removesuffix(more)
    return column.strip('"')


def named_here(column: str) -> str:
    """Return what an index is on, as it stands in a statement; of a column's name without its quotes."""
    name = bare(column)
    return named_table(name) + column.removeprefix(name)


def named_table(name: str) -> str:
    """Return a name as it stands in a statement, where what has no quotes is taken as lower case."""
    return named(name, RESERVED_IN_POSTGRESQL) if name == name.lower() else quoted(name)
