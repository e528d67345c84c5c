"""Looks once a second whether routes have been added, replaced or removed while the app runs.

A request notices by itself what its own route or the app's list of routes tells; what was done to routers
within the app, nobody would.
"""

from __future__ import annotations

from perftui_agent.guard import Guard
from perftui_agent.probes.http.routes import every
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.wire.frames import Frame


class RoutesProbe:
    """Compares the routes there are with those that labels were made from."""

    name = "routes"

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def attach(self) -> ProbeStatus:
        """There is nothing to attach to."""
        return ON

    def detach(self) -> None:
        """There is nothing to take back."""

    def fill(self, _frame: Frame) -> None:
        """Have labels that may be wrong by now made anew."""
        for labels in list(every):
            with self._guard.guarding("probes.routes"):
                labels.notice_changes()
