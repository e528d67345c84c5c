"""The one time axis of this perftui: seconds since the epoch that only ever go on.

It begins as the wall clock has it, and from then on goes by the clock that nobody sets: lengths and rates
stay right when the wall clock is stepped. By how much the two have come apart can be asked, and is told.
"""

from __future__ import annotations

from collections.abc import Callable

from perftui_agent.wire.clock import Instant, instant


class Axis:
    """Moments on the axis that began when this was made."""

    def __init__(self, read: Callable[[], Instant] = instant) -> None:
        self._read = read
        began = read()
        self.offset_ns = began.wall_ns - began.steady_ns
        """What is added to the steady clock: to that of every process of this boot."""

    def now(self) -> float:
        """Return this moment."""
        return (self._read().steady_ns + self.offset_ns) / 1e9

    def wall_ahead_s(self) -> float:
        """Return by how much the wall clock has been set forward since; backward is negative."""
        now = self._read()
        return (now.wall_ns - now.steady_ns - self.offset_ns) / 1e9


AXIS = Axis()
"""That of this process."""


def now() -> float:
    """Return this moment on the axis of this process."""
    return AXIS.now()
