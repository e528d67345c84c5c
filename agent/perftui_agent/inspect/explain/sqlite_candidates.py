"""Which columns an index would be on for SQLite's planner to go by it: tried in a copy of the schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perftui_agent.inspect.explain.facts import MOST_COLUMNS, NO_FILTER_SHARE, index_name
from perftui_agent.inspect.explain.names import bounded
from perftui_agent.inspect.explain.sqlite_copy import Copy
from perftui_agent.inspect.explain.sqlite_plan import Step, accesses_of, sorts
from perftui_agent.inspect.explain.sqlite_reads import Read, Reading, bare, column_in, named_here
from perftui_agent.inspect.explain.sqlite_tables import Table
from perftui_agent.inspect.explain.terms import Term


class Candidates:
    """Indexes for one statement; without a copy, those that its text suggests."""

    def __init__(self, reading: Reading, copy: Copy | None) -> None:
        self._reading = reading
        self._copy = copy

    def columns(self, read: Read) -> tuple[str, ...]:
        """Return the columns by which an index would find rows: equal ones, those that keep fewest first."""
        table, name = read.table, read.access.name
        equal: dict[str, float] = {}
        ranges: dict[str, float] = {}
        for term in read.terms:
            column = column_in(term, name, table)
            if not column:
                continue
            if term.kind == "join" or (term.kind == "equal" and term.asks):
                equal.setdefault(column, table.repeat(column))
            elif term.kind == "equal":
                share = table.share(name, [term])
                equal[column] = min(equal.get(column, 1.0), table.repeat(column) if share is None else share)
            elif term.kind in {"range", "pattern"} and not self._reading.anywhere(term):
                share = table.share(
                    name, [each for each in read.terms if _is_range_of(each, column, name, table)]
                )
                ranges[column] = 0.3 if share is None else share
        usable = list(self._usable(read, [*equal, *ranges]))
        chosen = sorted(
            (column for column in usable if bare(column) in equal), key=lambda each: equal[bare(each)]
        )
        chosen = [column for column in chosen if equal[bare(column)] <= NO_FILTER_SHARE]
        best = min(
            (each for each in usable if bare(each) in ranges),
            key=lambda each: ranges[bare(each)],
            default="",
        )
        # Behind equal ones it costs nothing, and next week's range may be a narrow one.
        if best and bare(best) not in map(bare, chosen) and (chosen or ranges[bare(best)] <= NO_FILTER_SHARE):
            chosen.append(best)
        return bounded(tuple(chosen))

    def _usable(self, read: Read, columns: Sequence[str]) -> Iterator[str]:
        """Yield the columns that the planner would search by, as an index has to name them."""
        if self._copy is None:
            yield from (read.table.columns[column] for column in dict.fromkeys(columns))
            return
        with self._copy.without_indexes(read.table.name):
            for column in dict.fromkeys(columns):
                name = named_here(read.table.columns[column])
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

    def used(self, read: Read, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of the columns of an index by which the planner would search."""
        if self._copy is None:
            return columns
        with self._copy.trying("perftui_used", read.table.name, columns) as made:
            plan = self._copy.plan() if made else None
        used = [each.columns for each in accesses_of(plan or []) if each.index == "perftui_used"]
        return columns[: max((len(each) for each in used), default=0)] or columns

    def takes(self, read: Read, columns: tuple[str, ...], *, in_order: bool = False) -> bool:
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

    def with_order(
        self, read: Read, columns: tuple[str, ...], ordered: tuple[str, ...], steps: list[Step]
    ) -> tuple[str, ...]:
        """Return columns with those that rows are sorted by behind them, where that spares the sorting."""
        equal = {bare(column) for column in columns} <= set(self._reading.equal(read))
        more = tuple(each for each in ordered if bare(each) not in map(bare, columns))
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


def _is_range_of(term: Term, column: str, alias: str, table: Table) -> bool:
    return term.kind in {"range", "pattern"} and column_in(term, alias, table) == column and not term.asks
