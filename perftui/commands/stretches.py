"""Pictures of every stretch of some length while a target is watched, second by second.

Taken as they end: the history lets go of single seconds after a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from perftui.model.dashboard import Dashboard
from perftui.model.summarize import summarize
from perftui.model.summary import Summary

SETTLED_S = 2
"""So long after a second all workers have told of it."""


class Stretches:
    """Takes dashboards as they come, gives the pictures by their length."""

    def __init__(self, lengths_s: Iterable[float]) -> None:
        self._pictures: dict[float, list[Summary]] = {length: [] for length in lengths_s}
        self._first: int | None = None
        self._done = 0
        self._latest = Dashboard()

    def follow(self, dashboard: Dashboard) -> None:
        """Take the stretches that are over."""
        self._latest = dashboard
        self._until(dashboard.history.newest - SETTLED_S)

    def pictures(self) -> Mapping[float, Sequence[Summary]]:
        """Return them all, now that everything has come."""
        self._until(self._latest.history.newest)
        return self._pictures

    def _until(self, last: int) -> None:
        blocks = self._latest.history.blocks.values()
        if not self._pictures or not blocks:
            return
        if self._first is None:
            seconds = [second for block in blocks for second in block.seconds]
            if not seconds:
                return
            self._first = min(seconds)
            self._done = self._first - 1
        for second in range(self._done + 1, last + 1):
            for length, taken in self._pictures.items():
                if second - self._first + 1 >= length:
                    at = float(second)
                    taken.append(summarize(self._latest, at, length, cursor=at))
        self._done = max(self._done, last)
