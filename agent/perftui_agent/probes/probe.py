"""What every probe is to the agent, whatever it watches."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from perftui_agent.wire.frames import Frame

ProbeStatus: TypeAlias = str
"""`on`, or `off: why`: shown per worker."""

ON = "on"
NOT_IMPORTED = "off: not imported"
"""The app doesn't use the library (yet): the agent asks again every second."""


class Probe(Protocol):
    """Watches one thing. Records go to the window as they happen; gauges are read as a frame closes."""

    name: str

    def attach(self) -> ProbeStatus:
        """Begin to watch, unless that has been done; import nothing the app has not imported.

        Called on the app's thread at start-up and then every second on the agent's until it says `on`.
        """

    def detach(self) -> None:
        """Take back what was put into other people's code; called as the agent stops, on any thread."""

    def fill(self, frame: Frame) -> None:
        """Add to `frame` what is read rather than counted. On the agent's thread, once a second."""
