"""A remote door that says what a test wants: `async with fake_door() as door: await door.say(roster(…))`."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from perftui.sources.target import RemoteTarget
from perftui_agent.wire.codec import encode
from perftui_agent.wire.door import (
    DOOR,
    DOOR_PATH,
    AskRemains,
    Closed,
    FromDoor,
    Open,
    Roster,
    ToDoor,
    Took,
    carried,
    decode_to_door,
    opened,
    said,
)
from perftui_agent.wire.frames import WIRE_VERSION, Hello
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.messages import FromAgent
from perftui_agent.wire.registration import Registration

TOKEN = "0123456789abcdef"


def worker(pid: int, place: str = "1") -> WorkerIdentity:
    """Return a worker of another machine."""
    return WorkerIdentity(
        host="far",
        pid=pid,
        started_at=1.0,
        service="shop",
        supervisor_pid=1,
        start_ticks=pid,
        boot_id="another-boot",
        pid_namespace=place,
    )


def roster(*workers: WorkerIdentity, wire: int = WIRE_VERSION) -> Roster:
    """Return what a door says of who is there."""
    return Roster(wire=wire, workers=[Registration(wire=wire, worker=each, socket="") for each in workers])


@dataclass
class FakeDoor:
    """Where clients come, what they were told at once, and what they have said."""

    there: Roster = field(default_factory=lambda: roster(worker(7)))
    """What is said to whoever comes in."""
    answer: tuple[int, dict[str, str], bytes] | None = None
    """A status, headers and a body instead of a WebSocket."""
    target: RemoteTarget = field(default_factory=lambda: RemoteTarget("", "", 0))
    connections: list[ServerConnection] = field(default_factory=list)
    asked: list[ToDoor] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    channels: dict[str, int] = field(default_factory=dict)
    """By worker, the channel that was opened last."""
    carried: int = 0
    """Messages to workers."""
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self, message: FromDoor) -> None:
        """Say something to whoever came last."""
        await self.connections[-1].send(said(message))

    async def give(self, worker: WorkerIdentity, message: FromAgent) -> None:
        """Give what a worker says, once its channel is open."""
        await self.until(lambda: worker.id in self.channels)
        await self.connections[-1].send(carried(self.channels[worker.id], encode(message)))

    async def until(self, so: Callable[[], bool]) -> None:
        """Wait until something is so, by what clients say."""
        while not so():
            self.told.clear()
            await self.told.wait()

    async def drop(self) -> None:
        """End the last connection, as a worker does that is killed."""
        self.channels.clear()
        self.connections[-1].transport.abort()

    def taken(self, channel: int) -> int:
        """Return how many messages of a channel the client has said to have taken."""
        return sum(each.messages for each in self.asked if isinstance(each, Took) and each.channel == channel)

    async def serve(self, connection: ServerConnection) -> None:
        """Talk to a client."""
        self.connections.append(connection)
        self.told.set()
        with contextlib.suppress(ConnectionClosed):
            await connection.send(said(self.there))
            async for data in connection:
                assert isinstance(data, bytes)
                number, message = opened(data)
                if number != DOOR:
                    self.carried += 1
                    self.told.set()
                    continue
                asked = decode_to_door(message)
                self.asked.append(asked)
                if isinstance(asked, Open):
                    known = [each.worker for each in self.there.workers if each.worker.id == asked.worker]
                    if known:
                        self.channels[asked.worker] = asked.channel
                        hello = Hello(wire=WIRE_VERSION, worker=known[0])
                        await connection.send(carried(asked.channel, encode(hello)))
                    else:
                        await connection.send(said(Closed(channel=asked.channel)))
                self.told.set()

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer as the test wants."""
        self.tokens.append(request.headers.get("Authorization"))
        if self.answer is not None:
            status, headers, body = self.answer
            return Response(status, HTTPStatus(status).phrase, Headers(headers), body)
        right = request.headers.get("Authorization") == f"Bearer {TOKEN}" and request.path.endswith(DOOR_PATH)
        return None if right else connection.respond(HTTPStatus.NOT_FOUND, "no such page")


@contextlib.asynccontextmanager
async def fake_door(prefix: str = "", tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeDoor]:
    """Open a door on the loopback."""
    door = FakeDoor()
    async with serve(door.serve, "127.0.0.1", 0, process_request=door.admit, ssl=tls) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        host = "localhost" if tls else "127.0.0.1"
        url = f"{'https' if tls else 'http'}://{host}:{port}{prefix}"
        door.target = RemoteTarget(url, host, port)
        yield door


def questions(door: FakeDoor) -> list[AskRemains]:
    """Return what was asked of the dead."""
    return [each for each in door.asked if isinstance(each, AskRemains)]
