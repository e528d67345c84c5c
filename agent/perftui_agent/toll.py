"""What the threads of a process have had of the CPU, and for how long they have waited for it.

Read from the scheduler's own account (`schedstat`): a thread that wants to run and does not get to is told
apart from one that runs and from one that sleeps. Not told everywhere; then nothing is known.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from perftui_agent.small_files import read_small

MAX_THREADS = 200
"""Reading one takes some 10 µs."""


class Account(NamedTuple):
    """One thread's."""

    ran_ns: int
    waited_ns: int
    """While it was ready to run."""


Toll: TypeAlias = Mapping[int, Account]
"""By thread."""


class Shares(NamedTuple):
    """How a thread has spent a stretch of time: of the whole, 0…1. The rest it has slept."""

    ran: float
    waited: float


def take_toll(pid: int | str, root: str = "/") -> dict[int, Account]:
    """Return the accounts of a process's threads, by their numbers; none where the system does not tell."""
    try:
        threads = os.listdir(os.path.join(root, "proc", str(pid), "task"))[:MAX_THREADS]
    except OSError:
        return {}
    found = {}
    for thread in threads:
        account = account_of(f"{pid}/task/{thread}", root)
        if account is not None:
            found[int(thread)] = account
    return found


def account_of(process: str, root: str = "/") -> Account | None:
    """Return the account of a process's main thread, or of `pid/task/thread`; `root` is where `proc` is."""
    try:
        ran, waited, _ = read_small(os.path.join(root, "proc", process, "schedstat")).split()
        return Account(int(ran), int(waited))
    except ValueError:
        return None


def shares(before: Account | None, after: Account | None, over_ns: int) -> Shares | None:
    """Return how a thread has spent the time between two accounts; None if that is not known."""
    if before is None or after is None or over_ns <= 0:
        return None
    ran, waited = after.ran_ns - before.ran_ns, after.waited_ns - before.waited_ns
    return Shares(min(max(ran / over_ns, 0.0), 1.0), min(max(waited / over_ns, 0.0), 1.0))
