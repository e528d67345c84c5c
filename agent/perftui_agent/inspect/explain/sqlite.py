"""What SQLite's plan for a statement is worth: what it scans, why, and which index its planner would take."""

from __future__ import annotations

from typing import Any

from perftui_agent.inspect.database.read_only import Ask
from perftui_agent.inspect.explain.facts import (
    MUCH_FEWER,
    MUCH_READ_ROWS,
    SMALL_ROWS,
    WANTED_SHARE,
    Explained,
    Judged,
    Wanted,
    index_name,
    rows_told,
    share_told,
)
from perftui_agent.inspect.explain.names import all_rows, bounded
from perftui_agent.inspect.explain.sqlite_candidates import Candidates
from perftui_agent.inspect.explain.sqlite_copy import Copy, copy_of
from perftui_agent.inspect.explain.sqlite_plan import Step, accesses_of, lines_of, sorts, steps_of
from perftui_agent.inspect.explain.sqlite_reads import (
    Read,
    Reading,
    bare,
    column_in,
    column_of,
    has_index_on,
    named_here,
)
from perftui_agent.inspect.explain.sqlite_unhelped import found_by_scan, unhelped, unused
from perftui_agent.inspect.explain.tokens import tokens_of

CHECKED = "SQLite's planner takes it, in a copy of the schema"

MOST_ROUNDS = 3
"""Indexes that are advised for one statement: each makes another plan, in which the next may be missing."""


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
        self._copy = copy
        self._reading = Reading(ask, text, parameters)
        self._candidates = Candidates(self._reading, copy)
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
            for read in self._reading.reads(access):
                found = self._looked_at(read, steps)
                if found is True:
                    return True
                if isinstance(found, Judged) and not again:
                    self._verdicts.append(found)
                    break
        return False

    def _looked_at(self, read: Read, steps: list[Step]) -> Judged | bool | None:
        """Return what is to be said of a table that is read, True if an index was found to be wanted."""
        access, table = read.access, read.table
        if access.how == "search":
            return self._searched(read)
        extreme = self._reading.extreme(read)
        if extreme and has_index_on(table, (extreme,)):
            return None
        if table.rows < SMALL_ROWS and not access.inner:
            sentence = f"{all_rows(table)} are read: that is quick"
            return Judged("small-table", table.name, (), sentence)
        filters = [term for term in read.terms if term.kind != "join"]
        kept = table.share(access.name, [term for term in filters if not term.asks])
        limit = self._reading.limit(read.scope)
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
        by = [term for term in read.terms if column_in(term, access.name, table) in access.columns]
        others = [
            term for term in read.terms if term not in by and term.kind in {"equal", "range", "pattern"}
        ]
        if not others or access.inner:
            return None
        led = self._reading.share_of(read, by)
        kept = self._reading.share_of(read, [*by, *others])
        if led is None or kept is None or led * table.rows < MUCH_READ_ROWS or kept > MUCH_FEWER * led:
            return None
        columns = self._candidates.columns(read)
        if not columns or has_index_on(table, columns) or not self._candidates.takes(read, columns):
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
        columns = self._candidates.columns(read)
        filtering = [column for column in columns if column]
        share = self._reading.share_by(read, columns)
        ordered = self._reading.ordered(read)
        if filtering and share is not None and (share <= WANTED_SHARE or access.how == "temporary"):
            columns = self._candidates.used(read, columns)
            with_order = self._candidates.with_order(read, columns, ordered, steps)
            if has_index_on(table, with_order):
                return unused(read, with_order)
            if self._candidates.takes(read, with_order):
                return self._want(read, with_order, "scan", found_by_scan(read, share))
        few = limit is not None and ordered and not scope.grouped
        if few and limit is not None and limit * 10 < table.rows * (share or 1.0):
            equal = tuple(column for column in columns if column in self._reading.equal(read))
            wanted = bounded((*equal, *(each for each in ordered if bare(each) not in equal)))
            if has_index_on(table, wanted):
                return None
            if self._candidates.takes(read, wanted, in_order=True):
                told = f"{all_rows(table)} are read and sorted to give {limit:g}"
                return self._want(read, wanted, "scan", told)
        extreme = self._reading.extreme(read)
        if (
            extreme
            and not has_index_on(table, (extreme,))
            and self._candidates.takes(read, (extreme,), in_order=True)
        ):
            told = f"{all_rows(table)} are read for the one at an end of {extreme}"
            return self._want(read, (extreme,), "scan", told)
        return self._alternatives(read) or unhelped(self._reading, read)

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
                        if one.kind in {"equal", "range"} and (c := column_in(one, name, table))
                    ),
                    "",
                )
                for side in term.branches
            ]
            missing = [
                column for column in dict.fromkeys(sides) if column and not has_index_on(table, (column,))
            ]
            if not all(sides) or not missing or len(missing) > MOST_ROUNDS:
                continue
            names = [(named_here(table.columns[column]),) for column in missing]
            made = [copy.keep(index_name(table.name, each), table.name, each) for each in names]
            taken = {each.index for each in accesses_of(copy.plan() or []) if each.how == "search"}
            if all(made) and taken >= {index_name(table.name, each) for each in names}:
                told = f"{found_by_scan(read, share)}; each side of the OR wants an index of its own"
                for each in names:
                    self._want(read, each, "scan", told)
                return True
        return None

    def _want(self, read: Read, columns: tuple[str, ...], kind: str, sentence: str) -> bool:
        table = named_here(read.table.name)
        name = index_name(read.table.name, tuple(map(bare, columns)))
        create = f"CREATE INDEX {name} ON {table} ({', '.join(columns)})"
        told = tuple(column_of(column) for column in columns)
        checked = CHECKED if self._copy is not None else ""
        self._wanted.append(Wanted(read.table.name, told, create, checked))
        self._verdicts.append(Judged(kind, read.table.name, told, sentence))  # type: ignore[arg-type]  # one of two
        return True
