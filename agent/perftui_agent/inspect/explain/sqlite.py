"""What SQLite's plan for a statement is worth: what it scans, why, and which index its planner would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from perftui_agent.inspect.database.read_only import Ask
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
from perftui_agent.inspect.explain.scopes import Scope, scopes_of
from perftui_agent.inspect.explain.sqlite_copy import Copy, copy_of
from perftui_agent.inspect.explain.sqlite_plan import Access, Step, accesses_of, lines_of, sorts, steps_of
from perftui_agent.inspect.explain.sqlite_tables import Binds, Table
from perftui_agent.inspect.explain.terms import Term, is_call
from perftui_agent.inspect.explain.tokens import shaped, split, tokens_of

CHECKED = "SQLite's planner takes it, in a copy of the schema"

MOST_ROUNDS = 3
"""Indexes that are advised for one statement: each makes another plan, in which the next may be missing."""

UNKNOWN_ROWS = 100.0
"""Of a subquery that a table is joined to."""


class Read(NamedTuple):
    """A table as one query of the statement reads it."""

    access: Access
    scope: Scope
    table: Table
    terms: list[Term]
    """Of the query, those that are about this table."""


def explain_sqlite(ask: Ask, text: str, parameters: Any) -> Explained:
    """Return what SQLite's plan for a statement is worth; `AskError` if it has none."""
    tokens = tokens_of(text)
    placeholders = sum(token.kind == "bind" for token in tokens)
    if not parameters and placeholders:
        parameters = (None,) * placeholders
    parameters = parameters if parameters is not None else ()
    steps = steps_of(ask(f"EXPLAIN QUERY PLAN {text}", parameters))
    copy = copy_of(ask, text, parameters)
    try:
        return _Judging(ask, text, parameters, copy).of(steps)
    finally:
        if copy is not None:
            copy.close()


class _Judging:
    def __init__(self, ask: Ask, text: str, parameters: Any, copy: Copy | None) -> None:
        self._ask = ask
        self._binds = Binds(tokens_of(text), parameters)
        self._copy = copy
        self._scopes = _with_views(ask, scopes_of(text))
        self._tables: dict[str, Table | None] = {}
        self._verdicts: list[Judged] = []
        self._wanted: list[Wanted] = []

    def of(self, steps: list[Step]) -> Explained:
        plan, signature = lines_of(steps), " / ".join(step.detail for step in steps)
        now: list[Step] | None = steps
        for _ in range(MOST_ROUNDS):
            if now is None or not self._judge(now):
                break
            now = self._copy.plan() if self._copy is not None else None
        if sorts(steps) and not any(each.kind == "scan" for each in self._verdicts):
            sentence = "the rows that are found are sorted: no index that it goes by has them in this order"
            self._verdicts.append(Judged("sort", "", (), sentence))
        return Explained(
            kind="sqlite",
            plan=plan,
            verdicts=self._verdicts,
            wanted=self._wanted,
            signature=signature,
            note=""
            if self._copy is not None
            else "what is advised could not be tried in a copy of the schema",
        )

    def _judge(self, steps: list[Step]) -> bool:
        """Judge what a plan reads; True once an index is wanted, which makes another plan."""
        again = bool(self._wanted)
        for access in accesses_of(steps):
            for read in self._reads(access):
                found = self._looked_at(read, steps)
                if found is True:
                    return True
                if isinstance(found, Judged) and not again:
                    self._verdicts.append(found)
                    break
        return False

    def _reads(self, access: Access) -> Iterator[Read]:
        for scope in self._scopes:
            name = scope.tables.get(access.name.lower())
            table = self._table(name) if name else None
            if table is not None:
                yield Read(access, scope, table, _about(scope, access.name, table))

    def _table(self, name: str) -> Table | None:
        key = name.lower()
        if key not in self._tables:
            known = self._ask(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND lower(name) = ?", (key,)
            )
            self._tables[key] = Table(self._ask, str(known[0][0]), self._binds) if known else None
        return self._tables[key]

    def _looked_at(self, read: Read, steps: list[Step]) -> Judged | bool | None:
        """Return what is to be said of a table that is read, True if an index was found to be wanted."""
        access, table = read.access, read.table
        if access.how == "search":
            return self._searched(read)
        extreme = self._extreme(read)
        if extreme and self._there(table, (extreme,)):
            return None
        if table.rows < SMALL_ROWS and not access.inner:
            sentence = f"{_all_rows(table)} are read: that is quick"
            return Judged("small-table", table.name, (), sentence)
        filters = [term for term in read.terms if term.kind != "join"]
        kept = table.share(access.name, [term for term in filters if not term.asks])
        limit = self._limit(read.scope)
        if access.how != "temporary" and not access.inner and self._stops_early(read, steps, kept, limit):
            sentence = (
                f"{table.name} is read from the beginning, and no further than the {limit:g} rows it takes"
            )
            return Judged("stops-early", table.name, (), sentence)
        if table.rows < SMALL_ROWS / 4:
            return None
        return self._sought(read, steps, limit)

    def _stops_early(self, read: Read, steps: list[Step], kept: float | None, limit: float | None) -> bool:
        if limit is None or read.scope.grouped or sorts(steps) or kept is None:
            return False
        return limit / kept < SMALL_ROWS and not any(term.kind == "join" for term in read.terms)

    def _searched(self, read: Read) -> Judged | bool | None:
        """Look whether what an index leads to is mostly thrown away again."""
        access, table = read.access, read.table
        if "PRIMARY KEY" in access.index or table.rows < MUCH_READ_ROWS:
            return None
        by = [term for term in read.terms if _column(term, access.name, table) in access.columns]
        others = [
            term for term in read.terms if term not in by and term.kind in {"equal", "range", "pattern"}
        ]
        if not others or access.inner:
            return None
        led = self._share_of(read, by)
        kept = self._share_of(read, [*by, *others])
        if led is None or kept is None or led * table.rows < MUCH_READ_ROWS or kept > MUCH_FEWER * led:
            return None
        columns = self._columns(read)
        if not columns or self._there(table, columns) or not self._kept_in_copy(read, columns):
            return None
        return self._want(
            read,
            columns,
            "search",
            f"{access.index} leads to {rows_told(led * table.rows)} rows of {table.name}, "
            f"of which the rest of the filter keeps {share_told(kept / led)}",
        )

    def _sought(self, read: Read, steps: list[Step], limit: float | None) -> Judged | bool | None:
        """Look for an index that would spare a scan."""
        table, scope, access = read.table, read.scope, read.access
        columns = self._columns(read)
        filtering = [column for column in columns if column]
        share = self._share_by(read, columns)
        ordered = self._ordered(read)
        if filtering and share is not None and (share <= WANTED_SHARE or access.how == "temporary"):
            columns = self._used(read, columns)
            with_order = self._with_order(read, columns, ordered, steps)
            if self._there(table, with_order):
                return self._unused(read, with_order)
            if self._kept_in_copy(read, with_order):
                return self._want(read, with_order, "scan", self._sentence(read, share))
        few = limit is not None and ordered and not scope.grouped
        if few and limit is not None and limit * 10 < table.rows * (share or 1.0):
            equal = tuple(column for column in columns if column in self._equal(read))
            wanted = _bounded((*equal, *(each for each in ordered if _bare(each) not in equal)))
            if self._there(table, wanted):
                return None
            if self._kept_in_copy(read, wanted, in_order=True):
                told = f"{_all_rows(table)} are read and sorted to give {limit:g}"
                return self._want(read, wanted, "scan", told)
        extreme = self._extreme(read)
        if (
            extreme
            and not self._there(table, (extreme,))
            and self._kept_in_copy(read, (extreme,), in_order=True)
        ):
            told = f"{_all_rows(table)} are read for the one at an end of {extreme}"
            return self._want(read, (extreme,), "scan", told)
        return self._alternatives(read) or self._unhelped(read)

    def _columns(self, read: Read) -> tuple[str, ...]:
        """Return the columns by which an index would find rows: equal ones, those that keep fewest first."""
        table, name = read.table, read.access.name
        equal: dict[str, float] = {}
        ranges: dict[str, float] = {}
        for term in read.terms:
            column = _column(term, name, table)
            if not column:
                continue
            if term.kind == "join" or (term.kind == "equal" and term.asks):
                equal.setdefault(column, table.repeat(column))
            elif term.kind == "equal":
                share = table.share(name, [term])
                equal[column] = min(equal.get(column, 1.0), table.repeat(column) if share is None else share)
            elif term.kind in {"range", "pattern"} and not self._anywhere(term):
                share = table.share(
                    name, [each for each in read.terms if _is_range_of(each, column, name, table)]
                )
                ranges[column] = 0.3 if share is None else share
        usable = list(self._usable(read, [*equal, *ranges]))
        chosen = sorted(
            (column for column in usable if _bare(column) in equal), key=lambda each: equal[_bare(each)]
        )
        chosen = [column for column in chosen if equal[_bare(column)] <= NO_FILTER_SHARE]
        best = min(
            (each for each in usable if _bare(each) in ranges),
            key=lambda each: ranges[_bare(each)],
            default="",
        )
        # Behind equal ones it costs nothing, and next week's range may be a narrow one.
        if (
            best
            and _bare(best) not in map(_bare, chosen)
            and (chosen or ranges[_bare(best)] <= NO_FILTER_SHARE)
        ):
            chosen.append(best)
        return _bounded(tuple(chosen))

    def _usable(self, read: Read, columns: Sequence[str]) -> Iterator[str]:
        """Yield the columns that the planner would search by, as an index has to name them."""
        if self._copy is None:
            yield from (read.table.columns[column] for column in dict.fromkeys(columns))
            return
        with self._copy.without_indexes(read.table.name):
            for column in dict.fromkeys(columns):
                name = _named(read.table.columns[column])
                for spelled in (name, f"{name} COLLATE NOCASE"):
                    if self._searches(read, spelled):
                        yield spelled
                        break

    def _searches(self, read: Read, column: str) -> bool:
        copy = self._copy
        if copy is None:
            return False
        with copy.trying("perftui_one", read.table.name, [column]) as made:
            plan = copy.plan() if made else None
        return any(each.index == "perftui_one" and each.how == "search" for each in accesses_of(plan or []))

    def _used(self, read: Read, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of the columns of an index by which the planner would search."""
        if self._copy is None:
            return columns
        with self._copy.trying("perftui_used", read.table.name, columns) as made:
            plan = self._copy.plan() if made else None
        used = [each.columns for each in accesses_of(plan or []) if each.index == "perftui_used"]
        return columns[: max((len(each) for each in used), default=0)] or columns

    def _kept_in_copy(self, read: Read, columns: tuple[str, ...], *, in_order: bool = False) -> bool:
        """Tell whether the planner takes an index, and leave it in the copy if so.

        One that is wanted for its order is walked, and need not be searched: then nothing is sorted any more.
        """
        copy = self._copy
        if copy is None:
            return True
        name = index_name(read.table.name, columns)
        with copy.trying(name, read.table.name, columns) as made:
            plan = copy.plan() if made else None
        taken = [each for each in accesses_of(plan or []) if each.index == name]
        searched = any(each.how == "search" for each in taken)
        if plan is None or not taken or not (searched or (in_order and not sorts(plan))):
            return False
        return copy.keep(name, read.table.name, columns)

    def _with_order(
        self, read: Read, columns: tuple[str, ...], ordered: tuple[str, ...], steps: list[Step]
    ) -> tuple[str, ...]:
        """Return columns with those that rows are sorted by behind them, where that spares the sorting."""
        equal = {_bare(column) for column in columns} <= set(self._equal(read))
        more = tuple(each for each in ordered if _bare(each) not in map(_bare, columns))
        copy = self._copy
        if (
            not (more and equal and sorts(steps) and copy is not None)
            or len(columns) + len(more) > MOST_COLUMNS
        ):
            return columns
        for tried in (columns, (*columns, *more)):
            with copy.trying("perftui_order", read.table.name, tried) as made:
                plan = copy.plan() if made else None
            if plan is not None and not sorts(plan):
                return tried
        return columns

    def _share_by(self, read: Read, columns: tuple[str, ...]) -> float | None:
        """Return the share of the table that an index on these columns would lead to in a run."""
        bare = {_bare(column) for column in columns}
        return self._share_of(
            read, [term for term in read.terms if _column(term, read.access.name, read.table) in bare]
        )

    def _share_of(self, read: Read, terms: Sequence[Term]) -> float | None:
        table, name = read.table, read.access.name
        kinds = {"equal", "range", "pattern"}
        share = table.share(name, [term for term in terms if term.kind in kinds and not term.asks])
        if share is None:
            share = 1.0
            for term in terms:
                if term.kind in kinds and not term.asks:
                    one = table.share(name, [term])
                    share *= table.repeat(_column(term, name, table)) if one is None else one
        for term in terms:
            if term.kind == "join" or term.asks:
                repeat = table.repeat(_column(term, name, table))
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
                table = self._table(scope.tables[alias]) if alias in scope.tables else None
                if table is not None:
                    terms = [
                        each for each in _about(scope, alias, table) if each.kind != "join" and not each.asks
                    ]
                    return max(table.kept(alias, terms), 1.0)
        return UNKNOWN_ROWS

    def _equal(self, read: Read) -> list[str]:
        return [
            _column(term, read.access.name, read.table)
            for term in read.terms
            if term.kind in {"equal", "join"}
        ]

    def _ordered(self, read: Read) -> tuple[str, ...]:
        """Return the columns that a query's rows are sorted by, if all are this table's."""
        scope, table = read.scope, read.table
        if scope.grouped or not scope.order:
            return ()
        names: list[str] = []
        for each in scope.order:
            alias, column = each.column
            if alias.lower() not in {"", read.access.name.lower()} or not table.has(column):
                return ()
            names.append(_named(table.columns[column.lower()]))
        ways = {each.descending for each in scope.order}
        if len(ways) == 1:
            return tuple(names)
        return tuple(
            f"{name} DESC" if each.descending else name for name, each in zip(names, scope.order, strict=True)
        )

    def _limit(self, scope: Scope) -> float | None:
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

    def _extreme(self, read: Read) -> str:
        """Return the column whose least or greatest value is all that a query wants."""
        scope, table = read.scope, read.table
        if len(split(scope.selects, ",")) != 1 or scope.grouped or len(scope.tables) != 1 or scope.terms:
            return ""
        tokens = [token for token in scope.selects if token.word != "AS"]
        call = next((tokens[:end] for end in range(3, len(tokens) + 1) if is_call(tokens[:end])), None)
        if call is None or call[0].word not in {"MIN", "MAX"}:
            return ""
        column = call[-2].name.lower()
        return _named(table.columns[column]) if len(call) <= 6 and column in table.columns else ""

    def _anywhere(self, term: Term) -> bool:
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

    def _there(self, table: Table, columns: tuple[str, ...]) -> bool:
        bare = tuple(_bare(column) for column in columns)
        return any(covers(index, bare) for index in table.indexes)

    def _alternatives(self, read: Read) -> bool | None:
        """Look whether an index for each side of an OR would spare the scan."""
        table, name, copy = read.table, read.access.name, self._copy
        for term in read.terms:
            share = table.share(name, [term]) if term.kind == "or" else None
            if copy is None or share is None or share > WANTED_SHARE:
                continue
            sides = [
                next(
                    (
                        c
                        for one in side
                        if one.kind in {"equal", "range"} and (c := _column(one, name, table))
                    ),
                    "",
                )
                for side in term.branches
            ]
            missing = [
                column for column in dict.fromkeys(sides) if column and not self._there(table, (column,))
            ]
            if not all(sides) or not missing or len(missing) > MOST_ROUNDS:
                continue
            names = [(_named(table.columns[column]),) for column in missing]
            made = [copy.keep(index_name(table.name, each), table.name, each) for each in names]
            taken = {each.index for each in accesses_of(copy.plan() or []) if each.how == "search"}
            if all(made) and taken >= {index_name(table.name, each) for each in names}:
                told = f"{self._sentence(read, share)}; each side of the OR wants an index of its own"
                for each in names:
                    self._want(read, each, "scan", told)
                return True
        return None

    def _unhelped(self, read: Read) -> Judged:
        """Say why no index would spare a scan."""
        table, name = read.table, read.access.name
        rows = f"{_all_rows(table)} are read"
        if not read.terms:
            return Judged("full", table.name, (), f"{rows}: nothing is filtered")
        for term in read.terms:
            if why := self._why_not(term):
                columns = tuple(
                    dict.fromkeys(each.column for each in term.all_columns() if table.has(each.column))
                )
                lower = {column.lower() for column in columns}
                there = next(
                    (each for each in table.indexes if each.columns and each.columns[0] in lower), None
                )
                by = f"the index {there.name} can't be used" if there else "no index on it could be used"
                return Judged("unusable-index", table.name, columns, f"{rows}: {by}, {why}")
        filters = [term for term in read.terms if term.kind != "join" and not term.asks]
        share = table.share(name, filters)
        columns = tuple(dict.fromkeys(filter(None, (_column(term, name, table) for term in read.terms))))
        if not filters:
            return Judged(
                "most-rows", table.name, columns, f"{rows}, and joined: no filter leads to some of them"
            )
        if share is not None and share > WANTED_SHARE:
            kept = f"{rows}, of which about {share_told(share)} are kept: an index would not spare it much"
            return Judged("most-rows", table.name, columns, kept)
        return Judged("fine", table.name, columns, f"{rows}: no index is known that would spare it")

    def _why_not(self, term: Term) -> str:
        if term.kind == "pattern" and self._anywhere(term):
            return f"since the pattern for {term.column.column} may begin with anything"
        if term.kind == "pattern":
            return f"since LIKE compares without regard to case, and {term.column.column} does not"
        if term.kind == "wrapped":
            return f"since it is {shaped(term.wrapping)} that is compared, and not the column"
        if term.kind == "negated" and term.column.column:
            return f"since what {term.column.column} is not leads nowhere"
        return ""

    def _unused(self, read: Read, columns: tuple[str, ...]) -> Judged:
        table = read.table
        there = next(each for each in table.indexes if covers(each, tuple(map(_bare, columns))))
        return Judged(
            "unused-index",
            table.name,
            there.columns,
            f"{table.name} is read whole although there is the index {there.name}: what SQLite knows of its "
            "values may be old (ANALYZE)",
        )

    def _sentence(self, read: Read, share: float) -> str:
        table = read.table
        kept = f"about {share_told(share)} of them"
        if read.access.how == "temporary":
            return f"{_all_rows(table)} are read to make an index for this one run"
        if read.access.inner:
            return f"{_all_rows(table)} are read again and again, to find {kept}"
        return f"{_all_rows(table)} are read to find {kept}"

    def _want(self, read: Read, columns: tuple[str, ...], kind: str, sentence: str) -> bool:
        table = _named(read.table.name)
        name = index_name(read.table.name, tuple(map(_bare, columns)))
        create = f"CREATE INDEX {name} ON {table} ({', '.join(columns)})"
        told = tuple(_column_of(column) for column in columns)
        checked = CHECKED if self._copy is not None else ""
        self._wanted.append(Wanted(read.table.name, told, create, checked))
        self._verdicts.append(Judged(kind, read.table.name, told, sentence))  # type: ignore[arg-type]  # one of two
        return True


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


def _about(scope: Scope, alias: str, table: Table) -> list[Term]:
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


def _column(term: Term, alias: str, table: Table) -> str:
    """Return the column of a table that a term is about, in lower case; empty if it is another's."""
    for name in (term.column, term.other):
        if name is None or not name.column or not table.has(name.column):
            continue
        if name.table.lower() == alias.lower() or not name.table:
            return name.column.lower()
    return ""


def _is_range_of(term: Term, column: str, alias: str, table: Table) -> bool:
    return term.kind in {"range", "pattern"} and _column(term, alias, table) == column and not term.asks


def _column_of(column: str) -> str:
    """Return the name in what an index says of a column."""
    return column.removesuffix(" DESC").removesuffix(" COLLATE NOCASE").strip('"')


def _bare(column: str) -> str:
    """Return that name in lower case, in which all are compared."""
    return _column_of(column).lower()


def _named(name: str) -> str:
    """Return a name, in quotes if it needs them."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
    return name if plain and name.upper() not in _RESERVED else quoted(name)


_RESERVED = frozenset(
    [
        "ORDER",
        "GROUP",
        "INDEX",
        "TABLE",
        "SELECT",
        "FROM",
        "WHERE",
        "TO",
        "VALUES",
        "DEFAULT",
        "CHECK",
        "KEY",
        "PRIMARY",
        "UNIQUE",
        "REFERENCES",
        "LIMIT",
        "SET",
        "TRANSACTION",
        "UPDATE",
        "DELETE",
        "INSERT",
        "ADD",
        "ALL",
        "AND",
        "AS",
        "BETWEEN",
        "CASE",
        "COLLATE",
        "COLUMN",
        "COMMIT",
        "CONSTRAINT",
        "CREATE",
        "DROP",
        "DISTINCT",
        "ELSE",
        "ESCAPE",
        "EXCEPT",
        "EXISTS",
        "FOREIGN",
        "HAVING",
        "IN",
        "INTERSECT",
        "INTO",
        "IS",
        "ISNULL",
        "JOIN",
        "NOT",
        "NOTNULL",
        "NULL",
        "ON",
        "OR",
        "THEN",
        "UNION",
        "USING",
        "WHEN",
        "USER",
        "DESC",
        "ASC",
        "END",
    ]
)


def _all_rows(table: Table) -> str:
    return f"{'some' if table.about else 'all'} {rows_told(table.rows)} rows of {table.name}"


def _bounded(columns: tuple[str, ...]) -> tuple[str, ...]:
    return columns[:MOST_COLUMNS]
