"""What a worker does for its siblings and they for it: signs of life, the look at the neighbour.

Wires the parts of this room together. All of it runs on the agent's thread, most of it as part of the beat.
"""

from __future__ import annotations

import time
from pathlib import Path

from perftui_agent.guard import Guard
from perftui_agent.siblings.lookout import Lookout
from perftui_agent.siblings.pulse import Pulse
from perftui_agent.wire.frames import Frame


class Watch:
    """This worker's part."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._pulse = Pulse()
        self.lookout: Lookout | None = None
        """As soon as there is a directory to look into."""

    def beat(self) -> None:
        """Give a sign of life and look at the neighbour; at each beat of the agent's thread. Never raises."""
        try:
            now_ns = time.monotonic_ns()
            if self.lookout is not None:
                self.lookout.glance(now_ns)
            self._pulse.beat(now_ns)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count
            self._guard.fault("siblings", error)

    def look_after(self, path: Path) -> None:
        """See that the file of the signs of life is there; OSError if it can't be."""
        self._pulse.look_after(path)

    def note(self, frame: Frame) -> None:
        """Note what whoever finds us silent is to know."""
        with self._guard.guarding("siblings"):
            self._pulse.tell(frame.in_flight_rows)

    def close(self) -> None:
        """End it; the file goes with the worker's entry."""
        if self.lookout is not None:
            self.lookout.close()
        self._pulse.close()

    def leave_to_parent(self) -> None:
        """Let go, in a forked child, of what is the parent's."""
        self._pulse.close()
