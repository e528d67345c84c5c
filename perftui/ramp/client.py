"""HTTP/1.1 as a sender needs it: requests that are bytes already, connections that stay, an end for each.

Takes an `Exchange`, gives its status or what went wrong to its `ended`, once. The parser is llhttp's, as
uvicorn has it. A client with sessions, cookies and redirects takes several times the CPU for each request,
and on a core of its own that is the difference between measuring a service and measuring the sender.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias, cast
from urllib.parse import quote, urlsplit

import httptools

from perftui.ramp.plan import SAFE, Sent

_PLAIN = re.compile(r"[!-~]+")
"""What may stand in a request line as it is: paths that were learned from a service may hold anything."""

_BODILESS = frozenset({204, 304})

Ended: TypeAlias = Callable[["Exchange", int, str], None]
"""Told of an exchange its status, or 0 and what went wrong."""


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "began",
        "connection",
        "data",
        "due",
        "ended",
        "is_counted",
        "is_fresh",
        "is_head",
        "is_safe",
    )

    def __init__(self, request: Sent, data: bytes, ended: Ended, *, is_fresh: bool = False) -> None:
        self.data = data
        self.ended = ended
        self.is_head = request.method == "HEAD"
        self.is_safe = request.method in SAFE
        self.is_fresh = is_fresh
        """Whether it has a connection to itself."""
        self.due = self.began = 0.0
        self.is_counted = False
        self.connection: _Connection | None = None


class Client:
    """Connections to one service."""

    def __init__(self, base_url: str, unix: str | None = None) -> None:
        parts = urlsplit(base_url)
        self._host, self._port, self._unix = parts.hostname or "127.0.0.1", parts.port or 80, unix
        self._head = (
            f" HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
            "User-Agent: perftui-ramp\r\n"
        )
        self._idle: deque[_Connection] = deque()
        self._opening: dict[Exchange, asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()

    def written(self, request: Sent, *, is_fresh: bool) -> bytes:
        """Return a request as it goes over the wire."""
        path = request.path
        if not _PLAIN.fullmatch(path):
            path = quote(path, safe="/?&=%:+,;@!$'()*~[]")
        head = f"{request.method} {path}{self._head}"
        if is_fresh:
            head += "Connection: close\r\n"
        if request.body is None:
            return f"{head}\r\n".encode("ascii")
        head += f"Content-Type: {request.content_type}\r\nContent-Length: {len(request.body)}\r\n\r\n"
        return head.encode("ascii") + request.body

    def send(self, exchange: Exchange) -> None:
        """Send it, over a connection that is there or over a new one."""
        while self._idle and not exchange.is_fresh:
            # The one that has waited longest: all of them, and so all workers, get their turn.
            connection = self._idle.popleft()
            if connection.begin(exchange):
                return
        task = self._loop.create_task(self._open(exchange))
        self._opening[exchange] = task
        task.add_done_callback(lambda _: self._opening.pop(exchange, None))

    def give_up(self, exchange: Exchange) -> None:
        """Close what it goes over, without a word to its `ended`."""
        if (task := self._opening.pop(exchange, None)) is not None:
            task.cancel()
        if exchange.connection is not None:
            exchange.connection.abandon()

    async def close(self) -> None:
        """Close what is open."""
        for exchange in list(self._opening):
            self.give_up(exchange)
        while self._idle:
            self._idle.popleft().close()
        await asyncio.sleep(0)

    async def _open(self, exchange: Exchange) -> None:
        connection = _Connection(self)
        try:
            if self._unix:
                await self._loop.create_unix_connection(lambda: connection, self._unix)
            else:
                await self._loop.create_connection(lambda: connection, self._host, self._port)
        except OSError as error:
            exchange.ended(exchange, 0, type(error).__name__)
            return
        if not connection.begin(exchange):
            exchange.ended(exchange, 0, "ServerDisconnectedError")

    def resend(self, exchange: Exchange) -> None:
        """Send once more, over a new connection, what a server hung up on before it read a byte of it."""
        exchange.connection = None
        exchange.is_fresh = True
        self.send(exchange)

    def rests(self, connection: _Connection) -> None:
        """Keep a connection for the next request."""
        self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        """Forget a connection that has ended while it rested."""
        if connection in self._idle:
            self._idle.remove(connection)


class _Connection(asyncio.Protocol):
    """One connection, one exchange at a time; its methods without a docstring are llhttp's callbacks."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._served = self._status = 0
        self._keeps = False
        self._is_heard = self._is_whole = self._has_head = self._has_length = False

    def begin(self, exchange: Exchange) -> bool:
        """Send a request; False if nothing can be sent any more."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._exchange, exchange.connection = exchange, self
        self._is_heard = self._is_whole = self._has_head = self._has_length = False
        self._transport.write(exchange.data)
        return True

    def close(self) -> None:
        """Close it, at rest."""
        if self._transport is not None:
            self._transport.close()

    def abandon(self) -> None:
        """Close it in the middle of an exchange that nobody waits for any more."""
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the type

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._exchange is None:
            self.close()
            return
        self._is_heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(0, type(error).__name__, keep=False)
            return
        if self._has_head and self._exchange.is_head:
            # It would go on to wait for the body that a HEAD's length tells of.
            self._parser = httptools.HttpResponseParser(self)
            self._end(self._status, "", keep=self._keeps)
        elif self._is_whole:
            self._end(self._status, "", keep=self._keeps)

    def connection_lost(self, error: Exception | None) -> None:
        """End what was under way: well, where the end of the connection is that of the answer."""
        self._client.lost(self)
        exchange = self._exchange
        if exchange is None:
            return
        if self._has_head and not self._has_length and error is None:
            self._end(self._status, "", keep=False)
        elif self._served and not self._is_heard and exchange.is_safe:
            # It was closed while it rested, and the request crossed that on its way.
            self._exchange = None
            self._client.resend(exchange)
        else:
            self._end(0, type(error).__name__ if error else "ServerDisconnectedError", keep=False)

    def on_header(self, name: bytes, _: bytes) -> None:
        if name.lower() in {b"content-length", b"transfer-encoding"}:
            self._has_length = True

    def on_headers_complete(self) -> None:
        self._status = status = self._parser.get_status_code()
        self._has_head = status >= 200
        self._has_length = self._has_length or status in _BODILESS
        # Told of a whole message, llhttp has forgotten its headers.
        self._keeps = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        self._is_whole = self._has_head

    def _end(self, status: int, failed: str, *, keep: bool) -> None:
        exchange, self._exchange = self._exchange, None
        self._served += 1
        if exchange is None or self._transport is None:
            return
        if keep and not exchange.is_fresh and not self._transport.is_closing():
            self._client.rests(self)
        else:
            self._transport.close()
        exchange.ended(exchange, status, failed)


def due_now(exchange: Exchange, due: float) -> float:
    """Note when an exchange was due and that it is sent now; return how late that is, in seconds."""
    now = time.monotonic()
    # One that goes out a moment early begins when it does: its latency must not come out shorter for it.
    exchange.due, exchange.began = min(due, now), now
    return max(now - due, 0.0)
