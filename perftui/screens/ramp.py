"""A ramp while it goes on, and its verdict afterwards."""

from __future__ import annotations

import time
from typing import Protocol

from perftui.keytable.key import Place
from perftui.model.ramp import RampCourse
from perftui.present.details.ramp import ramp_lines
from perftui.present.text.cells import Line
from perftui.screens.detail import DetailView
from perftui.screens.view import Host
from perftui.widgets.bindings import bindings


class RampHost(Host, Protocol):
    """The app that shows a ramp."""

    @property
    def course(self) -> RampCourse:
        """The ramp as it stands."""

    def show_service(self) -> None:
        """Show the dashboard on the service."""


class RampView(DetailView, inherit_bindings=False):
    """The steps of a ramp, and what fills up over them."""

    BINDINGS = bindings("ramp")
    PLACES: tuple[Place, ...] = ("ramp", "everywhere")

    def __init__(self, host: RampHost) -> None:
        super().__init__(host)
        self._ramps = host
        self._course = host.course

    def also(self) -> tuple[Place, ...]:
        """Return nothing: the way back to the ramp is of no use here."""
        return ()

    def crumbs(self) -> tuple[str, ...]:
        """Return what this is."""
        return ("ramp",)

    def note(self) -> str:
        """Return what is ramped, instead of the window: it goes by steps."""
        return self.picture.summary.target

    def scope(self) -> str:
        """Return no route: what must hold stands below."""
        return ""

    def lines(self, width: int, height: int) -> list[Line]:
        """Return the state, the charts and what gave."""
        if self.picture.paused_s is None:
            self._course = self._ramps.course
        return ramp_lines(self._course, time.time(), width, height)

    def action_dashboard(self) -> None:
        """Show the dashboard on the service: the ramp goes on."""
        self._ramps.show_service()
