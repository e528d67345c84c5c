"""The clock that nobody sets: lengths are measured by it, here and in perftui.

It goes on while the machine is suspended, as the wall clock does, and is the same for all processes of one
boot: what two of them stamp by it can be laid on one axis.
"""

from __future__ import annotations

import time
from typing import NamedTuple

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's own name for it; elsewhere (macOS) the monotonic clock goes on, too."""

_MORE_READINGS = 4

_NEAR_NS = 20_000
"""Readings of the two clocks that are closer together need not be repeated."""


class Instant(NamedTuple):
    """One moment on both clocks, in nanoseconds."""

    wall_ns: int
    steady_ns: int

    def before(self, ns: int) -> Instant:
        """Return the moment so much earlier."""
        return Instant(self.wall_ns - ns, self.steady_ns - ns)


def steady_ns() -> int:
    """Return the time since some moment before this process started."""
    return time.clock_gettime_ns(_CLOCK)


def instant() -> Instant:
    """Return this moment on both clocks: the reading of several in which the least time went by."""
    gap, read = _reading()
    for _ in range(_MORE_READINGS):
        if gap <= _NEAR_NS:
            break
        gap, read = min((gap, read), _reading())
    return read


def _reading() -> tuple[int, Instant]:
    before = steady_ns()
    wall = time.time_ns()
    after = steady_ns()
    return after - before, Instant(wall, (before + after) // 2)
