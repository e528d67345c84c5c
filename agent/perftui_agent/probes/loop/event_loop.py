"""Watches the app's event loop from beside it.

The agent's thread posts a beat to the loop; the loop answers with the time. A late answer is lag; while
an answer is outstanding, the agent's thread looks at the stack of the thread that the loop runs in, and
at the task that is current there, whose context knows the request. Works the same under asyncio and
uvloop, since it only uses `call_soon_threadsafe` and `current_task`. Where nothing runs on the loop and
it does not turn all the same, it waits for the GIL: then the app's other threads are looked at. A block
nobody was seen to cause is lag, and no incident; nor is what holds the loop while the app starts up, as
loading a model does: until the first request it keeps nobody waiting.

A beat is posted every 50 ms, so a block began up to 50 ms before the beat that finds it: where the
request that blocks began within that time, its beginning is taken for that of the block. Whoever wants
blocks shorter than 100 ms named has beats at half of that: a block is only seen by the beat after the
one that it delays.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import threading
from time import perf_counter_ns
from types import FrameType
from typing import Protocol

from perftui_agent.probes.loop.await_chain import request_of, route_of
from perftui_agent.probes.loop.block import (
    Block,
    Line,
    base_of,
    busy_stacks,
    request_in,
    stack_on_loop,
)
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.records import RequestRecord
from perftui_agent.wire.frames import Frame, Incident, LoopStats

BEAT_NS = 50_000_000
"""How often the agent's thread beats."""

SHORTEST_BEAT_NS = 5_000_000
"""However short the blocks that are wanted: each beat costs 45 µs."""

STARTING_NS = 60_000_000_000
"""A worker that has had no request yet starts up, for a minute at most."""

SURE_SHARE = 0.75
"""Of the threshold, what a beat itself must have waited: before it, the loop may have turned unseen."""

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


class LoopProbe:
    """Watches whichever event loop the app runs in now."""

    name = "event loop"

    def __init__(self, block_ms: float, told: Told) -> None:
        self._block_ms = block_ms
        self._told = told
        self._watch: LoopWatch | None = None

    @property
    def beat_s(self) -> float:
        """How often `beat` is to be called."""
        return beat_ns(self._block_ms) / 1e9

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

    def watch_running_loop(self) -> None:
        """Watch the loop that runs in this thread; called on the app's thread, none running included."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._watch is None or self._watch.loop is not loop:
            self._watch = LoopWatch(loop, self._block_ms, self._told)

    def attach(self) -> ProbeStatus:
        """Say whether there is a loop to watch."""
        return ON if self._watch is not None else "off: no asyncio loop"

    def detach(self) -> None:
        """There is nothing to take back."""

    def beat(self) -> None:
        """Post or check a beat; on the agent's thread, every `beat_s`."""
        watch = self._watch
        if watch is not None and not watch.beat():
            self._watch = None

    def fill(self, frame: Frame) -> None:
        """Add what this span's beats have shown."""
        if self._watch is not None:
            frame.loop, frame.incidents = self._watch.close_span()


class LoopWatch:
    """Beats for one event loop. Made on the loop's own thread, used on the agent's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, block_ms: float, told: Told) -> None:
        self.loop = loop
        self.thread_id = threading.get_ident()
        self.base = base_of(sys._getframe())
        self._block_ns = int(block_ms * 1_000_000)
        self._beat_ns = beat_ns(block_ms)
        self._told = told
        self._sent_ns = 0
        self._answered_ns = 0
        self._serves_from_ns = perf_counter_ns() + STARTING_NS
        """Blocks that began before belong to the app's start-up."""
        self._turned_ns = perf_counter_ns()
        """The last moment the loop is known to have turned."""
        self._woke_ns = self._turned_ns
        self._switches = 0
        self._block: Block | None = None
        self._samples = 0
        self._incidents: list[Incident] = []
        self._stats = self._new_stats()

    def beat(self) -> bool:
        """Post or check a beat; False when the loop is closed and there is nothing left to watch."""
        if self.loop.is_closed():
            return False
        now, switches = perf_counter_ns(), _switches_of_this_thread()
        if now < self._serves_from_ns:
            self._serves_from_ns = self._first_visit_ns()
        if self._sent_ns and self._answered_ns:
            self._answered()
        if self._sent_ns:
            self._look(self._sent_ns)
        else:
            self._look_who_held_us(now, switches - self._switches)
        self._woke_ns, self._switches = now, switches
        return bool(self._sent_ns) or self._send()

    def close_span(self) -> tuple[LoopStats, list[Incident]]:
        """Return what this span's beats have shown, and start the next."""
        stats, self._stats = self._stats, self._new_stats()
        incidents, self._incidents = self._incidents, []
        if self._sent_ns and not self._answered_ns:
            block = self._block = self._block or Block(self._sent_ns)
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

    def _send(self) -> bool:
        self._answered_ns = 0
        self._sent_ns = perf_counter_ns()
        try:
            self.loop.call_soon_threadsafe(self._answer)
        except RuntimeError:
            return False
        return True

    def _answer(self) -> None:
        self._answered_ns = perf_counter_ns()

    def _answered(self) -> None:
        answered_ns, sent_ns = self._answered_ns, self._sent_ns
        block, self._block = self._block, None
        self._turned_ns = answered_ns
        self._sent_ns = self._samples = 0
        self._stats.lag.add(answered_ns - (block.began_ns if block is not None else sent_ns))
        if block is None or not block.seen or self._is_start_up(block):
            return
        held_ns = answered_ns - block.began_ns
        if held_ns >= self._block_ns and answered_ns - block.known_ns >= self._block_ns * SURE_SHARE:
            incident = block.incident(held_ns)
            self._incidents.append(incident)
            self._told.loop_was_held(incident.where, block.began_ns, answered_ns, block.request)

    def _look(self, began_ns: int) -> None:
        """Sample what runs on the loop, which has not turned since `began_ns` at the least."""
        if self._block is None:
            self._block = Block(began_ns)
        self._samples += 1
        if self._samples > SAMPLES_AT_EVERY_BEAT and self._samples % 10:
            return
        threads = sys._current_frames()
        stack = stack_on_loop(threads.pop(self.thread_id, None), self.base)
        if stack:
            self._sampled(stack, self.current_request())
            return
        threads.pop(threading.get_ident(), None)
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

    def _look_who_held_us(self, now: int, switches: int) -> None:
        """Find C code that held the GIL: it stops the agent's thread along with the loop.

        As soon as it is done, this thread runs, and finds the caller where it was. A thread that waits
        for the GIL asks for it every 5 ms, which the system counts; on a busy machine, or in a process
        that was stopped, it just sleeps. And if the loop had turned, requests would have ended.
        """
        since_ns = self._woke_ns + self._beat_ns
        expected = (now - since_ns) / 1e9 / sys.getswitchinterval()
        if now - since_ns < self._block_ns or switches < expected / 5:
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
    """Return how often to beat so that a block of `block_ms` is looked at."""
    return max(SHORTEST_BEAT_NS, min(BEAT_NS, int(block_ms * 500_000)))


def _switches_of_this_thread() -> int:
    """Return how often this thread has gone to wait, for the GIL or anything else; 0.6 µs."""
    return 0 if _RUSAGE_THREAD is None else resource.getrusage(_RUSAGE_THREAD).ru_nvcsw
