"""The probes of one life of the agent, and how each of them is."""

from __future__ import annotations

from collections.abc import Iterable

from perftui_agent.guard import Guard
from perftui_agent.probes.probe import ON, Probe, ProbeStatus
from perftui_agent.wire.frames import Frame


class ProbeSet:
    """Attaches probes, reads them and lets go of them; a fault of one is counted and keeps off no other."""

    def __init__(self, probes: Iterable[Probe], guard: Guard) -> None:
        self._probes = list(probes)
        self._guard = guard
        self.status: dict[str, ProbeStatus] = {}
        """By name: `on`, or `off: why`."""

    def attach(self) -> None:
        """Attach those that are not attached yet."""
        for probe in self._probes:
            if self.status.get(probe.name) != ON:
                try:
                    self.status[probe.name] = probe.attach()
                except Exception as error:  # noqa: BLE001 - a fault of ours costs a count
                    self.status[probe.name] = "off: it failed"
                    self._guard.fault(f"probes.{probe.name}", error)

    def fill(self, frame: Frame) -> None:
        """Have each probe add to `frame` what is read rather than counted."""
        for probe in self._probes:
            # Written out: thirty guards a second would be a tenth of what there is to read.
            try:
                probe.fill(frame)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs a count
                self._guard.fault(f"probes.{probe.name}", error)

    def detach(self) -> None:
        """Let go of everything the probes hold on to in the app."""
        for probe in self._probes:
            with self._guard.guarding(f"probes.{probe.name}"):
                probe.detach()
