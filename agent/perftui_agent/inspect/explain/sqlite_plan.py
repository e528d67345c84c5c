"""What SQLite says in an EXPLAIN QUERY PLAN, step by step; of every version since 3.24."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

How: TypeAlias = Literal["scan", "walk", "temporary", "search"]
"""All of a table; all of it in an index's order; all of it, to make an index for this run; some of it."""

_STEP = re.compile(
    r"(?P<verb>SCAN|SEARCH) (?:TABLE )?(?P<table>.+?)(?: AS (?P<alias>.+?))?"
    r"(?: USING (?P<temporary>AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?(?:INDEX(?: (?P<index>(?!\().+?))?"
    r"|(?P<key>INTEGER PRIMARY KEY|PRIMARY KEY)))?"
    r"(?: \((?P<terms>.*)\))?(?: LEFT-JOIN)?\Z"
)

_TERM = re.compile(r"(?:\A| AND )(?P<column>\S+?)(?:=|>|<)")

_VIRTUAL = re.compile(r"(VIRTUAL TABLE INDEX \d+):.*")


class Step(NamedTuple):
    """One step of a plan."""

    number: int
    parent: int
    detail: str


class Access(msgspec.Struct, frozen=True):
    """How one table is read."""

    how: How
    name: str
    """What the table is called in the statement."""
    index: str = ""
    columns: tuple[str, ...] = ()
    """By which it is searched."""
    inner: bool = False
    """Whether it is read anew for each row of another table, or of a query around this one."""


def steps_of(rows: Iterable[Sequence[Any]]) -> list[Step]:
    """Return the steps that EXPLAIN QUERY PLAN gives as rows."""
    return [Step(int(row[0]), int(row[1]), str(row[-1])) for row in rows]


def lines_of(steps: Sequence[Step]) -> list[str]:
    """Return a plan as lines, each as far in as it is deep."""
    depths: dict[int, int] = {}
    lines: list[str] = []
    for step in steps:
        depths[step.number] = depths.get(step.parent, -1) + 1
        lines.append("  " * depths[step.number] + _VIRTUAL.sub(r"\1", step.detail))
    return lines


def accesses_of(steps: Sequence[Step]) -> list[Access]:
    """Return how each table is read, in the order in which that happens."""
    by_number = {step.number: step for step in steps}
    before: set[int] = set()
    """The parents below which a table has been read already: the next is read for each of its rows."""
    accesses: list[Access] = []
    for step in steps:
        access = _access(step, inner=step.parent in before or _is_correlated(step, by_number))
        if access is not None:
            accesses.append(access)
            before.add(step.parent)
        elif step.detail.startswith("SCAN ") and "CONSTANT ROW" not in step.detail:
            before.add(step.parent)
    return accesses


def sorts(steps: Sequence[Step], by: str = "ORDER BY") -> bool:
    """Tell whether rows are sorted in the end."""
    return any("USE TEMP B-TREE" in step.detail and by in step.detail for step in steps)


def _access(step: Step, *, inner: bool) -> Access | None:
    match = _STEP.match(step.detail)
    if match is None or "CONSTANT ROW" in step.detail or match["table"].startswith("("):
        return None
    if (
        match["table"].endswith(("-ROW VALUES CLAUSE", "-ROWS VALUES CLAUSE"))
        or "VIRTUAL TABLE" in step.detail
    ):
        return None
    columns = tuple(each["column"].lower() for each in _TERM.finditer(match["terms"] or ""))
    # For the least or the greatest value it says SEARCH even where it reads a table or an index from one end.
    searches = match["verb"] == "SEARCH" and match["terms"]
    how: How = "search" if searches else "walk" if match["index"] else "scan"
    if match["temporary"]:
        how = "temporary"
    name = match["alias"] or match["table"].rpartition(".")[2]
    return Access(how, name, match["index"] or match["key"] or "", columns, inner)


def _is_correlated(step: Step, by_number: dict[int, Step]) -> bool:
    parent = by_number.get(step.parent)
    while parent is not None:
        if parent.detail.startswith("CORRELATED"):
            return True
        parent = by_number.get(parent.parent)
    return False
