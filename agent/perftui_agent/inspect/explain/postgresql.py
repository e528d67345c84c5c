"""What PostgreSQL's plan for a statement is worth: what it scans, why, and which index would spare that."""

from __future__ import annotations

import contextlib
from typing import Any

from perftui_agent.inspect.database.read_only import Ask, AskError
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
from perftui_agent.inspect.explain.postgresql_reads import (
    Read,
    about,
    bare,
    index_on,
    named_here,
    named_table,
    side_of,
)
from perftui_agent.inspect.explain.postgresql_tables import Table
from perftui_agent.inspect.explain.postgresql_unhelped import unhelped

DOUBTED, DOUBTED_ROWS = 10.0, 2_000
"""An estimate that is out by such a factor, and by so many rows, makes a planner choose wrongly."""

SORTED_ROWS = 10_000
"""From there on a sort is worth a word."""


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
                self._judge(Read(access, table, about(access, table)))
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
            self._say("small-table", table, (), f"{all_rows(table)} are read: that is quick")
            return
        if read.rows_read() < SMALL_ROWS:
            self._say(
                "stops-early",
                table,
                (),
                f"{table.name} is read from the beginning, until there are enough rows",
            )
            return
        if table.rows >= SMALL_ROWS / 4:
            self._scanned(read)

    def _scanned(self, read: Read) -> None:
        access, table = read.access, read.table
        columns = read.columns()
        share = read.share(columns)
        self._doubt(read)
        if columns and share is not None and read.pays(columns, share):
            with_order = read.with_order(columns)
            there = index_on(table, with_order) or index_on(table, columns)
            if there:
                sentence = (
                    f"{table.name} is read whole although there is the index {there}: ANALYZE {table.name}"
                )
                self._say("unused-index", table, columns, f"{sentence} has the planner know its values")
                return
            self._want(read, with_order, "scan", self._found(read, share))
            return
        ordered = read.ordered()
        if access.limit is not None and ordered and access.limit * 10 < table.rows * read.kept():
            equal = tuple(column for column in columns if column in read.equal())
            wanted = bounded((*equal, *(each for each in ordered if bare(each) not in equal)))
            if not index_on(table, wanted):
                told = f"{all_rows(table)} are read and sorted to give {access.limit:,.0f}"
                self._want(read, wanted, "scan", told)
                return
        if access.extreme in table.types and not index_on(table, (access.extreme,)):
            told = f"{all_rows(table)} are read for the one at an end of {access.extreme}"
            self._want(read, (named_here(access.extreme),), "scan", told)
            return
        if not self._alternatives(read):
            self._verdicts.append(unhelped(read))

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
        columns = read.columns()
        if columns and not index_on(table, columns):
            sentence = (
                f"{access.index} leads to {rows_told(led * table.rows)} rows of {table.name}, "
                f"of which the rest of the filter keeps {share_told(kept / led)}"
            )
            self._want(read, columns, "search", sentence)

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

    def _alternatives(self, read: Read) -> bool:
        """Look whether an index for each side of an OR would spare the scan."""
        access, table = read.access, read.table
        for term in access.filters:
            share = table.share(access.alias, [term]) if term.kind == "or" else None
            if share is None or share > WANTED_SHARE:
                continue
            sides = [side_of(side, access.alias, table) for side in term.branches]
            missing = [column for column in dict.fromkeys(sides) if column and not index_on(table, (column,))]
            if all(sides) and missing:
                for column in missing:
                    told = f"{self._found(read, share)}; each side of the OR wants an index of its own"
                    self._want(read, (named_here(column),), "scan", told)
                return True
        return False

    def _found(self, read: Read, share: float) -> str:
        again = " again and again," if read.access.inner else ""
        return f"{all_rows(read.table)} are read{again} to find {share_told(share)} of them"

    def _say(self, kind: str, table: Table, columns: tuple[str, ...], sentence: str) -> None:
        said = Judged(kind, table.name, columns, sentence)  # type: ignore[arg-type]  # one of the kinds
        if said not in self._verdicts:
            self._verdicts.append(said)

    def _want(self, read: Read, columns: tuple[str, ...], kind: str, sentence: str) -> None:
        schema, name = read.table.shown
        table = named_table(name) if schema == "public" else f"{named_table(schema)}.{named_table(name)}"
        told = tuple(bare(column) for column in columns)
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
