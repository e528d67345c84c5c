"""How a database goes about a statement, as it is asked for and told.

A statement is named by the fingerprint that frames tell it under, never by its text. No value is in any of
it: plans hold the literals of a statement, and each of them is `?` by the time it gets here.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from perftui_agent.wire.parts import Part, Value

Nanoseconds: TypeAlias = int

PLAN_CHANGED = "plan-changed"
"""The kind of evidence that tells of a plan which is another than before."""


class ExplainRequest(Part, tag="explain"):
    """Asks for the plan of a statement; of the agent's own worker alone."""

    id: str
    pid: int | None = None
    fingerprint: str = ""


class Verdict(Value, frozen=True):
    """One thing to be said of a plan."""

    kind: str
    """`scan`, `search`: an index is missing. `small-table`, `most-rows`, `stops-early`, `unusable-index`,
    `unused-index`, `full`, `fine`: a table is read whole, and why no index is advised. `sort`, `estimate`."""
    table: str = ""
    columns: tuple[str, ...] = ()
    sentence: str = ""


class MissingIndex(Value, frozen=True):
    """An index that would spare a scan."""

    table: str
    columns: tuple[str, ...]
    create: str
    """The statement to try."""
    checked: str = ""
    """By what it is known that the planner would take it; empty: it is expected to."""


class PlanNote(Value, frozen=True):
    """What an agent has found, of its own accord or asked, of a statement's plan; told while that is slow."""

    fingerprint: str
    taken_at: Nanoseconds
    database: str = ""
    kind: str = ""
    """`postgresql`, `sqlite`."""
    verdicts: tuple[Verdict, ...] = ()
    """The first few."""
    missing: tuple[MissingIndex, ...] = ()
    changed: str = ""
    """How it differs from the plan before."""
    changed_at: Nanoseconds = 0


class Explanation(Part, tag="explain-result"):
    """The plan of a statement, and what it is worth."""

    id: str
    pid: int
    taken_at: Nanoseconds
    took_ns: Nanoseconds
    fingerprint: str
    statement: str = ""
    """Its shape."""
    database: str = ""
    kind: str = ""
    """`postgresql`, `sqlite`."""
    run_ns: Nanoseconds = 0
    """How long the run took whose values it was planned for: the slowest."""
    plan: list[str] = msgspec.field(default_factory=list)
    verdicts: list[Verdict] = msgspec.field(default_factory=list)
    missing: list[MissingIndex] = msgspec.field(default_factory=list)
    note: str = ""
    changed: str = ""
    changed_at: Nanoseconds = 0
