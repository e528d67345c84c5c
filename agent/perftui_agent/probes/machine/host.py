"""The machine a worker runs on: how busy it is, what waits for its processors, what a hypervisor takes.

In a container that is the whole machine's, as `/proc` has it, with everybody else's work in it.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from perftui_agent.probes.machine.pressure import of_host
from perftui_agent.small_files import read_small
from perftui_agent.wire.machine import Host

_LOAD = re.compile(rb"(\d+\.\d+) \S+ \S+ (\d+)/\d+ ")

_ALL_PROCESSORS = re.compile(rb"cpu +((?:\d+ ?){8,})")
_ONE_PROCESSOR = re.compile(rb"^cpu\d+ ", re.MULTILINE)

IDLE, IOWAIT, STEAL, GUEST = 3, 4, 7, 8
"""Places in that line. What guests of this machine use is in the others already."""


class _Ticks(NamedTuple):
    every: int
    idle: int
    steal: int


class HostReader:
    """Reads it; for the agent's thread."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._pressure = of_host(root)
        self._before: _Ticks | None = None

    def read(self) -> Host | None:
        """Return what the system tells; None if that is nothing."""
        load = _LOAD.match(read_small(os.path.join(self._root, "proc/loadavg")))
        stat = read_small(os.path.join(self._root, "proc/stat"))
        processors = _ALL_PROCESSORS.match(stat)
        busy = steal = None
        if processors is not None:
            busy, steal = self._shares([int(number) for number in processors[1].split()])
        host = Host(
            cores=_cores(stat),
            load=float(load[1]) if load is not None else None,
            # Whoever asks runs just then.
            runnable=max(0, int(load[2]) - 1) if load is not None else None,
            busy=busy,
            steal=steal,
            pressure=self._pressure.read(),
        )
        return host if host != Host() else None

    def _shares(self, ticks: list[int]) -> tuple[float | None, float | None]:
        """Return how busy the processors were since the last time, and what was taken from them."""
        now = _Ticks(sum(ticks[:GUEST]), ticks[IDLE] + ticks[IOWAIT], ticks[STEAL])
        before, self._before = self._before, now
        if before is None or now.every <= before.every:
            return None, None
        over = now.every - before.every
        busy = 1.0 - (now.idle - before.idle) / over
        return min(max(busy, 0.0), 1.0), min(max((now.steal - before.steal) / over, 0.0), 1.0)


def _cores(stat: bytes) -> int | None:
    """Return how many processors are counted; if they go beyond what was read, as many as Python knows."""
    found = len(_ONE_PROCESSOR.findall(stat))
    return (os.cpu_count() if b"\nintr" not in stat else found) if found else None
