"""Watches the app's event loop from beside it.

The agent's thread posts a beat to the loop; the loop answers with the time. A late answer is lag; while
an answer is outstanding beyond the threshold, the agent's thread looks at the stack of the thread that
the loop runs in and says what holds it. Works the same under asyncio and uvloop, since it only uses
`call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from time import perf_counter_ns
from types import FrameType

from perftui_agent.places import is_user_code, place_of_frame, stack_of
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.wire.frames import CodePlace, Frame, LoopStats


class LoopProbe:
    """Watches whichever event loop the app runs in now."""

    name = "event loop"

    def __init__(self, block_ms: float) -> None:
        self._block_ms = block_ms
        self._watch: LoopWatch | None = None

    def watch_running_loop(self) -> None:
        """Watch the loop that runs in this thread; called on the app's thread, none running included."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._watch is None or self._watch.loop is not loop:
            self._watch = LoopWatch(loop, self._block_ms)

    def attach(self) -> ProbeStatus:
        """Say whether there is a loop to watch."""
        return ON if self._watch is not None else "off: no asyncio loop"

    def beat(self) -> None:
        """Post or check a beat; on the agent's thread, every 50 ms."""
        watch = self._watch
        if watch is not None and not watch.beat():
            self._watch = None

    def fill(self, frame: Frame) -> None:
        """Add what this span's beats have shown."""
        if self._watch is not None:
            frame.loop = self._watch.close_span()


class LoopWatch:
    """Beats for one event loop. Made on the loop's own thread, used on the agent's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, block_ms: float) -> None:
        self.loop = loop
        self._thread_id = threading.get_ident()
        self._block_ns = int(block_ms * 1_000_000)
        self._sent_ns = 0
        self._answered_ns = 0
        self._stats = self._new_stats()

    def beat(self) -> bool:
        """Post or check a beat; False when the loop is closed and there is nothing left to watch."""
        if self.loop.is_closed():
            return False
        if self._sent_ns:
            if self._answered_ns:
                self._stats.lag.add(self._answered_ns - self._sent_ns)
                self._sent_ns = 0
            elif perf_counter_ns() - self._sent_ns >= self._block_ns:
                self._look()
        if not self._sent_ns:
            self._answered_ns = 0
            self._sent_ns = perf_counter_ns()
            try:
                self.loop.call_soon_threadsafe(self._answer)
            except RuntimeError:
                return False
        return True

    def close_span(self) -> LoopStats:
        """Return what this span's beats have shown, and start the next."""
        stats = self._stats
        self._stats = self._new_stats()
        if self._sent_ns and not self._answered_ns:
            outstanding_ns = perf_counter_ns() - self._sent_ns
            if outstanding_ns >= self._block_ns:
                stats.blocked_ns = outstanding_ns
                self._stats.blocked_at = stats.blocked_at
        return stats

    def _answer(self) -> None:
        self._answered_ns = perf_counter_ns()

    def _new_stats(self) -> LoopStats:
        kind = type(self.loop).__module__.partition(".")[0]
        return LoopStats(kind="uvloop" if kind == "uvloop" else "asyncio")

    def _look(self) -> None:
        frame = sys._current_frames().get(self._thread_id)
        if frame is not None:
            self._stats.blocked_at = holding_place(frame)


def holding_place(frame: FrameType) -> CodePlace:
    """Return what holds the thread: the innermost frame of the app's own code, else the innermost."""
    stack = stack_of(frame)
    for candidate in stack:
        if is_user_code(candidate.f_code.co_filename):
            return place_of_frame(candidate)
    return place_of_frame(stack[0])
