"""What one call into the database has of its own, when others are made within it.

A checkout may connect, connecting runs a new engine's first statements, a commit has listeners that run
some: each is told of where it happens, so whoever is around it leaves that time out. While nobody is
around, a statement pays for one look at an empty set.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from time import perf_counter_ns

_around: ContextVar[Step | None] = ContextVar("perftui_step", default=None)

open_steps: set[Step] = set()
"""Those that go on, in any thread: as long as there are any, what ends asks whether it is within one."""


class Step:
    """A call that others may be made within, from here on until `end`."""

    __slots__ = ("_token", "nested_ns", "started_ns")

    def __init__(self) -> None:
        self.nested_ns = 0
        """What those took."""
        open_steps.add(self)
        self._token: Token[Step | None] = _around.set(self)
        self.started_ns = perf_counter_ns()

    def end(self) -> int:
        """End it, here where it began; return how much of its time was its own."""
        ns = perf_counter_ns() - self.started_ns
        try:
            _around.reset(self._token)
        except ValueError:  # it ends in another context than it began in
            _around.set(None)
        open_steps.discard(self)
        if open_steps:
            leave_out(ns)
        return max(0, ns - self.nested_ns)


def leave_out(ns: int) -> None:
    """Have whoever is around what has just been told of leave it out."""
    step = _around.get()
    if step is not None:
        step.nested_ns += ns
