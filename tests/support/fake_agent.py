"""Agents that say what a test wants: `async with fake_agent(directory) as agent: await agent.send(…)`.

Each stands for a worker of its own: a sleeping process, so that it can be killed, with a registration and
a socket beside those of the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil
from websockets.asyncio.server import Server, ServerConnection, unix_serve
from websockets.exceptions import ConnectionClosed

from perftui_agent.wire.codec import decode_from_client, encode
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.frames import WIRE_VERSION, Hello
from perftui_agent.wire.identity import SloTarget, WorkerIdentity
from perftui_agent.wire.keep import Keep
from perftui_agent.wire.listen import Listen
from perftui_agent.wire.messages import ActionResult, FromAgent, FromClient
from perftui_agent.wire.registration import Registration

Answer = Callable[[FromClient], ActionResult | Refusal | None]
"""What an agent answers a request with; None for nothing at all."""


@dataclass
class FakeAgent:
    """One worker's agent, and the process it belongs to."""

    process: subprocess.Popen[bytes]
    identity: WorkerIdentity
    socket: Path
    registration: Path
    hello: Hello
    answer: Answer
    connections: set[ServerConnection] = field(default_factory=set)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[FromClient] = field(default_factory=list)
    server: Server | None = None

    @property
    def pid(self) -> int:
        """The worker's pid."""
        return self.identity.pid

    async def send(self, *messages: FromAgent) -> None:
        """Send messages to every client; waits for the first to connect."""
        await asyncio.wait_for(self.connected.wait(), 10)
        for message in messages:
            await self.send_raw(encode(message))

    async def send_raw(self, data: bytes | str) -> None:
        """Send anything to every client."""
        for connection in list(self.connections):
            await connection.send(data)

    async def drop(self) -> None:
        """End every connection, as a broken one ends; the process lives on."""
        for connection in list(self.connections):
            connection.transport.abort()
            await connection.wait_closed()

    def kill(self) -> None:
        """Kill the worker's process; its registration stays, as in life."""
        self.process.kill()
        self.process.wait()

    async def serve(self, connection: ServerConnection) -> None:
        """Serve one client."""
        await connection.send(encode(self.hello))
        self.connections.add(connection)
        self.connected.set()
        try:
            with contextlib.suppress(ConnectionClosed):
                async for data in connection:
                    assert isinstance(data, bytes)
                    request = decode_from_client(data)
                    self.requests.append(request)
                    if (reply := self.answer(request)) is not None:
                        await connection.send(encode(reply))
        finally:
            self.connections.discard(connection)
            if not self.connections:
                self.connected.clear()


def refuse(request: FromClient) -> Refusal | None:
    """Answer every request that wants an answer with a refusal."""
    if isinstance(request, Keep | Listen):
        return None
    return Refusal(id=request.id, reason="not today", advice="come back tomorrow")


@contextlib.asynccontextmanager
async def fake_agent(
    directory: Path,
    *,
    service: str = "shop",
    supervisor_pid: int = 1,
    tcp: Iterable[str] = ("127.0.0.1:8000",),
    unix: Iterable[str] = (),
    slo: Iterable[SloTarget] = (),
    wire: int = WIRE_VERSION,
    answer: Answer = refuse,
    keeps: bool = False,
    hello: Hello | None = None,
) -> AsyncIterator[FakeAgent]:
    """Run a worker's agent in `directory`."""
    process = _sleeping()
    try:
        identity = WorkerIdentity(
            host="box",
            pid=process.pid,
            started_at=psutil.Process(process.pid).create_time(),
            service=service,
            supervisor_pid=supervisor_pid,
            python="3.12.1",
            agent="0.1.0",
            server="uvicorn 0.54.0",
            frameworks={"fastapi": "0.165.0"},
        )
        said = hello or Hello(wire=wire, worker=identity, slo=list(slo), keeps=keeps)
        registration = directory / f"{process.pid}.json"
        agent = FakeAgent(process, identity, directory / f"{process.pid}.sock", registration, said, answer)
        async with unix_serve(agent.serve, str(agent.socket), compression=None, close_timeout=0.1) as server:
            agent.server = server
            register(agent, tcp, unix, wire)
            yield agent
    finally:
        process.kill()
        process.wait()


def _sleeping() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])


def register(
    agent: FakeAgent, tcp: Iterable[str] = (), unix: Iterable[str] = (), wire: int = WIRE_VERSION
) -> None:
    """Write a worker's registration with these addresses."""
    entry = Registration(
        wire=wire, worker=agent.identity, socket=str(agent.socket), tcp=list(tcp), unix=list(unix)
    )
    agent.registration.write_bytes(msgspec.json.encode(entry))
