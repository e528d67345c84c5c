"""Who holds a worker's GIL: counts of looks at it, of which shares of the time are estimated."""

from __future__ import annotations

import msgspec

from perftui_agent.sketch import Count
from perftui_agent.wire.parts import Value

MAX_HOLDERS = 20
"""Told apart in one frame; further ones share one without a name."""


class GilHolder(Value, frozen=True):
    """Who was found to hold it: a thread, and what it was at."""

    thread: str = ""
    """Its name; empty for all those that there was no room for."""
    where: str = ""
    """The innermost function of the app's own, as `app/reports.py:42 build`; empty between those."""
    route: str = ""
    """Whose request it worked for, as far as that is known."""
    looks: float = 0.0
    """In so many of the looks that found it held, each of a tenth of a second; not all of them were asked for
    who that was. Where several may have been it, they share one."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others: lines of one function are one."""
        path, _, rest = self.where.rpartition(":")
        return self.thread, f"{path} {rest.partition(' ')[2]}", self.route


class GilStats(Value, frozen=True):
    """Looks at the GIL, at moments that have nothing to do with what the app does."""

    looks: Count = 0
    over_ns: Count = 0
    """For how long they stand, …"""
    held_ns: Count = 0
    """… and of that, those that found somebody else holding it."""
    by: list[GilHolder] = msgspec.field(default_factory=list)
    """The most frequent first."""


def merged_gil(older: GilStats | None, newer: GilStats | None) -> GilStats | None:
    """Return the looks of both."""
    if older is None or newer is None:
        return newer or older
    return GilStats(
        looks=older.looks + newer.looks,
        over_ns=older.over_ns + newer.over_ns,
        held_ns=older.held_ns + newer.held_ns,
        by=bounded_holders([*older.by, *newer.by]),
    )


def bounded_holders(told: list[GilHolder]) -> list[GilHolder]:
    """Return each holder once, at most so many, the most frequent first."""
    added: dict[tuple[str, str, str], GilHolder] = {}
    for each in told:
        key = each.key
        have = added.get(key)
        if have is None:
            added[key] = each
        else:
            most = max(have, each, key=lambda one: one.looks)
            added[key] = msgspec.structs.replace(most, looks=have.looks + each.looks)
    ordered = sorted(added.values(), key=lambda each: (not each.thread, -each.looks))
    if len(ordered) <= MAX_HOLDERS:
        return ordered
    rest = sum(each.looks for each in ordered[MAX_HOLDERS - 1 :])
    return [*ordered[: MAX_HOLDERS - 1], GilHolder(looks=rest)]
