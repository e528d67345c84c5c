"""What a key is: how terminals name it, what it does, and where."""

from __future__ import annotations

from typing import Literal, TypeAlias

from perftui.record import Record

Place: TypeAlias = Literal[
    "everywhere",
    "replay",
    "ramping",
    "ramp",
    "triage",
    "view",
    "table",
    "rows",
    "evidence",
    "detail",
    "worker",
    "route",
    "timeline",
    "dump",
    "flame",
    "memory",
    "functions",
    "sql",
    "database",
    "statement",
    "explain",
    "help",
    "confirm",
    "filter",
    "export",
    "palette",
]
"""Where a key works: on every screen, on one of them, or in what has the focus."""


class Key(Record, frozen=True):
    """A key (or several that do the same), what it does, and where."""

    keys: tuple[str, ...]
    """As Textual names them."""
    shown: str
    """As people read them."""
    action: str
    label: str
    """One or two words for the bottom line; empty to leave it out there."""
    sentence: str
    place: Place
    weight: int = 50
    """The lighter, the further left in the bottom line; the heaviest give way when there is no room."""
