"""What the agent's thread does beside looking and folding, all on its own small loop.

It serves clients, is present for them, keeps the black box, watches the other workers and the databases, and
takes what triggers ask for. Here the stages are wired together: window → frame → socket and box.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from perftui_agent.belongings import Belongings
from perftui_agent.blackbox.box import BlackBox
from perftui_agent.blackbox.keeping import Keeping
from perftui_agent.every_probe import EveryProbe
from perftui_agent.evidence import EvidenceTray
from perftui_agent.inspect.actions import Actions
from perftui_agent.inspect.database.lock_list import LockLists
from perftui_agent.inspect.database.lock_watch import LockWatch
from perftui_agent.inspect.database.own_connection import OwnConnections
from perftui_agent.inspect.database.turn import Turns
from perftui_agent.inspect.database.watch import DatabaseWatch
from perftui_agent.inspect.explain.attention import Attention
from perftui_agent.inspect.explain.explainer import Explainer
from perftui_agent.inspect.inspector import Inspector
from perftui_agent.inspect.on_signal import SignalledStacks
from perftui_agent.inspect.ptrace import name_thread, permit_tracing
from perftui_agent.inspection import databases_of, inspector_of
from perftui_agent.listeners import Listeners
from perftui_agent.neighbourhood import look_out
from perftui_agent.presence import Presence
from perftui_agent.probes.machine.footprint import Footprint
from perftui_agent.probes.sql.stuck import StuckLook
from perftui_agent.records import Shape
from perftui_agent.resident import risen_bytes
from perftui_agent.rhythm import Rhythm
from perftui_agent.serve.introduction import introduce, said_now
from perftui_agent.serve.rendezvous import Rendezvous
from perftui_agent.serve.sharing import shared_with_others
from perftui_agent.serve.worker_socket import WorkerSocket
from perftui_agent.siblings.neighbours import Neighbours
from perftui_agent.siblings.watch import Watch
from perftui_agent.triggers.lasting import LastingSigns
from perftui_agent.triggers.runner import Triggers
from perftui_agent.wire.actions import Progress
from perftui_agent.wire.clock import steady_ns
from perftui_agent.wire.codec import encode
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.explain import PLAN_CHANGED, PlanNote
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.lives import AGENT_THREAD
from perftui_agent.wire.messages import ActionRequest, ActionResult

if TYPE_CHECKING:
    from perftui_agent.serve.relay import Relays

IMPORTED_BYTES = risen_bytes()
"""What the agent's modules, and those that they alone brought, have added to the process."""


class Duties:
    """Those of one life: begun and ended on its thread."""

    def __init__(self, own: Belongings, probes: EveryProbe, listeners: Listeners) -> None:
        self._own = own
        self._probes = probes
        self._guard = own.guard
        self._window = own.window
        self._actions_allowed = own.settings.actions
        self._evidence = EvidenceTray()
        """Where whatever is seen of its own accord is told."""
        self._listeners = listeners
        self._keeping = Keeping()
        self._connections = OwnConnections(own.engines)
        self._stacks = SignalledStacks() if self._actions_allowed else None
        self._watch = Watch(own.guard, self._listens, lambda: probes.loop.gap)
        self._rendezvous: Rendezvous | None = None
        self._stream: WorkerSocket | None = None
        self._box: BlackBox | None = None
        self._locks: LockWatch | None = None
        self._relays: Relays | None = None

    @property
    def serving(self) -> bool:
        """Whether it has begun, so that there is somebody to look and fold for."""
        return self._stream is not None

    def look(self) -> None:
        """Look at what may not wait for the frame; at each beat."""
        if self._locks is not None:
            self._locks.look()
            self._probes.set.status["locks"] = self._locks.status

    def beat(self) -> None:
        """Give the other workers a sign of life; at each beat."""
        self._watch.beat()

    def disarm(self) -> None:
        """Have the other workers not miss this one; called on the app's thread as it stops."""
        self._watch.disarm()

    def withdraw(self) -> None:
        """Take the worker off the list; it is looked for nowhere then."""
        if self._rendezvous is not None:
            self._rendezvous.withdraw()

    def leave_to_parent(self) -> None:
        """Let go, in a forked child, of what is the parent's and goes on there."""
        self._rendezvous = None
        self._own.door.reception = self._relays = None
        self._watch.leave_to_parent()
        if self._locks is not None:
            self._locks.leave_to_parent()
        if self._stream is not None:
            self._stream.leave_to_parent()
        if self._stacks is not None:
            self._stacks.end()

    async def run(self) -> None:
        """Do them until cancelled."""
        own, status = self._own, self._probes.set.status
        service, began_at = own.service or _folder(), self._probes.process.started_at
        hello = introduce(service, own.version, began_at, own.settings)
        worker = hello.worker
        status["ptrace"] = permit_tracing(dumpable=own.settings.dumpable)
        name_thread(AGENT_THREAD)
        rendezvous = self._rendezvous = Rendezvous(worker, own.settings.runtime_dir)
        self._listeners.own_path = str(rendezvous.socket_path)
        actions = Actions(guard=self._guard)
        databases = databases_of(own, self._connections)
        explainer = Explainer(
            shape_of=self._window.shapes.shape,
            own=self._connections,
            shows_text=self._window.shapes.show_text,
            changed=partial(self._plan_changed, worker),
        )
        inspector = inspector_of(
            own,
            self._probes,
            worker=worker,
            registrations=rendezvous.siblings,
            actions=actions,
            databases=databases,
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
            lookout = look_out(
                self._watch,
                worker,
                neighbours,
                actions,
                may_dump=self._actions_allowed,
                tray=self._evidence,
                loop=lambda: self._probes.loop.loop,
                guard=self._guard,
            )
            await presence.mend()
            status["stacks"] = (
                self._stacks.status if self._stacks is not None else "off: actions are switched off"
            )
            with self._guard.guarding("siblings"):
                # Before it is swept.
                lookout.look_what_is_left()
            with self._guard.guarding("serve.sweep"):
                rendezvous.sweep()
            turns = Turns(lambda: rendezvous.directory, worker.service)
            attention = Attention(explainer, self._guard, pid=worker.pid, turn=turns.take)
            triggers = self._new_triggers(worker, inspector)
            watch = DatabaseWatch(
                databases,
                held=own.holders.told,
                refused=lambda: self._probes.pool.refused,
                turn=turns.take,
                allowed=self._actions_allowed,
                guard=self._guard,
            )
            locks = self._locks = LockWatch(
                stuck=StuckLook(own.holders).look,
                connections=self._connections,
                lists=LockLists(lambda: rendezvous.directory, worker.service),
                allowed=self._actions_allowed,
                guard=self._guard,
            )
            notes = [triggers.note, self._watch.note, watch.note, presence.note]
            if self._actions_allowed:
                notes.append(attention.note)
            if self._box is not None:
                notes.append(LastingSigns(hello.slo, self._keeping.ask, self._guard).note)
            rhythm = Rhythm(
                window=self._window,
                guard=self._guard,
                probes=self._probes.set,
                stream=stream,
                box=self._box,
                footprint=Footprint(IMPORTED_BYTES, self._window, self._probes.set, stream, self._box),
                evidence=self._evidence,
                note=partial(_each, notes),
                before_folding=self._probes.loop.take_ticks,
            )
            self._open_door(worker, rendezvous)
            others = (triggers.run(), watch.run(), locks.run(), attention.run())
            try:
                await asyncio.gather(rhythm.run(), presence.run(), *others)
            finally:
                rhythm.end()
        finally:
            self._watch.close()
            await self._shut_door()
            await stream.close()
            if self._box is not None:
                self._box.close()
            if self._stacks is not None:
                # Not before nobody can read any more that it listens.
                rendezvous.withdraw()
                self._stacks.end()

    def _listens(self) -> bool:
        """Tell whether stacks are written on our signal still."""
        return self._stacks is not None and self._stacks.listens()

    def _new_triggers(self, worker: WorkerIdentity, inspector: Inspector) -> Triggers:
        wanted = self._own.settings.triggers
        if wanted:
            off = "" if self._actions_allowed else "off: actions are switched off"
            self._probes.set.status["triggers"] = off or "on"
        return Triggers(wanted, worker=worker.id, act=inspector.act, tray=self._evidence, guard=self._guard)

    def _plan_changed(self, worker: WorkerIdentity, note: PlanNote, shape: Shape) -> None:
        """Tell that a database goes about a statement in another way than before."""
        self._evidence.tell(
            Evidence(
                id=f"{worker.id}/plan/{note.fingerprint}/{note.changed_at}",
                kind=PLAN_CHANGED,
                at=note.changed_at,
                text=f"the plan of {shape.shown[:80]} is another: {note.changed}",
                where=shape.call_site,
                outcome="taken",
            )
        )

    def _open_door(self, worker: WorkerIdentity, rendezvous: Rendezvous) -> None:
        if self._own.door.exists:
            from perftui_agent.serve.relay import Relays  # noqa: PLC0415 - 300 KB, for few services

            self._relays = self._own.door.reception = Relays(worker, rendezvous, self._guard)
            self._probes.set.status["door"] = "on"

    async def _shut_door(self) -> None:
        if self._relays is not None:
            self._own.door.reception = None
            await self._relays.close()

    def _open_box(self, path: Path, hello: bytes) -> None:
        size_bytes = int(self._own.settings.blackbox_mb * 1024 * 1024)
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


def _folder() -> str:
    """Return what a service without a name or title is called: the folder it was started in."""
    try:
        return os.path.basename(os.getcwd()) or "app"
    except OSError:  # it has been removed
        return "app"
