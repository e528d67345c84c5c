"""What is known of the tables that a statement reads, whatever database they are in, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from perftui_agent.inspect.database.read_only import Row

SMALL_ROWS = 2_000
"""A table with fewer is read in a millisecond: an index would gain nothing that anybody feels."""

WANTED_SHARE = 0.08
"""Of a table's rows: where a filter keeps more, an index leads to most of its pages one by one, and a planner
rather reads all of it. It lies between one value in twenty, which an index finds, and one in ten."""

MOST_COLUMNS = 4
"""Of an index that is advised."""

NO_FILTER_SHARE = 0.75
"""What keeps more of the rows is no filter worth a column."""

MUCH_READ_ROWS = 10_000
"""By an index: from there on it is asked whether another one would lead to fewer."""

MUCH_FEWER = 0.05

VerdictKind: TypeAlias = Literal[
    "scan", "search", "small-table", "most-rows", "stops-early", "unusable-index", "unused-index", "full",
    "sort", "estimate", "fine",
]  # fmt: skip
"""`scan`, `search`: an index is missing; it has been looked at and is all right, or what else there is."""


class Index(NamedTuple):
    """An index that there is."""

    name: str
    columns: tuple[str, ...]
    """In lower case where names are; of an expression its text."""
    partial: bool = False


class Wanted(NamedTuple):
    """An index that is missing."""

    table: str
    columns: tuple[str, ...]
    create: str
    """The statement that makes it."""
    checked: str = ""
    """By what it has been seen that the planner would take it."""


class Judged(NamedTuple):
    """One thing to be said of a plan."""

    kind: VerdictKind
    table: str
    columns: tuple[str, ...]
    sentence: str


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What a database's plan for a statement is worth. Nothing in it is a value."""

    kind: str
    plan: list[str]
    """A line for each step, indented."""
    verdicts: list[Judged]
    wanted: list[Wanted]
    signature: str
    """What makes it the same plan: its steps, without estimates."""
    note: str = ""


def first(rows: Sequence[Row]) -> Row:
    """Return the first row, or none at all as an empty one."""
    return rows[0] if rows else ()


def quoted(name: str) -> str:
    """Return a name as it can stand in a statement, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def covers(index: Index, columns: tuple[str, ...]) -> bool:
    """Tell whether an index leads to these columns already."""
    leading = [column.lower() for column in index.columns[: len(columns)]]
    return not index.partial and sorted(leading) == sorted(column.lower() for column in columns)


def index_name(table: str, columns: tuple[str, ...]) -> str:
    """Return what to call an index on these columns."""
    words = re.sub(r"\W+", "_", "_".join((table, *columns))).strip("_").lower()
    return f"ix_{words}"[:60]


def rows_told(rows: float) -> str:
    """Return a number of rows as people say it: `1,200`, `48,000`, `1.2 million`."""
    if rows < 10_000:
        return f"{rows:,.0f}"
    if rows < 1_000_000:
        return f"{round(rows, -3):,.0f}"
    return f"{rows / 1e6:.1f} million"


def share_told(share: float) -> str:
    """Return a share of a table as people say it: it was sampled."""
    if share < 0.001:
        return "less than 0.1 %"
    return f"about {share * 100:.1f} %" if share < 0.0995 else f"about {share * 100:.0f} %"
