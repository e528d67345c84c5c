"""Wires the stages together: probes → window → frame → this worker's socket.

One agent per process. It is made when the app is instrumented, which opens nothing; its thread starts
with the app's lifespan or its first request, in the worker's own process, and runs a small asyncio loop
of its own beside the app's. Everything on that thread is guarded: a fault costs a count.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import time
from functools import partial
from pathlib import Path
from time import perf_counter_ns

from perftui_agent.blackbox.box import BlackBox
from perftui_agent.guard import Guard
from perftui_agent.inspect.dump import Inspector
from perftui_agent.inspect.ptrace import permit_tracing
from perftui_agent.probes.caches import CacheProbe
from perftui_agent.probes.event_loop import LoopProbe
from perftui_agent.probes.garbage import GarbageProbe
from perftui_agent.probes.in_flight import InFlightProbe
from perftui_agent.probes.pool import PoolProbe
from perftui_agent.probes.probe import ON, Probe
from perftui_agent.probes.process import ProcessProbe
from perftui_agent.probes.redis import RedisProbe
from perftui_agent.probes.serialization import SerializationProbe
from perftui_agent.probes.sqlalchemy import SqlAlchemyProbe
from perftui_agent.probes.threadpool import ThreadpoolProbe
from perftui_agent.serve.introduction import introduce
from perftui_agent.serve.rendezvous import Rendezvous
from perftui_agent.serve.worker_socket import WorkerSocket
from perftui_agent.settings import Settings
from perftui_agent.window.degrade import NO_STORIES, SPANS_S, TOLD, Degradation
from perftui_agent.window.window import Window
from perftui_agent.wire.codec import encode
from perftui_agent.wire.frames import (
    AgentStats,
    Dump,
    DumpRequest,
    Frame,
    Refusal,
)

BEAT_S = 0.05
"""How often the agent's thread wakes: folds what waits and sends the app's loop a beat."""

FOLD_AT_ONCE = 500
"""Records folded before the thread lets go of the GIL: about half a millisecond."""

STAGGER_S = 0.005
"""Workers close their frames at whole seconds, a little apart, so that they don't all wake at once."""

LISTENERS_CHANGE_AFTER_S = (0.25, 0.5, 1.0, 2.0)
"""When to look for the listening sockets, which servers open after the lifespan's startup."""

LISTENERS_CHANGE_EVERY_S = 5.0

STOP_WITHIN_S = 0.05

_log = logging.getLogger("perftui")


class Agent:
    """The agent of this process."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.window = Window()
        self.settings = Settings()
        self.service = ""
        self._run: _Run | None = None
        self._lifespans = 0
        os.register_at_fork(after_in_child=self._forget_parent)
        atexit.register(self.stop)

    def lifespan_started(self) -> None:
        """The app's lifespan begins."""
        self._lifespans += 1
        self.start()

    def lifespan_ended(self) -> None:
        """The app's lifespan is over; with the last one the agent stops."""
        self._lifespans -= 1
        if self._lifespans <= 0:
            self._lifespans = 0
            self.stop()

    def start(self) -> None:
        """Start the thread, have the probes attach, and watch the loop that runs now. Never raises."""
        with self.guard.guarding("agent.start"):
            if self._run is None:
                # Open even if the thread should fail: a request must not try again each time.
                self.window.open = True
                self._run = _Run(self)
                self._run.attach_probes()
                self._run.start()
            self._run.loop_probe.watch_running_loop()

    def stop(self) -> None:
        """Stop the thread and take the worker off the list. Never raises, waits 50 ms at most."""
        run, self._run = self._run, None
        self.window.open = False
        if run is not None:
            with self.guard.guarding("agent.stop"):
                run.stop()

    def _forget_parent(self) -> None:
        # Threads don't survive a fork; the parent's sockets and files are the parent's.
        run, self._run = self._run, None
        if run is not None:
            run.detach_probes()
        self._lifespans = 0
        self.window.empty()


class _Run:
    """One life of the agent's thread."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._guard = agent.guard
        self._window = agent.window
        self._thread = threading.Thread(target=self._main, name="perftui-agent", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._rendezvous: Rendezvous | None = None
        self.box: BlackBox | None = None
        self.probe_status: dict[str, str] = {}
        agent.window.shapes.show_text = agent.settings.sql_text == "shape"
        self.loop_probe = LoopProbe(agent.settings.block_ms, agent.window)
        self.process_probe = ProcessProbe()
        self.in_flight_probe = InFlightProbe(agent.window, self.loop_probe)
        self.probes: list[Probe] = [
            self.loop_probe,
            self.process_probe,
            ThreadpoolProbe(agent.window, self.loop_probe),
            GarbageProbe(),
            self.in_flight_probe,
            SerializationProbe(),
            SqlAlchemyProbe(agent.window, agent.guard, agent.settings.slow_query_ms),
            PoolProbe(agent.window, agent.guard),
            CacheProbe(agent.window),
            RedisProbe(agent.window, agent.guard),
        ]

    def start(self) -> None:
        self._thread.start()

    def attach_probes(self) -> None:
        for probe in self.probes:
            if self.probe_status.get(probe.name) != ON:
                self.probe_status[probe.name] = "off: it failed"
                with self._guard.guarding(f"probes.{probe.name}"):
                    self.probe_status[probe.name] = probe.attach()

    def detach_probes(self) -> None:
        for probe in self.probes:
            with self._guard.guarding(f"probes.{probe.name}"):
                probe.detach()

    def stop(self) -> None:
        self._stopping = True
        self.detach_probes()
        if self._rendezvous is not None:
            self._rendezvous.withdraw()
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_cancel_all, loop)
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_WITHIN_S)

    def _main(self) -> None:
        try:
            # Not the policy's loop: that may be uvloop, and the app's affair.
            loop = self._loop = asyncio.SelectorEventLoop()
            try:
                loop.run_until_complete(self._live())
            finally:
                loop.close()
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - the thread may end, the app must not notice
            self._guard.fault("agent.thread", error)
            _log.warning("perftui: this worker can't be watched: %s", error)
        finally:
            if self._rendezvous is not None:
                self._rendezvous.withdraw()

    async def _live(self) -> None:
        agent = self._agent
        hello = introduce(agent.service or "app", self.process_probe.started_at, agent.settings)
        worker = hello.worker
        self.probe_status["ptrace"] = permit_tracing()
        rendezvous = self._rendezvous = Rendezvous(worker)
        inspector = Inspector(
            own_pid=worker.pid,
            actions_allowed=agent.settings.actions,
            registrations=rendezvous.siblings,
        )
        stream = WorkerSocket(
            rendezvous.socket_path,
            hello=encode(hello),
            history=self._history,
            act=partial(_act, inspector),
        )
        await stream.open()
        try:
            self._open_box(rendezvous.box_path, encode(hello))
            rendezvous.publish()
            with self._guard.guarding("serve.sweep"):
                rendezvous.sweep()
            await asyncio.gather(
                _Beats(self, stream).run(),
                self._keep_published(rendezvous),
            )
        finally:
            await stream.close()
            if self.box is not None:
                self.box.close()

    def _open_box(self, path: Path, hello: bytes) -> None:
        size_bytes = int(self._agent.settings.blackbox_mb * 1024 * 1024)
        if size_bytes:
            with self._guard.guarding("blackbox"):
                self.box = BlackBox(path, hello=hello, size_bytes=size_bytes)

    def _history(self) -> list[bytes]:
        history: list[bytes] = []
        if self.box is not None:
            with self._guard.guarding("blackbox"):
                history = self.box.history(time.time_ns())
        return history

    async def _keep_published(self, rendezvous: Rendezvous) -> None:
        started = time.monotonic()
        for after_s in LISTENERS_CHANGE_AFTER_S:
            await asyncio.sleep(max(0.0, started + after_s - time.monotonic()))
            self._publish(rendezvous)
        while not self._stopping:
            await asyncio.sleep(LISTENERS_CHANGE_EVERY_S)
            self._publish(rendezvous)

    def _publish(self, rendezvous: Rendezvous) -> None:
        if not self._stopping:
            with self._guard.guarding("serve.rendezvous"):
                rendezvous.publish()


class _Beats:
    """The rhythm of the agent's thread: a beat every 50 ms, a frame every second."""

    def __init__(self, run: _Run, stream: WorkerSocket) -> None:
        self._run = run
        self._stream = stream
        self._window = run._window
        self._guard = run._guard
        self._seq = 0
        self._opened_ns = perf_counter_ns()
        self._cpu_s = time.thread_time()
        self._degradation = Degradation()
        self._window.degrade(self._degradation.level)
        self._offset_s = (os.getpid() % 16) * STAGGER_S

    async def run(self) -> None:
        boundary = self._next_boundary()
        while not self._run._stopping:
            await asyncio.sleep(max(0.0, min(BEAT_S, boundary - time.time())))
            with self._guard.guarding("agent.beat"):
                self._run.loop_probe.beat()
            await self._fold()
            now = time.time()
            # The wall clock may have been stepped back: then the next boundary is the new clock's.
            if now >= boundary or boundary - now > 1.0 + max(SPANS_S):
                with self._guard.guarding("agent.frame"):
                    self._close_frame(now)
                boundary = self._next_boundary()

    def _next_boundary(self) -> float:
        span_s = SPANS_S[self._degradation.level]
        return int(time.time() - self._offset_s) + span_s + self._offset_s

    async def _fold(self) -> None:
        while True:
            folded = FOLD_AT_ONCE
            with self._guard.guarding("window"):
                folded = self._window.fold_pending(FOLD_AT_ONCE)
            if folded < FOLD_AT_ONCE:
                return
            await asyncio.sleep(0)

    def _close_frame(self, now: float) -> None:
        closed_ns = perf_counter_ns()
        self._seq += 1
        frame = self._window.close(
            seq=self._seq,
            # The second that has just passed, whatever the stagger added to it.
            ended_at_ns=int((now - self._offset_s) * 1e9),
            span_ns=closed_ns - self._opened_ns,
        )
        self._opened_ns = closed_ns
        self._fill(frame)
        box = self._run.box
        if box is not None or self._stream.clients:
            encoded = encode(frame)
            self._stream.push(encoded)
            if box is not None:
                with self._guard.guarding("blackbox"):
                    box.add(frame, encoded)

    def _fill(self, frame: Frame) -> None:
        self._run.attach_probes()
        for probe in self._run.probes:
            with self._guard.guarding(f"probes.{probe.name}"):
                probe.fill(frame)
        cpu_s = time.thread_time()
        cpu_percent = 100.0 * (cpu_s - self._cpu_s) / (frame.span_ns / 1e9) if frame.span_ns else 0.0
        frame.agent = AgentStats(
            cpu_percent=cpu_percent,
            records_dropped=self._window.records_dropped,
            clients=self._stream.clients,
            bytes_sent=self._stream.bytes_sent,
            faults=dict(self._guard.faults),
            bounded=self._window.take_bounded(),
            degraded=TOLD[self._degradation.level],
        )
        self._cpu_s = cpu_s
        frame.probes = dict(self._run.probe_status)
        self._degrade(cpu_percent)

    def _degrade(self, cpu_percent: float) -> None:
        before = self._degradation.level
        level = self._degradation.after_span(cpu_percent)
        if level != before:
            self._window.degrade(level)
            self._run.in_flight_probe.follows_tasks = level < NO_STORIES


async def _act(inspector: Inspector, request: DumpRequest, peer: str) -> Dump | Refusal:
    return await inspector.dump(request, peer=peer)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
