"""Watches one event loop from beside it.

A clock ticks on the loop itself. A late tick is lag, and stands for all callbacks that would have been due
while it was; while one is overdue, the agent's thread looks at the stack of the thread that the loop runs in,
and at the task that is current there, whose context knows the request. Works the same under asyncio and
uvloop, since it only uses `call_later` and `current_task`. Where nothing runs on the loop and it does not
turn all the same, it waits for the GIL: then the app's other threads are looked at. A block nobody was seen
to cause is lag, and no incident; nor is what holds the loop while the app starts up, as loading a model does:
until the first request it keeps nobody waiting.

While ticks come in time nobody looks: one that does not wakes the agent's thread (`overdue`).

The clock ticks every 50 ms, so a block began up to 50 ms before the tick that it delays was due: where the
request that blocks began within that time, its beginning is taken for that of the block. Whoever wants blocks
shorter than 100 ms named has ticks at half of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import threading
from time import perf_counter_ns
from typing import Protocol

from perftui_agent.await_chain import request_of
from perftui_agent.foreign_frames import current_frames
from perftui_agent.probes.loop.block import (
    Block,
    Line,
    base_of,
    busy_stacks,
    request_in,
    stack_on_loop,
)
from perftui_agent.probes.loop.clock import LoopClock, waits_of
from perftui_agent.probes.loop.gap import FROM_NS, Gap, asked_for_gil, gap
from perftui_agent.probes.loop.overdue import OverdueTimer
from perftui_agent.probes.loop.pace import LoopPace
from perftui_agent.records import RequestRecord
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.process import LoopStats

BEAT_NS = 50_000_000
"""How often the loop's clock ticks, and the agent's thread looks at it."""

SHORTEST_BEAT_NS = 5_000_000
"""However short the blocks that are wanted: each tick wakes the loop, which costs 50 to 150 µs."""

OVERDUE_NS = 5_000_000
"""Timers come a millisecond or so late; what is later than this is waiting for something."""

STARTING_NS = 60_000_000_000
"""A worker that has had no request yet starts up, for a minute at most."""

SURE_SHARE = 0.75
"""Of the threshold, what a tick itself must have waited: before it, the loop may have turned unseen."""

MAX_INCIDENTS = 20
"""Blocks told of in one frame, the longest of them."""

SAMPLES_AT_EVERY_BEAT = 40
"""Further samples of one block are taken every tenth beat: 0.5 s apart."""

_RUSAGE_THREAD: int | None = getattr(resource, "RUSAGE_THREAD", None)  # on Linux


class Told(Protocol):
    """Who is told of a block as it ends: the window."""

    bounded: dict[str, int]
    open_websockets: int

    @property
    def in_flight(self) -> list[RequestRecord]:
        """Requests that have not ended."""

    @property
    def unfolded(self) -> list[RequestRecord]:
        """These, and those that have ended since the last beat."""

    def loop_was_held(self, name: str, began_ns: int, ended_ns: int, by: RequestRecord | None) -> None:
        """Take a stretch in which no other request could go on; on the agent's thread."""


class LoopWatch:
    """Watches one event loop. Made on the loop's own thread, used on the agent's."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        block_ms: float,
        told: Told,
        pace: LoopPace,
        timer: OverdueTimer,
    ) -> None:
        self.loop = loop
        self.thread_id = threading.get_ident()
        self.clock = LoopClock(loop, beat_ns(block_ms), pace, timer)
        self._timer = timer
        self.base = base_of(sys._getframe())
        self._block_ns = int(block_ms * 1_000_000)
        self._beat_ns = beat_ns(block_ms)
        self.pause_ns = self._beat_ns
        """How much later than the last one the next look is meant to be."""
        self._told = told
        self._serves_from_ns = perf_counter_ns() + STARTING_NS
        """Blocks that began before belong to the app's start-up."""
        self._turned_ns = perf_counter_ns()
        """The last moment the loop is known to have turned."""
        self._woke_ns = self._turned_ns
        self._switches = 0
        self.gap: Gap | None = None
        """What there was before the last look, if that came late."""
        self.turns_in_time = False
        """Whether, at the last look, no tick was overdue or had just been late."""
        self._block: Block | None = None
        self._samples = 0
        self._incidents: list[Incident] = []
        self._stats = self._new_stats()
        self.clock.start()

    @property
    def is_held(self) -> bool:
        """Whether it was found not to turn, and no tick has come since."""
        return self._block is not None

    def look(self) -> bool:
        """Look whether the loop turns; False when it is closed and there is nothing left to watch."""
        if self.loop.is_closed():
            return False
        now, switches = perf_counter_ns(), _switches_of_this_thread()
        apart_ns = now - self._woke_ns
        asked = switches - self._switches
        self.gap = gap(apart_ns, asked, len(self.clock.ticks)) if apart_ns >= FROM_NS else None
        if now < self._serves_from_ns:
            self._serves_from_ns = self._first_visit_ns()
        was_late_ns, late_due_ns = self.take_ticks()
        overdue_ns = now - self.clock.due_ns
        meant_ns = self._meant_ns(self.clock.due_ns if overdue_ns >= OVERDUE_NS else late_due_ns)
        held_ns = now - meant_ns
        self.turns_in_time = overdue_ns < OVERDUE_NS and was_late_ns < OVERDUE_NS
        if overdue_ns >= OVERDUE_NS and (self._block is not None or held_ns < overdue_ns / 2):
            self._look(self.clock.due_ns)
        elif overdue_ns >= OVERDUE_NS:
            self._look_who_held_us(meant_ns, now, asked)
        elif min(held_ns, was_late_ns) >= self._block_ns * SURE_SHARE:
            # The loop has come before us; who held us both may be where it was all the same.
            turned_ns = self._turned_ns
            self._look_who_held_us(meant_ns, now, asked)
            self._turned(turned_ns)
        self._woke_ns, self._switches = now, switches
        return True

    def _meant_ns(self, missed_ns: int) -> int:
        """Return when this look was meant to be, given when the tick was due that was missed, if one was."""
        planned_ns = self._woke_ns + self.pause_ns
        if missed_ns and self._timer.file is not None:
            return min(planned_ns, missed_ns + self._timer.after_ns)
        return planned_ns

    def close_span(self) -> tuple[LoopStats, list[Incident]]:
        """Return what this span's ticks have shown, and start the next."""
        self.take_ticks()
        stats, self._stats = self._stats, self._new_stats()
        incidents, self._incidents = self._incidents, []
        overdue_ns = perf_counter_ns() - self.clock.due_ns
        if overdue_ns >= OVERDUE_NS:
            block = self._block = self._block or Block(self.clock.due_ns)
            held_ns = perf_counter_ns() - block.began_ns
            if held_ns >= self._block_ns:
                stats.blocked_ns = held_ns
                if block.seen and not self._is_start_up(block):
                    incident = block.incident(held_ns, ongoing=True)
                    incidents.append(incident)
                    stats.blocked_at, stats.blocked_route = incident.where, incident.route
        if len(incidents) > MAX_INCIDENTS:
            bounded = self._told.bounded
            bounded["incidents"] = bounded.get("incidents", 0) + len(incidents) - MAX_INCIDENTS
            incidents = sorted(incidents, key=lambda incident: incident.ns)[-MAX_INCIDENTS:]
        return stats, incidents

    def _first_visit_ns(self) -> int:
        """Return when the first visitor came, or, as long as there is none, the end of the start-up."""
        told = self._told
        visits = [record.started_ns for record in told.unfolded]
        if told.open_websockets:
            visits.append(perf_counter_ns())
        return min(visits, default=self._serves_from_ns)

    def _is_start_up(self, block: Block) -> bool:
        return block.request is None and block.began_ns < self._serves_from_ns

    def take_ticks(self) -> tuple[int, int]:
        """Take in the ticks since the last time; return how late the latest was, and when due if it was."""
        ticks, late_ns, due_ns = self.clock.ticks, 0, 0
        waits: list[int] = []
        while ticks:
            due_ns, ran_ns = ticks.popleft()
            late_ns = ran_ns - due_ns
            if late_ns <= self._beat_ns:
                waits.append(max(0, late_ns))
            else:
                waits += waits_of(late_ns, self._beat_ns)
            if self._block is not None:
                self._turned(ran_ns)
            else:
                self._turned_ns, self._samples = ran_ns, 0
        self._stats.lag.add_all(waits)
        return late_ns, due_ns if late_ns >= OVERDUE_NS else 0

    def _turned(self, turned_ns: int) -> None:
        block, self._block = self._block, None
        self._turned_ns = turned_ns
        self._samples = 0
        if block is None or not block.seen or self._is_start_up(block):
            return
        held_ns = turned_ns - block.began_ns
        if held_ns >= self._block_ns and turned_ns - block.known_ns >= self._block_ns * SURE_SHARE:
            incident = block.incident(held_ns)
            self._incidents.append(incident)
            self._told.loop_was_held(incident.where, block.began_ns, turned_ns, block.request)

    def _look(self, began_ns: int) -> None:
        """Sample what runs on the loop, which has not turned since `began_ns` at the least."""
        if self._block is None:
            self._block = Block(began_ns)
        self._samples += 1
        if self._samples > SAMPLES_AT_EVERY_BEAT and self._samples % 10:
            return
        threads = current_frames()
        stack = stack_on_loop(threads.pop(self.thread_id, None), self.base)
        if stack:
            self._sampled(stack, self.current_request())
            return
        in_flight = self._told.in_flight
        for stack in busy_stacks(threads.values()):
            self._sampled(stack, request_in(stack, in_flight))

    def _sampled(self, stack: list[Line], request: RequestRecord | None) -> None:
        block = self._block
        if block is not None:
            block.add(stack, request)
            if request is not None and self._turned_ns < request.started_ns < block.began_ns:
                block.began_ns = request.started_ns

    def current_request(self) -> RequestRecord | None:
        """Return the request of the task that runs now."""
        with contextlib.suppress(Exception):  # each Python tells in its own way who is current
            task = asyncio.current_task(self.loop)
            return request_of(task) if task is not None else None
        return None

    def _look_who_held_us(self, since_ns: int, now: int, switches: int) -> None:
        """Find C code that held the GIL: it stops the agent's thread along with the loop, and both come late.

        As soon as it is done, this thread runs, and finds the caller where it was. If the loop had turned,
        requests would have ended.
        """
        if not asked_for_gil(now - since_ns, switches):
            return
        if any(record.ended_ns > since_ns for record in self._told.unfolded):
            return
        self._look(since_ns)
        block = self._block
        request = block.request if block is not None else None
        if block is None or request is None:
            self._block, self._samples = None, 0
        elif request.started_ns > block.began_ns:
            block.began_ns = request.started_ns

    def _new_stats(self) -> LoopStats:
        kind = type(self.loop).__module__.partition(".")[0]
        return LoopStats(kind="uvloop" if kind == "uvloop" else "asyncio")


def beat_ns(block_ms: float) -> int:
    """Return how often to look so that a block of `block_ms` is seen."""
    return max(SHORTEST_BEAT_NS, min(BEAT_NS, int(block_ms * 500_000)))


def _switches_of_this_thread() -> int:
    """Return how often this thread has gone to wait, for the GIL or anything else; 0.6 µs."""
    return 0 if _RUSAGE_THREAD is None else resource.getrusage(_RUSAGE_THREAD).ru_nvcsw
