"""Times garbage collections: how long each stopped every thread, and of which generation it was.

What is timed is the CPU of the thread that collects, since nothing else runs meanwhile: on a busy machine
the clock on the wall also counts whoever else had the processor, and told of pauses of 614 ms.
"""

from __future__ import annotations

import gc
from collections import deque
from time import thread_time_ns

from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import GcStats

MAX_PENDING = 10_000
"""Collections that wait for the end of the second; the interpreter makes a few hundred at most."""


class GarbageProbe:
    """Listens in `gc.callbacks`; a collection costs it 2 µs."""

    name = "gc"

    def __init__(self) -> None:
        # The interpreter runs one collection at a time, whichever thread it is in.
        self._started_ns = 0
        self._pauses: deque[tuple[int, int]] = deque(maxlen=MAX_PENDING)

    def attach(self) -> ProbeStatus:
        """Begin to listen."""
        if not hasattr(gc, "callbacks"):
            return "off: this Python does not tell of its collections"
        if self._on_collection not in gc.callbacks:
            gc.callbacks.append(self._on_collection)
        return ON

    def detach(self) -> None:
        """Stop listening."""
        if self._on_collection in gc.callbacks:
            gc.callbacks.remove(self._on_collection)

    def fill(self, frame: Frame) -> None:
        """Add the collections of this span."""
        stats = GcStats()
        collections = stats.collections
        while self._pauses:
            generation, pause_ns = self._pauses.popleft()
            stats.pauses.add(pause_ns)
            collections[generation] = collections.get(generation, 0) + 1
        frame.gc = stats

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._started_ns = thread_time_ns()
        elif self._started_ns:
            self._pauses.append((info["generation"], thread_time_ns() - self._started_ns))
            self._started_ns = 0
