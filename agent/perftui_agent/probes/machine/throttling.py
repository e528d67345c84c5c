"""How a quota of CPU is used up: in how many of its periods a control group was stopped for the rest of them.

A quota holds for a group with all that is in it, so the count may be of any group around this process: each
that has one is asked, and the one that stopped it longest is told. Version 1 and 2 count alike and write it
in other units.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from perftui_agent.probes.machine.cgroup import Quota, read_quotas
from perftui_agent.small_files import NowAndThen, read_small
from perftui_agent.wire.machine import Throttled

FIND_QUOTAS_EVERY_S = 3.0
"""They may be set, changed and lifted while the process runs; 100 µs to find."""

ASK_EVERY_S = 0.5
RESTS = 2_000
"""Times that asking took: 0.05 % of a core, however long that is."""


class _Counts(NamedTuple):
    at_ns: int
    periods: int
    throttled: int
    ns: int


class Throttling:
    """Tells what a quota has stopped since it was asked last; for the agent's thread."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._quotas: list[Quota] = []
        self._find = NowAndThen(FIND_QUOTAS_EVERY_S, RESTS)
        self._ask = NowAndThen(ASK_EVERY_S, RESTS)
        self._before: dict[str, _Counts] = {}

    def read(self) -> Throttled | None:
        """Return what has happened since; None without a quota, or with nothing to compare with yet."""
        if self._find.is_due():
            self._quotas = read_quotas(self._root)
            self._find.done()
        if not self._quotas or not self._ask.is_due():
            return None
        found = [told for quota in self._quotas if (told := self._of(quota)) is not None]
        self._ask.done()
        # Of two that were not used up, the one that will be first.
        return max(found, key=lambda told: (told.ns, -told.cores), default=None)

    def _of(self, quota: Quota) -> Throttled | None:
        now = _counts(read_small(os.path.join(quota.directory, "cpu.stat")))
        if now is None:
            self._before.pop(quota.directory, None)
            return None
        before, self._before[quota.directory] = self._before.get(quota.directory), now
        # A group that was made anew under its name counts from nothing.
        if before is None or any(later < earlier for earlier, later in zip(before, now, strict=True)):
            return None
        return Throttled(
            cores=quota.cores,
            group=quota.name,
            over_ns=now.at_ns - before.at_ns,
            periods=now.periods - before.periods,
            throttled=now.throttled - before.throttled,
            ns=now.ns - before.ns,
        )


def _counts(text: bytes) -> _Counts | None:
    """Return what a group's `cpu.stat` says of its quota; None if it says nothing."""
    values: dict[bytes, int] = {}
    for line in text.splitlines():
        name, _, number = line.partition(b" ")
        if number.isdigit():
            values[name] = int(number)
    stopped_ns = values.get(b"throttled_time")
    if stopped_ns is None:
        stopped_us = values.get(b"throttled_usec")
        stopped_ns = None if stopped_us is None else stopped_us * 1_000
    periods, throttled = values.get(b"nr_periods"), values.get(b"nr_throttled")
    if periods is None or throttled is None or stopped_ns is None:
        return None
    return _Counts(time.perf_counter_ns(), periods, throttled, stopped_ns)
