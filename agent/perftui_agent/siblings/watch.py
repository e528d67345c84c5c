"""What a worker does for its siblings and they for it: signs of life, the look at the neighbour, the alarm.

Wires the parts of this room together. All of it runs on the agent's thread, most of it as part of the beat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from perftui_agent.guard import Guard
from perftui_agent.probes.loop.gap import Gap
from perftui_agent.siblings.aftermath import Aftermath
from perftui_agent.siblings.alarm import Alarm
from perftui_agent.siblings.endings import Endings
from perftui_agent.siblings.lookout import Lookout
from perftui_agent.siblings.pulse import Pulse, Sign
from perftui_agent.siblings.ring import SILENT_NS
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.registration import StacksOnSignal
from perftui_agent.wire.requests import InFlight


class Watch:
    """This worker's part."""

    def __init__(self, guard: Guard, listens: Callable[[], bool], gap: Callable[[], Gap | None]) -> None:
        self._guard = guard
        self._gap = gap
        """Tells how the agent's thread and the app's loop have spent the time since the last beat."""
        self._pulse = Pulse()
        self._alarm = Alarm(listens)
        self._in_flight: list[InFlight] = []
        self._stacks: StacksOnSignal | None = None
        self.lookout: Lookout | None = None
        """As soon as there is a directory to look into."""
        self.endings: Endings | None = None
        self.aftermath: Aftermath | None = None

    def beat(self) -> None:
        """Give a sign of life and look at the neighbour; at each beat of the agent's thread. Never raises."""
        try:
            now_ns = time.monotonic_ns()
            last_ns = self._pulse.beat_ns
            if self.aftermath is not None and now_ns - last_ns >= SILENT_NS and last_ns and self._pulse.path:
                sign = Sign(last_ns, self._in_flight)
                self.aftermath.tell_own(sign, self._stacks, self._pulse.path.parent, now_ns, self._gap())
            if self.lookout is not None:
                self.lookout.glance(now_ns)
            if self.endings is not None:
                self.endings.glance(now_ns)
            self._alarm.put_off(now_ns)
            self._pulse.beat(now_ns)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count
            self._guard.fault("siblings", error)

    def look_after(self, path: Path, stacks: StacksOnSignal | None) -> None:
        """See that the signs of life have their file, and the alarm its signal; OSError if they can't."""
        self._stacks = stacks
        self._alarm.look_after(stacks)
        self._pulse.look_after(path)
        if not self._pulse.beat_ns:
            self._pulse.beat(time.monotonic_ns())  # a silence may begin before the next beat

    def note(self, frame: Frame) -> None:
        """Note what whoever finds us silent is to know."""
        with self._guard.guarding("siblings"):
            self._in_flight = frame.in_flight_rows
            self._pulse.tell(frame.in_flight_rows)
            if self.aftermath is not None:
                self.aftermath.note()

    def disarm(self) -> None:
        """Let the alarm send nothing any more; from any thread, as the process ends."""
        self._alarm.disarm()

    def close(self) -> None:
        """End it; the file goes with the worker's entry."""
        self._alarm.end()
        if self.lookout is not None:
            self.lookout.close()
        if self.endings is not None:
            self.endings.close()
            self.endings = None  # a beat that is still to come would hold them anew
        if self.aftermath is not None:
            self.aftermath.close()
        self._pulse.close()

    def leave_to_parent(self) -> None:
        """Let go, in a forked child, of what is the parent's."""
        self._alarm.forget()
        self._pulse.close()
