"""A quota of CPU for running processes, as the demo shop's fault `cpu-throttled` has it.

What they may have they get, however crowded the machine: it is the quota that stops them, and not whoever
else computes here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from demo_app.faults import quota
from demo_app.faults.quota import why_not

__all__ = ["first_served", "limited", "why_not"]

FIRST = {"cpu/{}/cpu.shares": "262144", "{}/cpu.weight": "10000"}
"""By either version: a group's part of a processor that others want too, the largest there is."""


@contextlib.contextmanager
def limited(cores: float, *pids: int) -> Iterator[str]:
    """Have these processes share so many cores, and get them; yield the name of their group."""
    with quota.limited(cores, *pids) as group:
        for place, most in FIRST.items():
            path = quota.GROUPS / place.format(group)
            if path.exists():
                path.write_text(most)
        yield group


@contextlib.contextmanager
def first_served() -> Iterator[None]:
    """Have this process and what it starts in the block get all that they want of the processors.

    For what is true only of a service that computes when it has to. Where no group may be made they take
    their turn as others do: there such a test wants a machine to itself.
    """
    if why_not():
        yield
        return
    with limited(float(os.cpu_count() or 1), os.getpid()):
        yield
