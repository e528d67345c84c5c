"""Who wants the seconds around now kept: a client that has judged, or a sign of the worker's own that lasts.

Each reason is heeded once a minute, which is what is kept after it, and only a few reasons in that time: the
bytes kept are bounded anyway, but whoever asks again and again would have what was kept first overwritten.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PER_REASON_S = 60.0

MOST_AT_A_TIME = 8
"""Reasons within that time."""

LONGEST_REASON = 64
"""Characters; the longest kind of a finding has 22."""


class Keeping:
    """Takes reasons, tells the box that there is one. Belongs to the agent's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heeded: dict[str, float] = {}
        self._is_due = False

    def ask(self, reason: str) -> bool:
        """Have the seconds around now kept; tell whether the reason is heeded."""
        now = self._clock()
        self._heeded = {each: at for each, at in self._heeded.items() if now - at < PER_REASON_S}
        if reason in self._heeded or len(self._heeded) >= MOST_AT_A_TIME or len(reason) > LONGEST_REASON:
            return False
        self._heeded[reason] = now
        self._is_due = True
        return True

    def take(self) -> bool:
        """Tell whether somebody has asked, and forget it."""
        is_due, self._is_due = self._is_due, False
        return is_due
