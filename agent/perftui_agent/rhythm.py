"""The rhythm of the agent's thread: a beat every 50 ms, seldom where nothing happens; a frame every second.

A beat folds what waits and asks the app's event loop for a sign of life; a frame closes the span, has
the probes read what is read rather than counted, and goes to the clients and into the black box.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import time
from collections.abc import Callable
from time import perf_counter_ns

from msgspec.structs import replace

from perftui_agent.blackbox.box import BlackBox
from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.probes.loop.gil import GilProbe
from perftui_agent.probes.machine.footprint import Footprint
from perftui_agent.probes.probe_set import ProbeSet
from perftui_agent.serve.worker_socket import WorkerSocket
from perftui_agent.window.degrade import Degradation, Spent
from perftui_agent.window.window import Window
from perftui_agent.wire.clock import Instant, instant, steady_ns
from perftui_agent.wire.fitting import MAX_FRAME_BYTES, fitted
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import AgentStats

FOLD_AT_ONCE = 500
"""Records folded before the thread lets go of the GIL: about half a millisecond."""

STAGGER_NS = 5_000_000
"""Workers close their frames at whole seconds, a little apart, so that they don't all wake at once."""


class BeatingSelector(selectors.DefaultSelector):
    """What the thread's asyncio loop waits in; it beats while it waits, and while the loop is busy.

    A timer of asyncio's costs 160 µs a wake, beside the beat itself; a selector that wakes by itself
    costs 45, and twenty of them a second are what an idle agent mostly did.
    """

    def __init__(self, beat: Callable[[], float], gil: GilProbe, wakes: int | None = None) -> None:
        super().__init__()
        self._beat = beat
        """Returns after how many seconds it is to be called again; 0: as soon as others have had the GIL."""
        self._gil = gil
        """Has it woken now and then to see whether somebody else holds the GIL."""
        self._wakes = wakes
        """A descriptor that has it called at once when it can be read."""
        self._next = time.monotonic()
        if wakes is not None:
            self.register(wakes, selectors.EVENT_READ)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for what the loop waits for, as its own selector would."""
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            now = time.monotonic()
            if now >= self._next:
                self._next = now + self._beat()
            slept_before = self._gil.asleep()
            ready = super().select(max(0.0, min(until, self._next, self._gil.due_s) - now))
            self._gil.woke(slept_before)
            if ready and self._wakes is not None:
                others = [each for each in ready if each[0].fd != self._wakes]
                if len(others) < len(ready):
                    # Before anything that lets go of the GIL.
                    ready, now = others, time.monotonic()
                    self._next = now + self._beat()
            elif not ready and time.monotonic() < self._next:
                # At a beat it is looked first what holds the loop.
                self._gil.look()
            if ready or time.monotonic() >= until:
                return ready


class Rhythm:
    """Makes a worker's frames."""

    def __init__(
        self,
        *,
        window: Window,
        guard: Guard,
        probes: ProbeSet,
        stream: WorkerSocket,
        box: BlackBox | None,
        footprint: Footprint,
        evidence: EvidenceTray,
        note: Callable[[Frame], None],
        before_folding: Callable[[], None],
    ) -> None:
        self._window = window
        self._guard = guard
        self._probes = probes
        self._stream = stream
        self._box = box
        self._footprint = footprint
        self._evidence = evidence
        self._note = note
        """Who else is to know what a frame says."""
        self._before_folding = before_folding
        """Has it known what the loop has done up to now, which tells for what requests have waited."""
        self._seq = 0
        self._is_over = False
        self._opened_ns = perf_counter_ns()
        self._cpu_s = time.thread_time()
        self._frame_cpu_s = 0.0
        """What closing the last frame took."""
        self._degradation = Degradation()
        self._window.one_in = self._degradation.one_in
        self._offset_ns = os.getpid() % 16 * STAGGER_NS

    async def run(self) -> None:
        """Close a frame at each boundary, and one for the rest when it is cancelled."""
        boundary_ns = self._next_boundary_ns()
        try:
            while True:
                await asyncio.sleep(max(0, boundary_ns - steady_ns()) / 1e9)
                now = instant()
                if now.steady_ns >= boundary_ns:
                    self._frame(now.before(self._offset_ns))
                    boundary_ns = self._next_boundary_ns()
        finally:
            self.end()

    def end(self) -> None:
        """Close the last frame, if that has not been done: `run` may be cancelled before it has begun."""
        if not self._is_over:
            self._is_over = True
            self._frame(instant())

    def _next_boundary_ns(self) -> int:
        """Return when the wall clock's next whole second is, on the steady clock: the other may be set."""
        now = instant()
        since_ns = (now.wall_ns - self._offset_ns) % 1_000_000_000
        return now.steady_ns - since_ns + self._degradation.span_s * 1_000_000_000

    def _frame(self, ended: Instant) -> None:
        with self._guard.guarding("window"):
            self._before_folding()
            self._window.find_ended(piece=1)
            while self._window.fold_pending(FOLD_AT_ONCE) >= FOLD_AT_ONCE:
                time.sleep(0)  # lets go of the GIL
        with self._guard.guarding("agent.frame"):
            before_s = time.thread_time()
            self._close_frame(ended)
            self._frame_cpu_s = time.thread_time() - before_s

    def _close_frame(self, ended: Instant) -> None:
        closed_ns = perf_counter_ns()
        self._seq += 1
        span_ns = closed_ns - self._opened_ns
        self._opened_ns = closed_ns
        frame = Frame(seq=self._seq, ended_at=ended.wall_ns, span_ns=span_ns)
        with self._guard.guarding("window"):
            frame = self._window.close(seq=self._seq, ended_at_ns=ended.wall_ns, span_ns=span_ns)
        frame.steady_ns = ended.steady_ns
        self._probes.attach()
        self._probes.fill(frame)
        self._note(frame)
        frame.evidence = self._evidence.take()
        self._tell_of_ourselves(frame)
        if self._box is not None or self._stream.clients:
            frame, encoded = self._encoded(frame)
            self._stream.push(encoded)
            if self._box is not None:
                with self._guard.guarding("blackbox"):
                    if not self._box.add(frame, encoded):
                        self._window.bounded["blackbox"] = self._window.bounded.get("blackbox", 0) + 1

    def _encoded(self, frame: Frame) -> tuple[Frame, bytes]:
        """Return a frame and its bytes; of one that has none, one that says so: a silent worker says less."""
        most_bytes = self._box.frame_bytes if self._box is not None else MAX_FRAME_BYTES
        try:
            return frame, fitted(frame, most_bytes)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count
            self._guard.fault("wire", error)
        agent = replace(frame.agent, faults=dict(self._guard.faults))
        bare = Frame(
            seq=frame.seq,
            ended_at=frame.ended_at,
            steady_ns=frame.steady_ns,
            span_ns=frame.span_ns,
            agent=agent,
            probes=frame.probes,
        )
        return bare, fitted(bare, most_bytes)

    def _tell_of_ourselves(self, frame: Frame) -> None:
        cpu_s = time.thread_time()
        span_s = max(frame.span_ns / 1e9, 1e-3)
        spent = Spent(
            total=100.0 * (cpu_s - self._cpu_s) / span_s,
            following=100.0 * self._window.take_following_ns() / 1e9 / span_s,
            frame=100.0 * self._frame_cpu_s / span_s,
        )
        self._cpu_s = cpu_s
        rss_bytes: int | None = None
        with self._guard.guarding("agent.footprint"):
            rss_bytes = self._footprint.read()
        frame.agent = AgentStats(
            cpu_percent=spent.total,
            rss_bytes=rss_bytes,
            records_dropped=self._window.records_dropped,
            clients=self._stream.clients,
            bytes_sent=self._stream.bytes_sent,
            faults=dict(self._guard.faults),
            bounded=self._window.take_bounded(),
            forgotten=dict(self._window.forgotten),
            sampled=self._degradation.one_in,
            degraded=self._degradation.told,
        )
        frame.probes = dict(self._probes.status)
        self._degradation.after_span(spent)
        self._window.one_in = self._degradation.one_in
