"""The remote door: answers `/_perftui` on the app's own port, for whoever has the token.

Runs on the app's event loop and does next to nothing there: it looks at path and token, and carries messages
to and from the agent's thread, a few at a time. Whoever has no token, or is a browser, has the app itself
answer, as for any path that it does not know. What comes in here is none of the app's requests: nothing
of it is timed or counted, and no middleware sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

from perftui_agent.guard import Guard
from perftui_agent.records import Scope
from perftui_agent.serve.auth import Lock
from perftui_agent.serve.passage import OtherSideGoneError, Passage, tell
from perftui_agent.wire.door import CLIENT_HEADER
from perftui_agent.wire.frames import WIRE_VERSION

Message: TypeAlias = Any
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MAX_REQUEST_BYTES = 64 * 1024
"""What a client may say at once: as on a worker's socket."""

MESSAGES_ON_THEIR_WAY = 4
"""Between the two threads, in either direction."""

STARTS_WITHIN_S = 2.0
"""How long the agent's thread may take, which starts with the first request of an app without lifespan."""

_CLOSE_TRY_AGAIN_LATER = 1013
_CLOSE_NOT_UNDERSTOOD = 1003

NO_WEBSOCKETS = (
    "perftui: this server takes no WebSockets: serve the app without --ws none, and with websockets or "
    "wsproto installed\n"
)


class Ending:
    """Says that a connection is to be closed, and why."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


class Call:
    """One client's connection, as both threads know it."""

    def __init__(
        self, here: asyncio.AbstractEventLoop, agents: asyncio.AbstractEventLoop, peer: str, client: str
    ) -> None:
        self.peer = peer
        """The address of whoever is at the other end of the connection, itself or a proxy."""
        self.client = client
        """A word of the client's process of its own."""
        self.inward: Passage[bytes] = Passage(here, agents, MESSAGES_ON_THEIR_WAY)
        self.outward: Passage[bytes | Ending] = Passage(agents, here, MESSAGES_ON_THEIR_WAY)
        self.task: asyncio.Task[None] | None = None
        """The agent's side of it."""

    def hang_up(self) -> None:
        """End the agent's side; on the agent's loop."""
        if self.task is not None:
            self.task.cancel()


class Reception(Protocol):
    """The agent's thread, to whom a client is led."""

    loop: asyncio.AbstractEventLoop
    service: str

    def begin(self, call: Call) -> None:
        """Serve a client; on the agent's loop."""


class RemoteDoor:
    """The remote door of this process."""

    def __init__(self, guard: Guard, wake: Callable[[], None]) -> None:
        self._guard = guard
        self._wake = wake
        self._lock: Lock | None = None
        self.reception: Reception | None = None
        """None while the agent's thread does not run."""

    @property
    def exists(self) -> bool:
        """Whether there is a token."""
        return self._lock is not None

    def lock_with(self, token: str | None) -> None:
        """Have the door open with this token; with None there is no door."""
        self._lock = Lock(token) if token else None

    def opens_for(self, scope: Scope) -> bool:
        """Tell whether a request whose path is the door's is for it to answer."""
        lock = self._lock
        try:
            if lock is None or not lock.opens_for(scope["headers"]):
                return False
            if asyncio.events._get_running_loop() is None:  # trio, beside which the agent is of no use
                return False
            return scope["type"] == "websocket" or scope["method"] in {"GET", "HEAD"}
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count: the app answers
            self._guard.fault("serve.endpoint", error)
            return False

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of somebody who has the token."""
        if scope["type"] == "http":
            await self._describe_in(scope, send)
            return
        try:
            await self._connect(scope, receive, send)
        except (OSError, OtherSideGoneError):
            pass  # who was talked to has left
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count
            self._guard.fault("serve.endpoint", error)

    async def _describe_in(self, scope: Scope, send: Send) -> None:
        """Say by plain HTTP who is there, or, to whoever wanted a WebSocket, that there are none."""
        headers = {bytes(name).lower(): value for name, value in scope["headers"]}
        wanted = headers.get(b"upgrade", b"").lower() == b"websocket"
        if wanted:
            status, kind, body = 426, b"text/plain; charset=utf-8", NO_WEBSOCKETS.encode()
        else:
            service = self.reception.service if self.reception is not None else None
            described = {"perftui": "the remote door", "wire": WIRE_VERSION, "service": service}
            status, kind, body = 200, b"application/json", json.dumps(described).encode() + b"\n"
        fields = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if wanted:
            fields.append((b"upgrade", b"websocket"))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        reception = await self._entered()
        if reception is None:
            await _close(send, _CLOSE_TRY_AGAIN_LATER, "the agent does not run")
            return
        call = Call(asyncio.get_running_loop(), reception.loop, _peer_of(send), _client_of(scope))
        tell(reception.loop, reception.begin, call)
        reader = asyncio.ensure_future(_read(call, receive, send))
        writer = asyncio.ensure_future(_write(call, send))
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (reader, writer):
                each.cancel()
            with contextlib.suppress(OtherSideGoneError):
                tell(reception.loop, call.hang_up)
            ended = await asyncio.gather(reader, writer, return_exceptions=True)
            _let_go(send)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, OSError | OtherSideGoneError):
                raise error

    async def _entered(self) -> Reception | None:
        """Return the agent's thread, once it runs; None if it does not come to."""
        if self.reception is None:
            self._wake()
        for _ in range(round(STARTS_WITHIN_S / 0.02)):
            if self.reception is not None:
                return self.reception
            await asyncio.sleep(0.02)
        return None


async def _read(call: Call, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            return
        data = message.get("bytes")
        if data is None or len(data) > MAX_REQUEST_BYTES:
            await _close(send, _CLOSE_NOT_UNDERSTOOD, "no message for a door")
            return
        await call.inward.give(data)


async def _write(call: Call, send: Send) -> None:
    while True:
        item = await call.outward.take()
        if isinstance(item, Ending):
            await _close(send, item.code, item.reason)
            return
        await send({"type": "websocket.send", "bytes": item})
        call.outward.done()


async def _close(send: Send, code: int, reason: str) -> None:
    with contextlib.suppress(OSError, RuntimeError):  # it is closed already
        await send({"type": "websocket.close", "code": code, "reason": reason[:100]})


def _let_go(send: Send) -> None:
    """Drop what a client has not read of a connection that ends: else a server that stops waits for it."""
    transport = _transport_of(send)
    waiting = getattr(transport, "get_write_buffer_size", int)
    if transport is not None and waiting() and transport.is_closing():
        transport.abort()


def _transport_of(send: Send) -> Any:
    return getattr(getattr(send, "__self__", None), "transport", None)


def _peer_of(send: Send) -> str:
    """Return the address at the other end, as the connection itself says; empty where none does.

    The scope's may be what `X-Forwarded-For` says.
    """
    ask = getattr(_transport_of(send), "get_extra_info", None)
    peer = ask("peername") if ask is not None else None
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


def _client_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name.lower() == CLIENT_HEADER.lower().encode():
            word = value.decode("ascii", "replace")[:32]
            return word if word.isalnum() else ""
    return ""
