"""How the agent's thread has spent a time in which it did not come to look.

It may have waited for the GIL, which the system counts: a thread that wants the GIL asks for it every 5 ms.
Or it was held up alone, by a slow disk, and the app's loop has turned all the while. Or nobody ran at all.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

FROM_NS = 1_000_000_000
"""What is shorter is told of by nobody."""

MOST_AFTERWARDS = 4
"""Ticks of a loop that go before the agent's thread gets its turn, once both can run again."""


class Gap(NamedTuple):
    """Between two looks at the loop."""

    ns: int
    switches: int
    """How often the thread has gone to wait."""
    ticks: int
    """Of the loop's clock."""

    @property
    def waited_for_gil(self) -> bool:
        """Whether it was the GIL that was waited for."""
        return asked_for_gil(self.ns, self.switches)

    @property
    def loop_turned(self) -> bool:
        """Whether the app went on meanwhile."""
        return self.ticks > MOST_AFTERWARDS


def asked_for_gil(ns: int, switches: int) -> bool:
    """Tell whether a thread has waited so often as it does for the GIL.

    On a busy machine, or in a process that was stopped, it just sleeps.
    """
    return switches >= ns / 1e9 / sys.getswitchinterval() / 5
