"""What PostgreSQL's plan for a statement is worth: what it scans, why, and which index would spare that."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from perftui_agent.inspect.database.read_only import Ask, AskError
from perftui_agent.inspect.explain.facts import (
    MOST_COLUMNS,
    MUCH_FEWER,
    MUCH_READ_ROWS,
    NO_FILTER_SHARE,
    SMALL_ROWS,
    WANTED_SHARE,
    Explained,
    Judged,
    Wanted,
    covers,
    index_name,
    quoted,
    rows_told,
    share_told,
)
from perftui_agent.inspect.explain.postgresql_hypothetical import HYPOPG, taken_by_planner
from perftui_agent.inspect.explain.postgresql_own import OwnCode
from perftui_agent.inspect.explain.postgresql_plan import (
    EXPLAIN,
    Access,
    Node,
    accesses_of,
    lines_of,
    root_of,
    signature_of,
    sorted_rows,
)
from perftui_agent.inspect.explain.postgresql_tables import Table
from perftui_agent.inspect.explain.terms import Term
from perftui_agent.inspect.explain.tokens import shaped, tokens_of

RANDOM_PAGE_COST = 4.0
"""To find a row by an index; by the planner's measure, where a page read in order costs 1, a row 0.0125."""
ROW_COST = 0.0125

BETTER = 0.7
"""Of what a scan costs: no more than that a join by an index may, so as to be what the planner takes."""

DOUBTED, DOUBTED_ROWS = 10.0, 2_000
"""An estimate that is out by such a factor, and by so many rows, makes a planner choose wrongly."""

SORTED_ROWS = 10_000
"""From there on a sort is worth a word."""

_SAME_AS_TEXT = frozenset({"character varying", "text", "citext", "name"})
"""Types whose cast to text leaves an index usable."""


class Read(NamedTuple):
    """A table as the plan reads it."""

    access: Access
    table: Table
    terms: list[Term]
    """All that its rows are held against, joins included."""


def explain_postgresql(ask: Ask, text: str, parameters: Any) -> Explained:
    """Return what PostgreSQL's plan for a statement is worth; `AskError` if it has none."""
    rows = ask(EXPLAIN + text, parameters or None)
    # To plan a statement takes the locks that it would: they are held for no longer than that.
    ask.rest()
    root = root_of(rows)
    return _Judging(ask, text, parameters).of(root)


class _Judging:
    def __init__(self, ask: Ask, text: str, parameters: Any) -> None:
        self._ask = ask
        self._text = text
        self._parameters = parameters or None
        self._own = OwnCode(ask)
        self._tables: dict[tuple[str, str], Table | None] = {}
        self._verdicts: list[Judged] = []
        self._wanted: list[Wanted] = []

    def of(self, root: Node) -> Explained:
        for access in accesses_of(root):
            table = self._table(access)
            if table is not None:
                self._judge(Read(access, table, _about(access, table)))
        self._check()
        if sorted_rows(root) >= SORTED_ROWS and not self._wanted:
            rows = rows_told(sorted_rows(root))
            sentence = f"{rows} rows are sorted: none of the indexes gives them in this order"
            self._verdicts.append(Judged("sort", "", (), sentence))
        for table in {id(each): each for each in self._tables.values() if each is not None}.values():
            if not table.analysed and table.rows >= SMALL_ROWS:
                guesses = f"{table.name} was never analysed: the planner guesses (ANALYZE {table.name})"
                self._say("estimate", table, (), guesses)
        return Explained(
            kind="postgresql",
            plan=lines_of(root),
            verdicts=self._verdicts,
            wanted=self._wanted,
            signature=signature_of(root),
        )

    def _table(self, access: Access) -> Table | None:
        key = access.schema, access.table
        if key not in self._tables:
            self._tables[key] = None
            with contextlib.suppress(LookupError, AskError):
                self._tables[key] = Table(self._ask, *key, self._own)
        return self._tables[key]

    def _judge(self, read: Read) -> None:
        access, table = read.access, read.table
        if access.how == "search":
            self._searched(read)
            return
        if table.rows < SMALL_ROWS and not access.inner:
            self._say("small-table", table, (), f"{_all_rows(table)} are read: that is quick")
            return
        if self._rows_read(read) < SMALL_ROWS:
            self._say(
                "stops-early",
                table,
                (),
                f"{table.name} is read from the beginning, until there are enough rows",
            )
            return
        if table.rows >= SMALL_ROWS / 4:
            self._scanned(read)

    def _rows_read(self, read: Read) -> float:
        """Return how many rows are read before there are as many as are wanted."""
        access, rows = read.access, read.table.rows
        joined = access.joins or any(term.kind == "join" for term in access.filters)
        if access.limit is None or access.order or access.inner or joined:
            return rows
        kept = self._kept(read)
        return min(rows, access.limit / kept if kept else rows)

    def _scanned(self, read: Read) -> None:
        access, table = read.access, read.table
        columns = self._columns(read)
        share = self._share(read, columns)
        self._doubt(read)
        if columns and share is not None and self._pays(read, columns, share):
            with_order = self._with_order(read, columns)
            there = self._there(table, with_order) or self._there(table, columns)
            if there:
                sentence = (
                    f"{table.name} is read whole although there is the index {there}: ANALYZE {table.name}"
                )
                self._say("unused-index", table, columns, f"{sentence} has the planner know its values")
                return
            self._want(read, with_order, "scan", self._found(read, share))
            return
        ordered = self._ordered(read)
        if access.limit is not None and ordered and access.limit * 10 < table.rows * self._kept(read):
            equal = tuple(column for column in columns if column in self._equal(read))
            wanted = _bounded((*equal, *(each for each in ordered if _bare(each) not in equal)))
            if not self._there(table, wanted):
                told = f"{_all_rows(table)} are read and sorted to give {access.limit:,.0f}"
                self._want(read, wanted, "scan", told)
                return
        if access.extreme in table.types and not self._there(table, (access.extreme,)):
            told = f"{_all_rows(table)} are read for the one at an end of {access.extreme}"
            self._want(read, (_named(access.extreme),), "scan", told)
            return
        if not self._alternatives(read):
            self._unhelped(read)

    def _searched(self, read: Read) -> None:
        """Look whether what an index leads to is mostly thrown away again."""
        access, table = read.access, read.table
        filters = [
            term for term in access.filters if term.kind in {"equal", "range", "pattern"} and not term.asks
        ]
        if not filters or access.inner or table.rows < MUCH_READ_ROWS:
            return
        led = table.share(access.alias, access.led_by)
        kept = table.share(access.alias, [*access.led_by, *filters])
        if led is None or kept is None or led * table.rows < MUCH_READ_ROWS or kept > MUCH_FEWER * led:
            return
        columns = self._columns(read)
        if columns and not self._there(table, columns):
            sentence = (
                f"{access.index} leads to {rows_told(led * table.rows)} rows of {table.name}, "
                f"of which the rest of the filter keeps {share_told(kept / led)}"
            )
            self._want(read, columns, "search", sentence)

    def _columns(self, read: Read) -> tuple[str, ...]:
        """Return the columns by which an index would find rows: equal ones, those that keep fewest first."""
        columns = self._columns_of(read, [term for term in read.terms if term.kind != "join"])
        if columns and not read.access.inner and self._share_alone(read, columns) <= WANTED_SHARE:
            return columns
        return self._columns_of(read, read.terms)

    def _columns_of(self, read: Read, terms: Sequence[Term]) -> tuple[str, ...]:
        access, table = read.access, read.table
        equal: dict[str, float] = {}
        ranges: dict[str, float] = {}
        for term in terms:
            column = _column(term, access.alias, table)
            if not column or not _is_usable(term, column, table):
                continue
            if term.kind == "join" or (term.kind == "equal" and term.asks):
                equal.setdefault(column, table.repeat(column))
            elif term.kind == "equal":
                share = table.share(access.alias, [term])
                equal[column] = min(equal.get(column, 1.0), table.repeat(column) if share is None else share)
            elif term.kind in {"range", "pattern"}:
                of_it = [
                    each
                    for each in read.terms
                    if each.kind == term.kind
                    and _column(each, access.alias, table) == column
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
        if best and _bare(best) not in chosen and (chosen or ranges[best] <= NO_FILTER_SHARE):
            chosen.append(best)
        return _bounded(tuple(_named(each) for each in chosen))

    def _share(self, read: Read, columns: Sequence[str]) -> float | None:
        """Return the share of the table that an index on these columns would lead to."""
        access, table = read.access, read.table
        bare = {_bare(column) for column in columns}
        terms = [term for term in read.terms if _column(term, access.alias, table) in bare]
        alone = [term for term in terms if term.kind != "join" and not term.asks]
        share = table.share(access.alias, alone)
        if share is None:
            return None
        for term in terms:
            if term.kind == "join" or term.asks:
                share = min(share, table.repeat(_column(term, access.alias, table)))
        return share

    def _pays(self, read: Read, columns: Sequence[str], share: float) -> bool:
        """Tell whether the planner would rather go by such an index."""
        access, table = read.access, read.table
        if share > WANTED_SHARE:
            return False
        alone = self._share_alone(read, columns)
        if alone <= WANTED_SHARE or access.inner:
            return True
        # Only a join leads to few rows, once for each on its other side.
        scan: float = table.pages + table.rows * ROW_COST
        led = min(share, share * alone) * table.rows
        by_index = access.beside * RANDOM_PAGE_COST * (1.0 + min(led, float(table.pages)))
        return by_index < BETTER * scan

    def _share_alone(self, read: Read, columns: Sequence[str]) -> float:
        access, table = read.access, read.table
        bare = {_bare(column) for column in columns}
        alone = [
            term
            for term in read.terms
            if term.kind != "join" and not term.asks and _column(term, access.alias, table) in bare
        ]
        return (table.share(access.alias, alone) or 1.0) if alone else 1.0

    def _kept(self, read: Read) -> float:
        share = read.table.share(read.access.alias, [term for term in read.access.filters if not term.asks])
        return 1.0 if share is None else share

    def _doubt(self, read: Read) -> None:
        """Say where the planner expects what a sample shows to be wrong."""
        access, table = read.access, read.table
        share = table.share(access.alias, list(access.filters))
        if share is None or not access.filters or access.inner:
            return
        kept = share * table.rows
        if (
            abs(kept - access.expected) > DOUBTED_ROWS
            and not 1 / DOUBTED <= access.expected / max(kept, 1.0) <= DOUBTED
        ):
            sentence = (
                f"the planner expects {rows_told(access.expected)} rows of {table.name}, a sample has "
                f"{rows_told(kept)}: ANALYZE {table.name} has it know better"
            )
            self._say("estimate", table, (), sentence)

    def _equal(self, read: Read) -> set[str]:
        found = {"equal", "join"}
        return {
            _named(column)
            for term in read.terms
            if term.kind in found and (column := _column(term, read.access.alias, read.table))
        }

    def _ordered(self, read: Read) -> tuple[str, ...]:
        """Return the columns that rows are sorted by, if all are this table's, as an index names them."""
        columns: list[str] = []
        odd = False
        for key in read.access.order:
            tokens = tokens_of(key)
            names = [
                token for token in tokens if token.word not in {"DESC", "NULLS", "FIRST", "LAST", "ASC", "."}
            ]
            if not names or not all(token.name for token in names):
                return ()
            alias = names[-2].name if len(names) > 1 else read.access.alias
            column = names[-1].name
            if alias != read.access.alias or column not in read.table.types:
                return ()
            way = " ".join(token.word for token in tokens if token.word in {"DESC", "NULLS", "FIRST", "LAST"})
            odd = odd or "NULLS" in way
            columns.append(f"{_named(column)} {way}".strip())
        ways = {column.endswith(" DESC") for column in columns}
        if odd or len(ways) > 1:
            return tuple(columns)
        return tuple(column.removesuffix(" DESC") for column in columns)

    def _with_order(self, read: Read, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return columns with those that rows are sorted by behind them, where that spares the sorting."""
        more = tuple(each for each in self._ordered(read) if _bare(each) not in map(_bare, columns))
        equal = {_bare(each) for each in self._equal(read)}
        if (
            not more
            or not {_bare(column) for column in columns} <= equal
            or len(columns) + len(more) > MOST_COLUMNS
        ):
            return columns
        return (*columns, *more)

    def _there(self, table: Table, columns: Sequence[str]) -> str:
        """Return the index that there is on these columns, if there is one."""
        bare = tuple(_bare(column) for column in columns)
        return next((index.name for index in table.indexes if covers(index, bare)), "")

    def _alternatives(self, read: Read) -> bool:
        """Look whether an index for each side of an OR would spare the scan."""
        access, table = read.access, read.table
        for term in access.filters:
            share = table.share(access.alias, [term]) if term.kind == "or" else None
            if share is None or share > WANTED_SHARE:
                continue
            sides = [_side(side, access.alias, table) for side in term.branches]
            missing = [
                column for column in dict.fromkeys(sides) if column and not self._there(table, (column,))
            ]
            if all(sides) and missing:
                for column in missing:
                    told = f"{self._found(read, share)}; each side of the OR wants an index of its own"
                    self._want(read, (_named(column),), "scan", told)
                return True
        return False

    def _unhelped(self, read: Read) -> None:
        """Say why no index would spare a scan."""
        access, table = read.access, read.table
        rows = f"{_all_rows(table)} are read"
        if not read.terms:
            self._say("full", table, (), f"{rows}: nothing is filtered")
            return
        for term in access.filters:
            if why := _why_not(term, access.alias, table):
                columns = tuple(
                    dict.fromkeys(each.column for each in term.all_columns() if each.column in table.types)
                )
                there = next(
                    (each for each in table.indexes if each.columns and each.columns[0] in columns), None
                )
                by = f"the index {there.name} can't be used" if there else "no index on it could be used"
                self._say("unusable-index", table, columns, f"{rows}: {by}, {why}")
                return
        filters = [term for term in access.filters if not term.asks]
        columns = tuple(
            dict.fromkeys(filter(None, (_column(term, access.alias, table) for term in read.terms)))
        )
        share = table.share(access.alias, filters)
        if not filters:
            self._say("most-rows", table, columns, f"{rows}, and joined: no filter leads to some of them")
        elif share is not None and share > WANTED_SHARE:
            kept = f"{rows}, of which about {share_told(share)} are kept: an index would not spare it much"
            self._say("most-rows", table, columns, kept)
        elif table.unsampled:
            self._say("fine", table, columns, f"{rows}: no row was looked at ({table.unsampled})")
        else:
            self._say("fine", table, columns, f"{rows}: no index is known that would spare it")

    def _found(self, read: Read, share: float) -> str:
        again = " again and again," if read.access.inner else ""
        return f"{_all_rows(read.table)} are read{again} to find about {share_told(share)} of them"

    def _say(self, kind: str, table: Table, columns: tuple[str, ...], sentence: str) -> None:
        said = Judged(kind, table.name, columns, sentence)  # type: ignore[arg-type]  # one of the kinds
        if said not in self._verdicts:
            self._verdicts.append(said)

    def _want(self, read: Read, columns: tuple[str, ...], kind: str, sentence: str) -> None:
        schema, name = read.table.shown
        table = _named(name) if schema == "public" else f"{_named(schema)}.{_named(name)}"
        told = tuple(_bare(column) for column in columns)
        create = f"CREATE INDEX {index_name(name, told)} ON {table} ({', '.join(columns)})"
        if any(each.create == create for each in self._wanted):
            return
        self._wanted.append(Wanted(name, told, create))
        self._say(kind, read.table, told, sentence)

    def _check(self) -> None:
        """Have HypoPG say whether the planner takes what is wanted, where it is installed."""
        taken = taken_by_planner(self._ask, self._text, self._parameters, self._wanted)
        if taken is None:
            return
        guesses = any(table is not None and not table.analysed for table in self._tables.values())
        for wanted, is_taken in taken.items():
            if is_taken:
                continue
            # What a planner that knows nothing of the values would not do says nothing of one that does.
            when = " before an ANALYZE" if guesses else ""
            self._verdicts = [
                each._replace(
                    kind=each.kind if guesses else "fine",
                    sentence=f"{each.sentence}; {HYPOPG}: the planner would not take it{when}",
                )
                if (each.table, each.columns) == (wanted.table, wanted.columns)
                else each
                for each in self._verdicts
            ]
        self._wanted = [
            wanted._replace(checked=f"{HYPOPG}: the planner takes it") if is_taken else wanted
            for wanted, is_taken in taken.items()
            if is_taken or guesses
        ]


def _about(access: Access, table: Table) -> list[Term]:
    """Return the terms about a table, those of joins that are about others left out."""
    joins = [
        term
        for term in access.joins
        if term.kind == "join" and _column(term, access.alias, table) and _names_another(term, access.alias)
    ]
    own = [term for term in access.filters if term.kind != "join" or _names_another(term, access.alias)]
    if access.how == "search":
        own = [*access.led_by, *own]
    return [*own, *joins]


def _names_another(term: Term, alias: str) -> bool:
    others: set[str] = {each.table for each in term.all_columns()} - {"", alias}
    return bool(others)


def _column(term: Term, alias: str, table: Table) -> str:
    """Return the column of a table that a term is about; empty if it is another's."""
    for name in (term.column, term.other):
        if name is not None and name.column in table.types and name.table in {"", alias}:
            return name.column
    return ""


def _is_usable(term: Term, column: str, table: Table) -> bool:
    """Tell whether an index on a column serves for a term."""
    if term.kind not in {"equal", "join", "range", "pattern"}:
        return False
    if term.kind == "pattern" and (term.any_case or _anywhere(term)):
        return False
    if term.cast in {"", "boolean"} or term.column.column != column:
        return True
    return term.cast == "text" and table.types[column] in _SAME_AS_TEXT


def _side(terms: Sequence[Term], alias: str, table: Table) -> str:
    """Return a column by which one side of an OR could be found."""
    for term in terms:
        column = _column(term, alias, table) if term.kind in {"equal", "range"} else ""
        if column and _is_usable(term, column, table):
            return column
    return ""


def _anywhere(term: Term) -> bool:
    """Tell whether a pattern begins with anything."""
    text = term.value.text.lstrip("eE") if term.value is not None and term.value.kind == "value" else ""
    return len(text) < 3 or text[1] in "%_"


def _why_not(term: Term, alias: str, table: Table) -> str:
    column = term.column.column
    if term.kind == "pattern" and term.any_case:
        return f"since {column} is compared without regard to case; one of pg_trgm's could be"
    if term.kind == "pattern" and _anywhere(term):
        return f"since the pattern for {column} begins with anything; one of pg_trgm's could be"
    if term.kind == "wrapped":
        return f"since it is {shaped(term.wrapping)} that is compared, and not the column"
    if _column(term, alias, table) and not _is_usable(term, column, table) and term.cast:
        return f"since {column} is cast to {shaped(term.cast)} for the comparison"
    if term.kind == "negated" and column:
        return f"since what {column} is not leads nowhere"
    return ""


def _bare(column: str) -> str:
    """Return the name in what an index says of a column."""
    for more in (" text_pattern_ops", " NULLS LAST", " NULLS FIRST", " DESC"):
        column = column.removesuffix(more)
    return column.strip('"')


def _named(name: str) -> str:
    """Return a name, in quotes if it needs them."""
    bare, space, more = name.partition(" ")
    plain = (
        bare.isascii() and bare.replace("_", "a").isalnum() and bare == bare.lower() and not bare[0].isdigit()
    )
    return name if plain and bare.upper() not in _RESERVED else quoted(bare) + space + more


_RESERVED = frozenset(
    [
        "ALL",
        "AND",
        "ANY",
        "ARRAY",
        "AS",
        "ASC",
        "CASE",
        "CAST",
        "CHECK",
        "COLLATE",
        "COLUMN",
        "CONSTRAINT",
        "CREATE",
        "DEFAULT",
        "DESC",
        "DISTINCT",
        "DO",
        "ELSE",
        "END",
        "EXCEPT",
        "FALSE",
        "FETCH",
        "FOR",
        "FOREIGN",
        "FROM",
        "GRANT",
        "GROUP",
        "HAVING",
        "IN",
        "INTERSECT",
        "INTO",
        "LIMIT",
        "NOT",
        "NULL",
        "OFFSET",
        "ON",
        "ONLY",
        "OR",
        "ORDER",
        "PRIMARY",
        "REFERENCES",
        "RETURNING",
        "SELECT",
        "SOME",
        "TABLE",
        "THEN",
        "TO",
        "TRUE",
        "UNION",
        "UNIQUE",
        "USER",
        "USING",
        "WHEN",
        "WHERE",
        "WINDOW",
        "WITH",
    ]
)


def _all_rows(table: Table) -> str:
    return f"{'some' if table.about else 'all'} {rows_told(table.rows)} rows of {table.name}"


def _bounded(columns: tuple[str, ...]) -> tuple[str, ...]:
    return columns[:MOST_COLUMNS]
