"""How much the agent gives up when it would cost the app too much, and when it takes it up again.

Takes what share of a core the agent's thread took in each span, gives a level. The first levels cost
details nobody counts on; the totals of requests stay true at every level.
"""

from __future__ import annotations

from collections import deque
from statistics import median

FULL = 0
NO_STORIES = 1
"""No stories of slow requests, no lines at which requests wait; the sums stay."""
SELDOM = 2
"""Besides, a frame every two seconds only: clients take a worker for silent after two and a half."""
NO_PARTS = 3
"""Besides, statements, lookups and waits are dropped, and counted as such."""

TOLD = (
    "",
    "no stories of slow requests",
    "no stories of slow requests, fewer frames",
    "no stories of slow requests, fewer frames, no statements and lookups",
)
"""What each level says of itself."""

SPANS_S = (1, 1, 2, 2)
"""How long the span of a frame is at each level."""

TOO_MUCH_PERCENT = 1.5
"""Of a core: the promise is to stay below 2."""

FAR_TOO_MUCH_PERCENT = 4.0

LITTLE_PERCENT = 0.9

WORSE_AFTER = 5
"""Spans, by their median: a single slow one, as at start-up, is no load."""

FAR_WORSE_AFTER = 3
"""Spans that all took far too much: then the details go at once."""

BETTER_AFTER = 12
"""Spans that all took little."""

MOST_PATIENCE = 480
"""Spans to wait at most: each relapse doubles `BETTER_AFTER`, so that a level does not flicker."""


def next_level(level: int, percents: list[float], patience: int) -> int:
    """Return the level for the next span, given the percents of the spans at this one."""
    if len(percents) >= FAR_WORSE_AFTER and min(percents[-FAR_WORSE_AFTER:]) > FAR_TOO_MUCH_PERCENT:
        return NO_PARTS
    if len(percents) >= WORSE_AFTER and median(percents[-WORSE_AFTER:]) > TOO_MUCH_PERCENT:
        return min(level + 1, NO_PARTS)
    if len(percents) >= patience and max(percents[-patience:]) < LITTLE_PERCENT:
        return max(level - 1, FULL)
    return level


class Degradation:
    """The level of one agent."""

    def __init__(self) -> None:
        self.level = FULL
        self._percents: deque[float] = deque(maxlen=MOST_PATIENCE)
        self._patience = BETTER_AFTER
        self._recovered = False

    def after_span(self, percent: float) -> int:
        """Take what a span has cost; return the level from now on."""
        self._percents.append(percent)
        if self.level == FULL and self._recovered and len(self._percents) >= self._patience:
            self._patience, self._recovered = BETTER_AFTER, False
        level = next_level(self.level, list(self._percents), self._patience)
        if level != self.level:
            if level > self.level and self._recovered:
                self._patience = min(2 * self._patience, MOST_PATIENCE)
            self._recovered = level < self.level
            self.level = level
            self._percents.clear()
        return level
