"""When to paint: as soon as every worker has spoken, once a period, never in a hurry.

Frames of several workers arrive spread over the second. Painting at each would paint the same
numbers several times; painting by the clock would show half of a second. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Collection

from perftui_agent.wire.parts import WorkerId

PERIODS_S = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)

SLOW_S = 5.0
"""On a thin line it is painted so often. Twice as long a period saves a third of the bytes only: more has
changed by then."""

BLOCKED_LOOKS = 3
"""Looks in a row at which the terminal has not taken what was written: the line is thin."""

CLEAR_LOOKS = 80
"""Looks in a row at which it had: the line may have recovered. Twice as many if it then had not."""

PROMPT_S = 1.0
"""What is no mere frame (a worker is gone, the link is lost) is painted as soon, whatever the period."""

_EARLY = 0.25
"""Frames of the same second arrive within so much of a period of each other, early or late."""


class Pace:
    """Takes arrivals, says when a paint is due."""

    def __init__(self, now: float, *, slow: bool = False) -> None:
        self.period_s = SLOW_S if slow else 1.0
        self._blocked = self._clear = 0
        self._patience = CLEAR_LOOKS
        self._before_s: float | None = None
        """The period before the line was found to be thin, while it is."""
        self._urgent = False
        self._painted_at = now - self.period_s
        self._arrived: set[WorkerId] = set()
        self.news = True

    def arrived(self, worker: WorkerId | None) -> None:
        """Note that a worker has spoken, or that something else is new (None)."""
        self.news = True
        if worker is not None:
            self._arrived.add(worker)
        else:
            self._urgent = True

    def due(self, now: float, expected: Collection[WorkerId]) -> bool:
        """Tell whether to paint now: all `expected` have spoken, or it has been long enough."""
        waited = now - self._painted_at
        if self._blocked:
            return False
        if self._urgent and self.period_s > PROMPT_S and waited >= PROMPT_S:
            return True
        if self.news and self._arrived.issuperset(expected) and waited >= self.period_s * (1 - _EARLY) - 0.01:
            return True
        # Even without news: the time since something was last heard of is news as well.
        return waited >= self.period_s * (1 + _EARLY) - 0.01

    def look(self, backlog: int) -> bool:
        """Note how many writes the terminal has not taken; tell whether that has changed the period.

        Nothing is due while it has not taken the last picture: it would only wait behind it.
        """
        self._blocked = self._blocked + 1 if backlog else 0
        self._clear = 0 if backlog else self._clear + 1
        if self._blocked >= BLOCKED_LOOKS and self.period_s < SLOW_S:
            self._before_s, self.period_s = self.period_s, SLOW_S
            return True
        if self._clear >= self._patience and self._before_s is not None:
            self.period_s, self._before_s = self._before_s, None
            self._patience *= 2
            return True
        return False

    def painted(self, now: float) -> None:
        """Note that the picture has been painted."""
        self._painted_at = now
        self._arrived.clear()
        self.news = self._urgent = False

    def step(self, by: int) -> None:
        """Take the next longer period, or the next shorter one."""
        self._before_s = None  # whoever chooses a period keeps it
        place = PERIODS_S.index(self.period_s) + by
        self.period_s = PERIODS_S[min(max(place, 0), len(PERIODS_S) - 1)]
