"""For which part of the time somebody could not go on for lack of CPU, memory or a disk: the kernel's count.

Linux calls it pressure stall information, for the whole machine and for each control group of version 2.
What is told is the share of the time since it was asked last, from the total, and not one of the kernel's
averages: those lag by ten seconds.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping

from perftui_agent.probes.machine.cgroup import own_group
from perftui_agent.small_files import read_small
from perftui_agent.wire.machine import Pressure

KINDS = ("cpu", "memory", "io")

_LINE = re.compile(rb"(some|full) avg10=(\d{1,3}(?:\.\d+)?) .*?total=(\d{1,20})")


class PressureReader:
    """Reads one set of files, by kind; for the agent's thread."""

    def __init__(self, files: Mapping[str, str], *, whole_machine: bool) -> None:
        self._files = files
        self._without_full = {"cpu"} if whole_machine else set()
        """Some task of a machine always runs; a group may be stopped with all that is in it."""
        self._before: dict[tuple[str, bytes], tuple[float, int]] = {}
        """By kind and line: when it was read, and how many µs it was then."""

    def read(self) -> dict[str, Pressure]:
        """Return what is known, by kind."""
        found = {}
        for kind, path in self._files.items():
            shares = {
                which: self._share((kind, which), float(average) / 100, int(total))
                for which, average, total in _LINE.findall(read_small(path))
            }
            if (some := shares.get(b"some")) is not None:
                full = None if kind in self._without_full else shares.get(b"full")
                found[kind] = Pressure(some=some, full=full)
        return found

    def _share(self, key: tuple[str, bytes], average: float, total_us: int) -> float:
        now = time.monotonic()
        before = self._before.get(key)
        self._before[key] = (now, total_us)
        if before is None or now <= before[0] or total_us < before[1]:
            return min(average, 1.0)
        return min((total_us - before[1]) / 1e6 / (now - before[0]), 1.0)


def of_host(root: str = "/") -> PressureReader:
    """Return what reads the machine's; `root` is where `proc` is found."""
    files = {kind: os.path.join(root, "proc/pressure", kind) for kind in KINDS}
    return PressureReader(files, whole_machine=True)


def of_own_group(root: str = "/") -> PressureReader:
    """Return what reads that of this process's control group, if there is one of version 2."""
    group = own_group(root)
    files = {kind: os.path.join(group, f"{kind}.pressure") for kind in KINDS} if group is not None else {}
    return PressureReader(files, whole_machine=False)
