"""One thing that may have given, with its figures and its mend, and who waits for a lock."""

from __future__ import annotations

from perftui.ramp.resources import Kind
from perftui.record import Record


class Limit(Record, frozen=True):
    """One candidate, and what to do about it."""

    kind: Kind
    subject: str = ""
    sentence: str = ""
    advice: str = ""
    then_rps: float | None = None
    """What the mend should give, an estimate; None where nothing tells."""
    factor: float | None = None
    """How many times as much this very limit lets through once it is mended; None where nothing tells."""
    next_kind: Kind | None = None
    """What is full next, once it is mended, …"""
    next_rps: float | None = None
    """… and the rate at which that is."""
    grew_ms: float = 0.0
    """How much longer an average request took because of it, at the rate that was not kept up."""
    used: float = 0.0
    """How full it was, 0…1."""
    held_ms: float = 0.0
    """For how long each of what is full was held on average: what prolongs that by little fills nothing."""


class Locked(Record, frozen=True):
    """Who waited for a lock in a database, as it said itself."""

    sessions: int
    on: str
    """`a row of items`."""
    database: str


NOTHING = Limit("none", sentence="nothing gave up to the highest rate")
