"""What the worker's threads compete with for CPU and memory, once a second; see `wire.machine`.

What the system does not tell is left out: none of it is there on every kernel, nor in every container.
"""

from __future__ import annotations

import os

from perftui_agent.probes.machine.cpu_wait import CpuWaits
from perftui_agent.probes.machine.host import HostReader
from perftui_agent.probes.machine.pressure import PressureReader, of_own_group
from perftui_agent.probes.machine.throttling import Throttling
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.small_files import NowAndThen
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.machine import Host, Machine, Pressure

HOST_EVERY_S = 4.5
"""The kernel gathers pressure every two seconds, and what is told is a share of the time since: of five
seconds it is no less exact."""

RESTS = 2_000


class ContentionProbe:
    """Reads it all. On the agent's thread; `root` is where `proc` and `sys` are found."""

    name = "machine"

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._throttling = Throttling(root)
        self._waits = CpuWaits(root)
        self._host = HostReader(root)
        self._group: PressureReader | None = None
        self._ask_host = NowAndThen(HOST_EVERY_S, RESTS)
        self._host_now: Host | None = None
        self._pressure_now: dict[str, Pressure] = {}

    def attach(self) -> ProbeStatus:
        """There is nothing to attach to."""
        return ON if os.path.exists(os.path.join(self._root, "proc/self")) else "off: a system without /proc"

    def detach(self) -> None:
        """There is nothing to take back: no file is kept open."""

    def fill(self, frame: Frame) -> None:
        """Add what the system tells; nothing where it tells nothing."""
        if self._ask_host.is_due():
            group = self._group = self._group or of_own_group(self._root)
            self._host_now, self._pressure_now = self._host.read(), group.read()
            self._ask_host.done()
        machine = Machine(
            throttled=self._throttling.read(),
            cpu_wait=self._waits.read(),
            pressure=self._pressure_now,
            host=self._host_now,
        )
        frame.machine = machine if machine != Machine() else None
