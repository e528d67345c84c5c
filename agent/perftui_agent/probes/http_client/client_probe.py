"""What the probes of all HTTP clients have in common: all but how theirs is attached."""

from __future__ import annotations

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.connections import CountConnections
from perftui_agent.probes.http_client.exchanges import CallSink, Exchanges
from perftui_agent.probes.patches import Patches
from perftui_agent.wire.frames import Frame


class ClientProbe:
    """Takes back what its library's own probe has put there, and fills frames."""

    name: str
    """The library's."""

    def __init__(self, sink: CallSink, guard: Guard, count: CountConnections) -> None:
        self._patches = Patches()
        self._exchanges = Exchanges(self.name, sink, guard, count)

    def detach(self) -> None:
        """Put the originals back."""
        self._exchanges.detach()
        self._patches.take_back()

    def fill(self, frame: Frame) -> None:
        """Add the calls that go on, and the connections there are to whom was called."""
        self._exchanges.fill(frame)
