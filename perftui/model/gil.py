"""Who held a worker's GIL over a window: shares of the time, estimated from looks at it, with their error."""

from __future__ import annotations

import math

from perftui.record import Record
from perftui_agent.wire.gil import GilStats

ENOUGH_LOOKS = 10
"""From fewer nothing is told: it would be right within 30 points."""

_NORMAL_95 = 1.96


class Holder(Record, frozen=True):
    """Somebody who held it."""

    thread: str
    """Its name; empty for several that are not told apart."""
    where: str
    """The innermost function of the app's own that was running; empty between those."""
    route: str
    share: float
    """Of the time, 0…1."""


class Gil(Record, frozen=True):
    """How often a worker's GIL was held by somebody else than the agent."""

    looks: int
    share: float
    """Of the time, 0…1."""
    error: float
    """In 95 of 100 cases the share is no further off than this."""
    known: float = 0.0
    """Of the looks that found it held, those that were asked for who that was; on them rests …"""
    by: tuple[Holder, ...] = ()
    """… who held it, longest first."""


def gil_of(counted: GilStats | None) -> Gil | None:
    """Return the estimate; None from too few looks."""
    if counted is None or counted.looks < ENOUGH_LOOKS or not counted.over_ns:
        return None
    looks = counted.looks
    share = min(counted.held_ns / counted.over_ns, 1.0)
    known = sum(each.looks for each in counted.by)
    return Gil(
        looks=looks,
        share=share,
        error=margin(share, looks),
        known=known,
        by=tuple(
            [
                Holder(each.thread, each.where, each.route, share * each.looks / known)
                for each in sorted(counted.by, key=lambda each: (not each.thread, -each.looks))
            ]
        )
        if known
        else (),
    )


def margin(share: float, looks: int) -> float:
    """Return how far a share may be off, at 95 %: half of Wilson's interval, which is not nothing at 0."""
    z = _NORMAL_95
    return z / (1 + z * z / looks) * math.sqrt(share * (1 - share) / looks + z * z / (4 * looks * looks))
