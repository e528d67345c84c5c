"""How much room is left once a limit is mended: at which rate each other resource will be full.

Takes how full each resource was in the steps that were kept up, gives the rate at which it reaches the top of
what it can. A line through the steps, not their ratio: what a process and a machine do without any request
(an agent, a sender, somebody else's work) does not grow with the rate, and at low rates it is most of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from perftui.ramp.resources import EXPLAINS, FULL, MOST_FACTOR, Kind
from perftui.record import Record

Used: TypeAlias = Sequence[tuple[float, Mapping[Kind, float]]]
"""Rates that were kept up, with how full each resource was, 0…1."""

LEAST_FACTOR = 1.5
"""A mend by less would be felt by nobody, even where the next limit is near."""

UNFIT: frozenset[Kind] = frozenset({"memory", "gil", "accept-queue"})
"""What no line is drawn for: memory grows with time and not with the rate, the GIL is never fuller than the
processor that its process takes, and a queue is empty until it overflows."""

OWN_USE: Mapping[Kind, frozenset[Kind]] = {
    # Processor time is what was taken, quota or not: it bounds what comes after it all the same.
    "quota": EXPLAINS["quota"] - {"loop", "cpu"},
    # More processes bring pools and threads of their own; the machine and its quota stay what they are.
    "loop": frozenset({"threadpool", "pool", "client-pool", "database", "upstream"}),
    "gil": frozenset({"loop", "threadpool", "pool", "client-pool", "database", "upstream"}),
}
"""What is full because of a limit, or grows with its mend: it does not bound what the mend gives."""


class Room(Record, frozen=True):
    """What is left beyond the knee."""

    knee_rps: float = 0.0
    full_at: Mapping[Kind, float] = msgspec.field(default_factory=dict)
    """The rate at which a resource is full; those alone whose use grew with the rate."""

    def next_to(self, kind: Kind) -> tuple[Kind, float] | None:
        """Return what is full next once this limit is mended, and at which rate; None if nothing is known."""
        own = OWN_USE.get(kind, EXPLAINS.get(kind, frozenset())) | {kind}
        others = [(rate, other) for other, rate in self.full_at.items() if other not in own]
        if not others:
            return None
        rate, other = min(others)
        return other, rate

    def factor(self, kind: Kind) -> float:
        """Return by how much a resource of this kind should grow, until the next one is full."""
        following = self.next_to(kind)
        if following is None or not self.knee_rps:
            return MOST_FACTOR
        return min(max(following[1] / self.knee_rps, LEAST_FACTOR), MOST_FACTOR)

    def promised(self, kind: Kind, factor: float) -> float:
        """Return the rate to expect once this limit is so many times as high: its own, or the next one's."""
        mended = self.knee_rps * min(factor, MOST_FACTOR)
        following = self.next_to(kind)
        return mended if following is None else min(mended, following[1])


def room_of(knee_rps: float, used: Used) -> Room:
    """Return the room beyond a knee."""
    kinds = {kind for _, shares in used for kind in shares} - UNFIT
    found = {
        kind: _full_at([(rate, shares[kind]) for rate, shares in used if kind in shares]) for kind in kinds
    }
    return Room(knee_rps, {kind: rate for kind, rate in sorted(found.items()) if rate is not None})


def _full_at(points: Sequence[tuple[float, float]]) -> float | None:
    rest, grows = _line(points)
    if grows <= 0:
        return None
    # What was kept up was possible, however full a machine was that others used as well.
    return max((FULL - rest) / grows, *(rate for rate, _ in points))


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return what was used without any request, and what each request a second adds."""
    if len({rate for rate, _ in points}) >= 3:
        mean_rate = sum(rate for rate, _ in points) / len(points)
        mean_share = sum(share for _, share in points) / len(points)
        spread = sum((rate - mean_rate) ** 2 for rate, _ in points)
        grows = sum((rate - mean_rate) * (share - mean_share) for rate, share in points) / spread
        if (rest := mean_share - grows * mean_rate) >= 0:
            return min(rest, FULL), grows
    return 0.0, sum(rate * share for rate, share in points) / sum(rate * rate for rate, _ in points)
