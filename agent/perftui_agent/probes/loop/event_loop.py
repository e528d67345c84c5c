"""Follows the app from one event loop to the next, and has the one that it runs in now watched."""

from __future__ import annotations

import asyncio
from types import FrameType

from perftui_agent.await_chain import route_of
from perftui_agent.probes.loop.block import stack_on_loop
from perftui_agent.probes.loop.gap import Gap
from perftui_agent.probes.loop.loop_watch import OVERDUE_NS, LoopWatch, Told, beat_ns
from perftui_agent.probes.loop.overdue import OverdueTimer
from perftui_agent.probes.loop.pace import LoopPace
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.records import RequestRecord
from perftui_agent.wire.frames import Frame

WAKES_AFTER = 5
"""A tick that is overdue for this part of a beat wakes the agent's thread."""


class LoopProbe:
    """Watches whichever event loop the app runs in now."""

    name = "event loop"

    def __init__(self, block_ms: float, told: Told, pace: LoopPace) -> None:
        self._block_ms = block_ms
        self.beat_s = beat_ns(block_ms) / 1e9
        """How often `look` is to be called while the loop does not turn in time."""
        self._told = told
        self._pace = pace
        self._watch: LoopWatch | None = None
        self.timer = OverdueTimer(max(OVERDUE_NS, beat_ns(block_ms) // WAKES_AFTER))
        """For the agent's thread to open and to close, and to wake by."""

    @property
    def may_rest(self) -> bool:
        """Whether it needs no call until the timer wakes somebody."""
        return self.timer.file is not None and self.turns_in_time

    def rests(self, pause_ns: int) -> None:
        """Take that the next look is meant to be so much later, or when the timer wakes somebody."""
        watch = self._watch
        if watch is not None:
            watch.pause_ns = pause_ns
            self.timer.has_woken(watch.clock.due_ns)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that is watched."""
        watch = self._watch
        return watch.loop if watch is not None else None

    @property
    def thread_id(self) -> int | None:
        """The thread that the loop runs in."""
        watch = self._watch
        return watch.thread_id if watch is not None else None

    @property
    def gap(self) -> Gap | None:
        """What there was before the last look, if that came late."""
        watch = self._watch
        return watch.gap if watch is not None else None

    def loop_waits(self, frame: FrameType) -> bool:
        """Tell whether the loop waits for events, given the innermost frame of its thread."""
        watch = self._watch
        return watch is None or not stack_on_loop(frame, watch.base)

    def request_on_loop(self) -> RequestRecord | None:
        """Return the request of the task that runs on the loop; from any thread."""
        watch = self._watch
        return watch.current_request() if watch is not None else None

    def route_of(self, record: RequestRecord) -> str:
        """Return the route of a request, in flight or ended."""
        return route_of(record)

    @property
    def is_held(self) -> bool:
        """Whether the loop was found not to turn, and no tick has come since."""
        watch = self._watch
        return watch is not None and watch.is_held

    def watch_running_loop(self) -> None:
        """Watch the loop that runs in this thread; called on the app's thread, none running included."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        watch = self._watch
        if watch is None or watch.loop is not loop:
            if watch is not None:
                watch.clock.stop()
            self._pace.follow_this_thread()
            self._watch = LoopWatch(loop, self._block_ms, self._told, self._pace, self.timer)

    def attach(self) -> ProbeStatus:
        """Say whether there is a loop to watch."""
        return ON if self._watch is not None else "off: no asyncio loop"

    def detach(self) -> None:
        """Stop the clock."""
        if self._watch is not None:
            self._watch.clock.stop()

    def look(self) -> None:
        """Look whether the loop turns; on the agent's thread, every `beat_s`."""
        watch = self._watch
        if watch is not None and not watch.look():
            self._watch = None

    @property
    def turns_in_time(self) -> bool:
        """Whether it did when it was last looked at; False where nobody can tell."""
        watch = self._watch
        return watch is not None and watch.turns_in_time

    def take_ticks(self) -> None:
        """Take in the ticks up to now, and tell of the block that they have ended; on the agent's thread."""
        if self._watch is not None:
            self._watch.take_ticks()

    def fill(self, frame: Frame) -> None:
        """Add what this span's ticks have shown."""
        if self._watch is not None:
            frame.loop, frame.incidents = self._watch.close_span()
