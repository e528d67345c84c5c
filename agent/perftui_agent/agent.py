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
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from perftui_agent.blackbox.box import BlackBox
from perftui_agent.blackbox.keeping import Keeping
from perftui_agent.engines import Engines
from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.inspect.actions import Actions
from perftui_agent.inspect.database.lock_list import LockLists
from perftui_agent.inspect.database.lock_watch import LockWatch
from perftui_agent.inspect.database.look import Databases
from perftui_agent.inspect.database.own_connection import OwnConnections
from perftui_agent.inspect.database.tables import tables_of
from perftui_agent.inspect.database.turn import Turns
from perftui_agent.inspect.database.watch import DatabaseWatch
from perftui_agent.inspect.dump import take_dump
from perftui_agent.inspect.explain.attention import Attention
from perftui_agent.inspect.explain.explainer import Explainer
from perftui_agent.inspect.functions import Traffic
from perftui_agent.inspect.inspector import Inspector
from perftui_agent.inspect.memory import Endpoint
from perftui_agent.inspect.on_signal import SignalledStacks
from perftui_agent.inspect.ptrace import name_thread, permit_tracing
from perftui_agent.inspect.pyspy import PySpy
from perftui_agent.inspect.source import SourceReader
from perftui_agent.listeners import Listeners, ListeningSocket
from perftui_agent.presence import Presence
from perftui_agent.probes.caches.probe import CacheProbe
from perftui_agent.probes.caches.redis import RedisProbe
from perftui_agent.probes.http import routes
from perftui_agent.probes.http.arrival import Arrivals
from perftui_agent.probes.http.changes import RoutesProbe
from perftui_agent.probes.http.channels import ChannelProbe
from perftui_agent.probes.http.detour import Detour
from perftui_agent.probes.http.in_flight import InFlightProbe
from perftui_agent.probes.http.long_polls import LongPolls
from perftui_agent.probes.http.serialization import SerializationProbe
from perftui_agent.probes.http.server_side import ServerSides
from perftui_agent.probes.http_client.aiohttp import AiohttpProbe
from perftui_agent.probes.http_client.httpx import HttpxProbe
from perftui_agent.probes.http_client.httpx2 import httpx2_probe
from perftui_agent.probes.http_client.urllib3 import Urllib3Probe
from perftui_agent.probes.loop.event_loop import LoopProbe
from perftui_agent.probes.loop.executors import ExecutorProbe
from perftui_agent.probes.loop.gil import GilProbe
from perftui_agent.probes.loop.pace import LoopPace
from perftui_agent.probes.loop.threadpool import ThreadpoolProbe
from perftui_agent.probes.machine.accept_queue import AcceptQueueProbe
from perftui_agent.probes.machine.contention import ContentionProbe
from perftui_agent.probes.machine.footprint import Footprint
from perftui_agent.probes.machine.garbage import GarbageProbe
from perftui_agent.probes.machine.process import ProcessProbe
from perftui_agent.probes.probe import Probe
from perftui_agent.probes.probe_set import ProbeSet
from perftui_agent.probes.sql.databases import database_of
from perftui_agent.probes.sql.holders import Holders
from perftui_agent.probes.sql.pool import PoolProbe
from perftui_agent.probes.sql.sqlalchemy import SqlAlchemyProbe
from perftui_agent.probes.sql.stuck import StuckLook
from perftui_agent.probes.work.arq import ArqProbe
from perftui_agent.probes.work.background_tasks import BackgroundTaskProbe
from perftui_agent.probes.work.celery import CeleryProbe
from perftui_agent.probes.work.outliving import OutlivingProbe
from perftui_agent.probes.work.taskiq import TaskiqProbe
from perftui_agent.records import Shape
from perftui_agent.resident import risen_bytes
from perftui_agent.rhythm import FOLD_AT_ONCE, BeatingSelector, Rhythm
from perftui_agent.serve.introduction import introduce, said_now
from perftui_agent.serve.rendezvous import Rendezvous
from perftui_agent.serve.sharing import shared_with_others
from perftui_agent.serve.worker_socket import WorkerSocket
from perftui_agent.settings import Settings
from perftui_agent.siblings.aftermath import Aftermath
from perftui_agent.siblings.alarm import rest_s
from perftui_agent.siblings.endings import Endings
from perftui_agent.siblings.lookout import Lookout
from perftui_agent.siblings.neighbours import Neighbour, Neighbours
from perftui_agent.siblings.routes_of_stacks import RoutesOfStacks
from perftui_agent.siblings.supervision import own_supervisor
from perftui_agent.siblings.watch import Watch
from perftui_agent.triggers.lasting import LastingSigns
from perftui_agent.triggers.runner import Triggers
from perftui_agent.window.window import Window
from perftui_agent.wire.actions import Progress
from perftui_agent.wire.clock import steady_ns
from perftui_agent.wire.codec import encode
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.explain import PLAN_CHANGED, PlanNote
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.lives import AGENT_THREAD, file_stem
from perftui_agent.wire.messages import ActionRequest, ActionResult

STOP_WITHIN_S = 0.05
"""How long a stopping app waits for the agent's thread, which would end without it, too."""

FINISH_WITHIN_S = 5.0
"""How long a new thread waits for the one before."""

IMPORTED_BYTES = risen_bytes()
"""What the agent's modules, and those that they alone brought, have added to the process."""

_log = logging.getLogger("perftui")


class Agent:
    """The agent of this process."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.window = Window()
        self.engines = Engines()
        self.holders = Holders(lambda: self._run.loop_probe.loop if self._run is not None else None)
        self.pace = LoopPace()
        self.sides = ServerSides(self.guard)
        self.arrivals = Arrivals(self.pace, self.window, self.guard)
        self.settings = Settings()
        self.service = ""
        self.version = ""
        self._run: _Run | None = None
        self._ended: _Run | None = None
        """The one before: it may have something to finish still."""
        self._lifespans = 0
        self._changing = threading.RLock()
        """Held while the thread is started or stopped: apps may start in several threads at once."""
        os.register_at_fork(after_in_child=self._forget_parent)
        atexit.register(self.stop)

    def lifespan_started(self) -> None:
        """The app's lifespan begins."""
        with self._changing:
            self._lifespans += 1
        self.start()

    def lifespan_ended(self) -> None:
        """The app's lifespan is over; with the last one the agent stops."""
        with self._changing:
            self._lifespans = max(0, self._lifespans - 1)
            last = self._lifespans == 0
        if last:
            self.stop()

    def start(self) -> None:
        """Start the thread, have the probes attach, and watch the loop that runs now. Never raises."""
        with self.guard.guarding("agent.start"), self._changing:
            if self._run is None:
                self.window.take()
                previous, self._ended = self._ended, None
                self._run = _Run(self, previous)
                self._run.probes.attach()
                self._run.start()
            # Open even if the thread should fail: a request must not try again each time.
            self.window.open = True
            self._run.loop_probe.watch_running_loop()

    def stop(self) -> None:
        """Stop the thread and take the worker off the list. Never raises, waits 50 ms at most."""
        with self.guard.guarding("agent.stop"):
            with self._changing:
                run, self._run = self._run, None
                self.window.open = False
                if run is not None:
                    self._ended = run
            if run is not None:
                run.stop()

    def ended(self, run: _Run) -> None:
        """Keep nothing for a thread that has ended, unless another has begun; called on the thread."""
        with self._changing:
            if self._run is None or self._run is run:
                self.window.let_go()

    def _forget_parent(self) -> None:
        # Threads don't survive a fork; the parent's sockets and files are the parent's.
        self._changing = threading.RLock()
        run, self._run, self._ended = self._run, None, None
        if run is not None:
            with self.guard.guarding("agent.fork"):
                run.forget_parent()
        self._lifespans = 0
        self.window.empty()
        with self.guard.guarding("agent.fork"):
            self.holders.forget()


class _Run:
    """One life of the agent's thread."""

    def __init__(self, agent: Agent, previous: _Run | None) -> None:
        self._agent = agent
        self._guard = agent.guard
        self._window = agent.window
        self._previous = previous
        self._thread = threading.Thread(target=self._main, name=AGENT_THREAD, daemon=True)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._rendezvous: Rendezvous | None = None
        self._stream: WorkerSocket | None = None
        self._box: BlackBox | None = None
        self._keeping = Keeping()
        self._stacks = SignalledStacks() if agent.settings.actions else None
        self._own = OwnConnections(agent.engines)
        self._locks: LockWatch | None = None
        self.evidence = EvidenceTray()
        """Where whatever is seen of its own accord is told."""
        self._rest_s = rest_s()
        self._listeners = Listeners()
        agent.window.shapes.show_text = agent.settings.sql_text == "shape"
        agent.arrivals.believe(agent.settings.queue_header)
        self.loop_probe = LoopProbe(agent.settings.block_ms, agent.window, agent.pace)
        self._watch = Watch(agent.guard, self._listens, lambda: self.loop_probe.gap)
        self._gil = GilProbe(self.loop_probe, agent.guard)
        self.process_probe = ProcessProbe()
        self.pool_probe = PoolProbe(agent.window, agent.guard, agent.engines, agent.holders)
        self._accept_queue = AcceptQueueProbe(self._listening)
        self._channel_probe = ChannelProbe(agent.window)
        self._outliving = OutlivingProbe(agent.window, agent.guard, self.loop_probe)
        agent.pace.at_each_tick = self._outliving.look_from_loop
        probes: list[Probe] = [
            self.loop_probe,
            self._gil,
            agent.arrivals,
            agent.sides,
            self.process_probe,
            ContentionProbe(),
            self._accept_queue,
            ExecutorProbe(agent.window, agent.guard),
            BackgroundTaskProbe(agent.window, agent.guard),
            self._outliving,
            CeleryProbe(agent.window, agent.guard),
            TaskiqProbe(agent.window, agent.guard),
            ArqProbe(agent.window, agent.guard),
            ThreadpoolProbe(agent.window, agent.guard, self.loop_probe),
            GarbageProbe(),
            InFlightProbe(agent.window, self.loop_probe, LongPolls(agent.settings.long_polls)),
            self._channel_probe,
            RoutesProbe(agent.guard),
            SerializationProbe(),
            SqlAlchemyProbe(
                agent.window,
                agent.guard,
                agent.settings.slow_query_ms,
                keeps_runs=agent.settings.actions and agent.settings.sql_text == "shape",
            ),
            self.pool_probe,
            CacheProbe(agent.window, agent.guard),
            RedisProbe(agent.window, agent.guard),
            HttpxProbe(agent.window, agent.guard),
            httpx2_probe(agent.window, agent.guard),
            AiohttpProbe(agent.window, agent.guard),
            Urllib3Probe(agent.window, agent.guard),
        ]
        self.probes = ProbeSet(probes, agent.guard)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after its last frame; wait for that, but not for long."""
        self._stopping = True
        self._watch.disarm()
        self.probes.detach()
        task = self._task
        if task is not None:
            with contextlib.suppress(RuntimeError):  # its loop has been closed: it is over
                task.get_loop().call_soon_threadsafe(task.cancel)
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_WITHIN_S)
        if self._thread.is_alive() and self._rendezvous is not None:
            self._rendezvous.withdraw()

    def forget_parent(self) -> None:
        """Let go, in a forked child, of what is the parent's and goes on there."""
        self._rendezvous = None
        self.probes.detach()
        self.loop_probe.timer.close()
        self._watch.leave_to_parent()
        if self._locks is not None:
            self._locks.leave_to_parent()
        if self._stream is not None:
            self._stream.leave_to_parent()
        if self._stacks is not None:
            self._stacks.end()

    def _main(self) -> None:
        if self._previous is not None:
            # One after the other: nobody folds beside another.
            self._previous.finish()
            self._previous = None
        try:
            # Not the policy's loop: that may be uvloop, and the app's affair.
            with asyncio.Runner(loop_factory=self._new_loop) as runner:
                runner.run(self._live())
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - the thread may end, the app must not notice
            self._guard.fault("agent.thread", error)
            _log.warning("perftui: this worker can't be watched: %s", error)
        finally:
            if not self._stopping:
                self.probes.detach()
            self._agent.ended(self)
            if self._rendezvous is not None:
                self._rendezvous.withdraw()
            self.loop_probe.timer.close()

    def finish(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join(FINISH_WITHIN_S)

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(BeatingSelector(self._beat, self._gil, self.loop_probe.timer.open()))

    def _beat(self) -> float:
        """Do what is due; return after how many seconds something is again, 0 if there is more to do."""
        pause_s = self.loop_probe.beat_s
        if self._stream is not None:
            folded = self._look_and_fold()
            if folded >= FOLD_AT_ONCE:
                pause_s = 0.0
            elif not folded and self.loop_probe.may_rest and self._channel_probe.may_rest:
                pause_s = max(pause_s, self._rest_s)
        self.loop_probe.rests(int(pause_s * 1e9))
        return pause_s

    def _look_and_fold(self) -> int:
        # Before all that lets go of the GIL, as a write does: who held it is found where he was.
        # Written out: at twenty times a second, each out of cold caches, two guards would cost 0.02 %.
        try:
            watched = self.loop_probe.loop
            self.loop_probe.look()
            self._gil.look()
            self._accept_queue.look(drains=self.loop_probe.turns_in_time)
            self._channel_probe.look()
            self._outliving.look_from_beside()
            if self._locks is not None:
                self._locks.look()
                self.probes.status["locks"] = self._locks.status
            if watched is not None and self.loop_probe.loop is None:
                # It was closed: the next request wakes the agent again and brings the one it runs in.
                self._window.open = False
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count
            self._guard.fault("agent.beat", error)
        self._watch.beat()
        if self.loop_probe.is_held:
            # What ends as it goes on again has waited for it, and for how long is known with its next tick.
            return 0
        try:
            return self._window.fold_pending(FOLD_AT_ONCE)
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("window", error)
            return FOLD_AT_ONCE

    def _listens(self) -> bool:
        """Tell whether stacks are written on our signal still."""
        return self._stacks is not None and self._stacks.listens()

    def _listening(self) -> list[ListeningSocket]:
        """Return the app's listening sockets; the agent's own is none of them."""
        own = str(self._rendezvous.socket_path) if self._rendezvous is not None else ""
        return [each for each in self._listeners.found if each.address != own]

    async def _live(self) -> None:
        self._task = asyncio.current_task()
        if self._stopping:
            return
        agent = self._agent
        hello = introduce(
            agent.service or _folder(), agent.version, self.process_probe.started_at, agent.settings
        )
        worker = hello.worker
        self.probes.status["ptrace"] = permit_tracing(dumpable=agent.settings.dumpable)
        name_thread(AGENT_THREAD)
        rendezvous = self._rendezvous = Rendezvous(worker, agent.settings.runtime_dir)
        actions = Actions(guard=self._guard)
        databases = self._new_databases()
        explainer = Explainer(
            shape_of=self._window.shapes.shape,
            own=self._own,
            shows_text=self._window.shapes.show_text,
            changed=partial(self._plan_changed, worker),
        )
        turns = Turns(lambda: rendezvous.directory, worker.service)
        attention = Attention(explainer, self._guard, pid=worker.pid, turn=turns.take)
        inspector = Inspector(
            own_pid=worker.pid,
            actions_allowed=agent.settings.actions,
            registrations=rendezvous.siblings,
            eyes=self.loop_probe,
            endpoints=_endpoints,
            probes=lambda: self.probes.status,
            actions=actions,
            traffic=Traffic(
                follow=Detour(self.loop_probe, self._guard).follow,
                serves=_serves,
                walk=_walk_routes,
                routes=lambda: [label for labels in list(routes.every) for label in labels.labels()],
                loop=lambda: self.loop_probe.loop,
            ),
            databases=databases,
            guard=self._guard,
            explainer=explainer,
        )
        stream = WorkerSocket(
            rendezvous.socket_path,
            hello=lambda: encode(said_now(hello)),
            history=self._history,
            act=partial(_act, inspector),
            kept=self._kept_evidence,
            keep=self._keeping.ask,
            shared=partial(shared_with_others, worker, rendezvous.siblings),
        )
        await stream.open()
        self._stream = stream
        try:
            self._open_box(rendezvous.box_path, encode(hello))
            presence = Presence(
                rendezvous,
                stream,
                self._box,
                self._listeners,
                self._guard,
                self._watch.look_after,
                self._stacks,
            )
            # Before it is registered: a silence may begin right after.
            neighbours = Neighbours(worker, lambda: rendezvous.directory, rendezvous.siblings)
            lookout = self._watch.lookout = self._new_lookout(worker, neighbours, actions)
            await presence.mend()
            self.probes.status["stacks"] = (
                self._stacks.status if self._stacks is not None else "off: actions are switched off"
            )
            with self._guard.guarding("siblings"):
                # Before it is swept.
                lookout.look_what_is_left()
            with self._guard.guarding("serve.sweep"):
                rendezvous.sweep()
            triggers = Triggers(
                agent.settings.triggers,
                worker=worker.id,
                act=inspector.act,
                tray=self.evidence,
                guard=self._guard,
            )
            if agent.settings.triggers:
                off = "" if agent.settings.actions else "off: actions are switched off"
                self.probes.status["triggers"] = off or "on"
            watch = DatabaseWatch(
                databases,
                held=agent.holders.told,
                refused=lambda: self.pool_probe.refused,
                turn=turns.take,
                allowed=agent.settings.actions,
                guard=self._guard,
            )
            locks = self._locks = LockWatch(
                stuck=StuckLook(agent.holders).look,
                connections=self._own,
                lists=LockLists(lambda: rendezvous.directory, worker.service),
                allowed=agent.settings.actions,
                guard=self._guard,
            )
            notes = [triggers.note, self._watch.note, watch.note]
            if agent.settings.actions:
                notes.append(attention.note)
            if self._box is not None:
                notes.append(LastingSigns(hello.slo, self._keeping.ask, self._guard).note)
            rhythm = Rhythm(
                window=self._window,
                guard=self._guard,
                probes=self.probes,
                stream=stream,
                box=self._box,
                footprint=Footprint(IMPORTED_BYTES, self._window, self.probes, stream, self._box),
                evidence=self.evidence,
                note=partial(_each, notes),
                before_folding=self.loop_probe.take_ticks,
            )
            endings = Endings(neighbours, self.evidence, self._guard)
            others = (triggers.run(), watch.run(), locks.run(), attention.run(), endings.run())
            await asyncio.gather(rhythm.run(), presence.run(), *others)
        finally:
            self._watch.close()
            await stream.close()
            if self._box is not None:
                self._box.close()
            if self._stacks is not None:
                # Not before nobody can read any more that it listens.
                rendezvous.withdraw()
                self._stacks.end()

    def _new_databases(self) -> Databases:
        shapes = self._window.shapes
        return Databases(
            self._agent.engines,
            self._own,
            self._agent.holders.told,
            shapes.told,
            lambda database: {table for text in shapes.examples(database) for table in tables_of(text)},
            database_of,
        )

    def _plan_changed(self, worker: WorkerIdentity, note: PlanNote, shape: Shape) -> None:
        """Tell that a database goes about a statement in another way than before."""
        self.evidence.tell(
            Evidence(
                id=f"{worker.id}/plan/{note.fingerprint}/{note.changed_at}",
                kind=PLAN_CHANGED,
                at=note.changed_at,
                text=f"the plan of {shape.shown[:80]} is another: {note.changed}",
                where=shape.call_site,
                outcome="taken",
            )
        )

    def _new_lookout(self, worker: WorkerIdentity, neighbours: Neighbours, actions: Actions) -> Lookout:
        spy, sources = PySpy(), SourceReader()

        async def look(request_id: str, neighbour: Neighbour) -> Dump | Refusal:
            return await take_dump(
                request_id,
                neighbour.worker.pid,
                taken_by=worker.pid,
                spy=spy,
                sources=sources,
                registration=neighbour.registration,
            )

        route_of = RoutesOfStacks(_endpoints, _walk_routes, lambda: self.loop_probe.loop)
        aftermath = self._watch.aftermath = Aftermath(
            worker,
            file_stem(worker),
            tray=self.evidence,
            route_of=route_of,
            supervisor=own_supervisor,
            guard=self._guard,
        )
        return Lookout(
            neighbours=neighbours,
            tray=self.evidence,
            actions=actions,
            look=look if self._agent.settings.actions else None,
            route_of=route_of,
            supervisor=own_supervisor,
            left=aftermath.tell_of_the_dead,
            own_pid=worker.pid,
            guard=self._guard,
        )

    def _open_box(self, path: Path, hello: bytes) -> None:
        size_bytes = int(self._agent.settings.blackbox_mb * 1024 * 1024)
        if size_bytes:
            with self._guard.guarding("blackbox"):
                self._box = BlackBox(path, hello=hello, size_bytes=size_bytes, keeping=self._keeping)

    def _kept_evidence(self) -> list[bytes]:
        kept: list[bytes] = []
        if self._box is not None:
            with self._guard.guarding("blackbox"):
                kept = self._box.evidence()
        return kept

    def _history(self) -> list[bytes]:
        history: list[bytes] = []
        if self._box is not None:
            with self._guard.guarding("blackbox"):
                history = self._box.history(steady_ns())
        return history


async def _act(
    inspector: Inspector,
    request: ActionRequest,
    peer: str,
    tell: Callable[[Progress], Awaitable[None]],
    finish: asyncio.Event,
) -> ActionResult | Refusal:
    return await inspector.act(request, peer=peer, tell=tell, finish=finish)


def _each(notes: Sequence[Callable[[Frame], None]], frame: Frame) -> None:
    for note in notes:
        note(frame)


def _walk_routes() -> None:
    """Have the routes of all apps known; on the app's thread."""
    for labels in list(routes.every):
        labels.walk_once()


def _endpoints() -> list[Endpoint]:
    """Return where the code of all apps' endpoints stands."""
    return [
        Endpoint(
            code.co_filename, code.co_firstlineno, max(line or 0 for _, _, line in code.co_lines()), route
        )
        for labels in list(routes.every)
        for code, route in labels.endpoint_codes()
    ]


def _serves(route: str) -> bool | None:
    """Tell whether any app has a route; None if none of them says so and one of them may."""
    told = [labels.serves(route) for labels in list(routes.every)]
    return True if True in told else None if None in told else False


def _folder() -> str:
    """Return what a service without a name or title is called: the folder it was started in."""
    try:
        return os.path.basename(os.getcwd()) or "app"
    except OSError:  # it has been removed
        return "app"
