"""How the agent's thread has spent a time in which it did not come to look.

It may have waited for the GIL, which the system counts: a thread that wants the GIL asks for it every 5 ms.
Or it was held up alone, by a slow disk, and the app's loop has turned all the while. Or nobody ran at all.
"""

from __future__ import annotations

import sys
from types import CodeType
from typing import NamedTuple, TypeAlias

from perftui_agent.foreign_frames import current_frames, stack_of

Stack: TypeAlias = list[tuple[CodeType, int]]
"""What a thread ran, and at which lines: innermost first. A frame itself would move on."""

MAX_DEPTH = 5_000

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
    stacks: dict[int, Stack] = {}  # noqa: RUF012 - nobody writes to it
    """By thread, if it was the GIL: taken as soon as there was one, so who held it is where it was."""

    @property
    def waited_for_gil(self) -> bool:
        """Whether it was the GIL that was waited for."""
        return asked_for_gil(self.ns, self.switches)

    @property
    def loop_turned(self) -> bool:
        """Whether the app went on meanwhile."""
        return self.ticks > MOST_AFTERWARDS


def gap(ns: int, switches: int, ticks: int) -> Gap:
    """Return what there was, with the stacks as they are now if it was the GIL."""
    stacks: dict[int, Stack] = {}
    if asked_for_gil(ns, switches):
        for ident, frame in current_frames().items():
            stacks[ident] = [(f.f_code, f.f_lineno or 0) for f in stack_of(frame, MAX_DEPTH)]
    return Gap(ns, switches, ticks, stacks)


def asked_for_gil(ns: int, switches: int) -> bool:
    """Tell whether a thread has waited so often as it does for the GIL.

    On a busy machine, or in a process that was stopped, it just sleeps.
    """
    return switches >= ns / 1e9 / sys.getswitchinterval() / 5
