"""A client of the remote door that shows each step, and raw requests whose answers are compared in bytes."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from perftui_agent.wire.codec import decode_from_agent, encode
from perftui_agent.wire.door import (
    DOOR,
    MAX_CARRIED_BYTES,
    FromDoor,
    Open,
    Roster,
    Took,
    carried,
    decode_from_door,
    opened,
    said,
)
from perftui_agent.wire.messages import FromAgent, FromClient
from perftui_agent.wire.parts import WorkerId

TOKEN = "an-open-sesame-0123"

M = TypeVar("M")

WITHIN_S = 30.0


class Visitor:
    """Takes what comes, says what it is told to."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.workers: dict[WorkerId, int] = {}
        """The channel of each."""

    async def next(self) -> tuple[int, FromDoor | FromAgent]:
        """Return what comes next, and on which channel."""
        data = await self.connection.recv()
        assert isinstance(data, bytes)
        channel, message = opened(data)
        if channel == DOOR:
            return channel, decode_from_door(message)
        await self.connection.send(said(Took(channel=channel)))
        return channel, decode_from_agent(message)

    async def until(self, kind: type[M], so: Callable[[int, M], bool] = lambda *_: True) -> tuple[int, M]:
        """Return the first message of a kind that is so."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                channel, message = await self.next()
                if isinstance(message, kind) and so(channel, message):
                    return channel, message

    async def sent_away(self) -> tuple[int, str]:
        """Return the code and the reason with which the door closes the connection, after all that comes."""
        async with asyncio.timeout(WITHIN_S):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.next()
        return self.connection.close_code or 0, self.connection.close_reason or ""

    async def follow_all(self, count: int) -> None:
        """Open a channel for each of so many workers, once all are there."""
        _, roster = await self.until(Roster, lambda _, each: len(each.workers) >= count)
        for channel, each in enumerate(roster.workers, 1):
            self.workers[each.worker.id] = channel
            await self.connection.send(said(Open(channel=channel, worker=each.worker.id)))

    async def say(self, channel: int, message: FromClient) -> None:
        """Say something to a worker."""
        await self.connection.send(carried(channel, encode(message)))


@contextlib.asynccontextmanager
async def visiting(url: str, token: str = TOKEN, **options: Any) -> AsyncIterator[Visitor]:
    """Come in by the door at `url`, which ends with its path."""
    headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
    where = url.replace("http", "ws", 1)
    async with connect(
        where,
        additional_headers=headers,
        max_size=MAX_CARRIED_BYTES,
        compression=None,
        open_timeout=WITHIN_S,
        **options,
    ) as connection:
        yield Visitor(connection)


def raw(port: int, path: str, headers: Mapping[str, str], method: str = "GET") -> bytes:
    """Return the whole answer to a request but its date, in bytes, until the server closes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: shop"]
    lines += [f"{name}: {each}" for name, each in headers.items()]
    if "Upgrade" not in headers:
        lines.append("Connection: close")
    with socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while data := client.recv(65536):
            answer += data
    return re.sub(rb"(?i)date: [^\r]+", b"date: then", answer)


def handshake(**more: str) -> dict[str, str]:
    """Return the headers that ask for a WebSocket."""
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        **more,
    }
