"""What each name of a table has cost lately: so a full table forgets what matters least, not what came last.

Space-Saving (Metwally et al., 2005), with costs that fade. Who comes into a full table begins with what the
cheapest in it has cost, and so displaces that one, never waits outside for good; who has cost much stays.
The algorithm displaces one at each arrival. Here many are displaced at once, as a frame closes or when the
room for newcomers is used up before.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from heapq import nsmallest
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

HALVED_AFTER_S = 60.0
"""A cost counts for half after so long: what a migration took at start is soon outdone by what runs now."""

_RESCALED_FROM = 1e12


class Costs(Generic[Key]):
    """The names that have a place in a table, and what each has cost."""

    def __init__(self, most: int, newcomers: int, told: int | None = None) -> None:
        """Have room for `most` names, and for so many `newcomers` besides until the frame closes.

        A frame has room for the `told` costliest of them, if not for all.
        """
        self._most = most
        self._newcomers = newcomers
        self._told = most if told is None else told
        self._costs: dict[Key, float] = {}
        self._floor = 0.0
        """What a newcomer begins with."""
        self._weight = 1.0
        """What a nanosecond counts for now: it grows, instead of all that was before being lessened."""
        self.forgotten = 0
        """Names that have lost their place."""

    def __contains__(self, key: Key) -> bool:
        return key in self._costs

    def admit(self, key: Key) -> bool:
        """Give a name its place; False if there is none before others have been `shed`."""
        if key in self._costs:
            return True
        if len(self._costs) >= self._most + self._newcomers:
            return False
        self._costs[key] = self._floor
        return True

    def shed(self, spent: Mapping[Key, int]) -> list[Key]:
        """Make room amid a span: return the cheapest of those that have `spent` something in it so far.

        They have lost their place, and what they have spent is forgotten: count it under another name.
        """
        costs, weight = self._costs, self._weight
        here = {key: costs[key] + ns * weight for key, ns in spent.items() if key in costs}
        cheapest = nsmallest(max(1, self._newcomers // 2), here, key=here.__getitem__)
        for key in cheapest:
            del costs[key]
        self.forgotten += len(cheapest)
        return cheapest

    def close(self, spent: Mapping[Key, int], span_ns: int) -> tuple[list[Key], list[Key]]:
        """Take what each name has cost in a span, in nanoseconds, which may be of any kind of cost.

        Return those that are too many to be told of one by one in this frame, the cheapest, and those that
        have lost their place.
        """
        costs, weight = self._costs, self._weight
        for key, ns in spent.items():
            costs[key] = costs.get(key, self._floor) + (ns + 1) * weight
        too_many = len(spent) - self._told
        untold = nsmallest(too_many, spent, key=costs.__getitem__) if too_many > 0 else []
        forgotten: list[Key] = []
        if len(costs) > self._most:
            forgotten = nsmallest(len(costs) - self._most, costs, key=costs.__getitem__)
            for key in forgotten:
                del costs[key]
            self.forgotten += len(forgotten)
        self._fade(span_ns)
        return untold, forgotten

    def clear(self) -> None:
        """Forget everything, as if nothing had been."""
        self._costs.clear()
        self._floor, self._weight, self.forgotten = 0.0, 1.0, 0

    def _fade(self, span_ns: int) -> None:
        self._weight *= 2.0 ** (span_ns / 1e9 / HALVED_AFTER_S)
        if self._weight > _RESCALED_FROM:
            self._costs = {key: cost / self._weight for key, cost in self._costs.items()}
            self._weight = 1.0
        full = len(self._costs) >= self._most
        self._floor = min(self._costs.values()) if full and self._costs else 0.0
