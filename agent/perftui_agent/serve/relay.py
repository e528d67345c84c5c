"""Gives a client of the remote door the streams of all workers of the service, each from its own socket.

Runs on the agent's thread of whichever worker the connection has reached. Its siblings, and it itself, are
asked as any client on this host asks: what they send goes on untouched, and what they allow a client here
they allow one there. A client that does not read has nothing read for it; the rest is the sockets' affair.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field

import msgspec
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from perftui_agent.guard import Guard
from perftui_agent.serve.endpoint import Call, Ending
from perftui_agent.serve.passage import OtherSideGoneError
from perftui_agent.serve.remains import evidence_of_the_dead, last_frames
from perftui_agent.serve.rendezvous import Rendezvous
from perftui_agent.serve.worker_socket import FOR_HEADER, MAX_CLIENTS
from perftui_agent.wire.codec import WireError
from perftui_agent.wire.door import (
    DOOR,
    MAX_CHANNELS,
    ROOM,
    SIGN_OF_LIFE_S,
    AskRemains,
    Close,
    Closed,
    FromDoor,
    Open,
    Remains,
    Roster,
    SignOfLife,
    Took,
    carried,
    decode_to_door,
    opened,
    said,
)
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, WIRE_VERSION
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.lives import judge
from perftui_agent.wire.parts import WorkerId
from perftui_agent.wire.registration import Registration
from perftui_agent.wire.services import same_service

MAX_WAITING_REQUESTS = 32
"""Of a client for one worker: one whose GIL is held reads none."""

_LOST = (OSError, TimeoutError, WebSocketException)

_CLOSE_GOING_AWAY = 1001
_CLOSE_TRY_AGAIN_LATER = 1013
_CLOSE_NOT_UNDERSTOOD = 1003
_CLOSE_INTERNAL_ERROR = 1011


class Relays:
    """The clients that have come in by this worker."""

    def __init__(self, own: WorkerIdentity, rendezvous: Rendezvous, guard: Guard) -> None:
        self.loop = asyncio.get_running_loop()
        self.service = own.service
        self._own = own
        self._rendezvous = rendezvous
        self._guard = guard
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, call: Call) -> None:
        """Serve a client."""
        if len(self._tasks) >= MAX_CLIENTS:
            self._end(call, _CLOSE_TRY_AGAIN_LATER, f"{MAX_CLIENTS} clients are connected already")
            return
        call.task = self.loop.create_task(self._serve(call))
        self._tasks.add(call.task)
        call.task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Send all of them away."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, call: Call) -> None:
        code, reason = _CLOSE_GOING_AWAY, "the agent ends"
        try:
            await _Relay(call, self._own, self._rendezvous, self._guard).run()
        except WireError as error:
            code, reason = _CLOSE_NOT_UNDERSTOOD, str(error)
        except OtherSideGoneError:
            return
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this client its connection
            self._guard.fault("serve.relay", error)
            code, reason = _CLOSE_INTERNAL_ERROR, "the agent had a fault"
        finally:
            self._end(call, code, reason)

    def _end(self, call: Call, code: int, reason: str) -> None:
        with contextlib.suppress(OtherSideGoneError):
            call.outward.give_at_once(Ending(code, reason))


@dataclass(eq=False, slots=True)
class _Channel:
    """A worker's stream on its way to the client."""

    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ROOM))
    on_their_way: int = 0
    requests: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING_REQUESTS))
    task: asyncio.Task[None] | None = None


class _Relay:
    """One client."""

    def __init__(self, call: Call, own: WorkerIdentity, rendezvous: Rendezvous, guard: Guard) -> None:
        self._call = call
        self._own = own
        self._rendezvous = rendezvous
        self._guard = guard
        self._channels: dict[int, _Channel] = {}
        self._workers: dict[WorkerId, Registration] = {}
        """All that have been told of, the gone included."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False
        peer = f"remote {call.peer}".strip()
        self._for = f"{peer} {call.client}".strip()

    async def run(self) -> None:
        """Serve it until it leaves; `WireError` if it does not speak as a client does."""
        roster = self._start(self._tell_who_is_there())
        try:
            while not roster.done():
                self._heed(await self._call.inward.take())
                self._call.inward.done()
            roster.result()
        finally:
            self._over = True
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _heed(self, data: bytes) -> None:
        number, message = opened(data)
        if number != DOOR:
            self._hand_on(number, message)
            return
        asked = decode_to_door(message)
        if isinstance(asked, Took):
            self._make_room(asked)
        elif isinstance(asked, Open):
            self._open(asked)
        elif isinstance(asked, Close):
            channel = self._channels.get(asked.channel)
            if channel is not None and channel.task is not None:
                channel.task.cancel()
        else:
            self._start(self._tell_what_is_left(asked))

    def _hand_on(self, number: int, message: bytes) -> None:
        channel = self._channels.get(number)
        if channel is None:
            return  # it has ended, and the client is about to hear of it
        try:
            channel.requests.put_nowait(message)
        except asyncio.QueueFull:
            if channel.task is not None:
                channel.task.cancel()

    def _make_room(self, took: Took) -> None:
        channel = self._channels.get(took.channel)
        if channel is None:
            return
        for _ in range(min(took.messages, channel.on_their_way)):
            channel.on_their_way -= 1
            channel.room.release()

    def _open(self, asked: Open) -> None:
        number = asked.channel
        if not DOOR < number <= MAX_CHANNELS or number in self._channels:
            raise WireError(f"channel {number} is not free")
        registration = self._workers.get(asked.worker)
        channel = self._channels[number] = _Channel()
        channel.task = self._start(self._carry(number, channel, registration))

    async def _carry(self, number: int, channel: _Channel, registration: Registration | None) -> None:
        reason = "there is no such worker"
        try:
            if registration is not None:
                reason = await self._follow(number, channel, registration.socket)
        except asyncio.CancelledError:
            reason = "the client has closed it"
            raise
        finally:
            del self._channels[number]
            if not self._over:
                self._start(self._say(Closed(channel=number, reason=reason)))

    async def _follow(self, number: int, channel: _Channel, path: str) -> str:
        """Carry a worker's stream to the client until it ends; return why it did."""
        try:
            async with unix_connect(
                path,
                "ws://localhost/",
                additional_headers={FOR_HEADER: self._for},
                max_size=MAX_MESSAGE_BYTES,
                max_queue=2,
                compression=None,
                close_timeout=0.1,
                ping_interval=None,
            ) as connection:
                writer = self._start(_write(connection, channel.requests))
                try:
                    async for data in connection:
                        await channel.room.acquire()
                        channel.on_their_way += 1
                        message = data if isinstance(data, bytes) else data.encode()
                        await self._call.outward.give(carried(number, message))
                finally:
                    writer.cancel()
            return connection.close_reason or "its socket has been closed"
        except _LOST as error:
            return str(error) or type(error).__name__

    async def _say(self, message: FromDoor) -> None:
        with contextlib.suppress(OtherSideGoneError):
            await self._call.outward.give(said(message))

    async def _tell_who_is_there(self) -> None:
        told: list[Registration] | None = None
        while True:
            there = told
            with self._guard.guarding("serve.relay"):
                there = self._living()
            if there != told:
                told = there
                shown = [msgspec.structs.replace(each, socket="", stacks=None) for each in told or ()]
                await self._call.outward.give(said(Roster(wire=WIRE_VERSION, workers=shown)))
            else:
                await self._call.outward.give(said(SignOfLife()))
            await asyncio.sleep(SIGN_OF_LIFE_S)

    def _living(self) -> list[Registration]:
        """Return the workers of this service that live, as far as it can be told; by pid."""
        registered = {each.worker.id: each for each in self._rendezvous.siblings()}
        own = registered.get(self._own.id) or self._workers.get(self._own.id)
        if own is not None:
            self._workers.update((each.worker.id, each) for each in _of_service(own, registered.values()))
        living = [each for each in self._workers.values() if judge(each.worker, each.socket) != "dead"]
        return sorted(living, key=lambda each: each.worker.pid)

    async def _tell_what_is_left(self, asked: AskRemains) -> None:
        with self._guard.guarding("serve.remains"):
            directory, service = self._rendezvous.directory, self._own.service
            if asked.worker:
                frames = await asyncio.to_thread(
                    last_frames, directory, asked.worker, service, asked.after_seq
                )
                for frame in frames:
                    await self._say(Remains(id=asked.id, frame=frame))
            else:
                known = set(self._workers)
                left = await asyncio.to_thread(evidence_of_the_dead, directory, service, known)
                for worker, evidence in left:
                    await self._say(Remains(id=asked.id, worker=worker, evidence=evidence))
        await self._say(Remains(id=asked.id, more=False))


def _of_service(own: Registration, others: Iterable[Registration]) -> list[Registration]:
    return [each for each in others if each.worker.id == own.worker.id or same_service(own, each)]


async def _write(connection: ClientConnection, requests: asyncio.Queue[bytes]) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.send(await requests.get())
