"""A bounded load on one path of a server on the loopback, from a process of its own.

Each connection sends a request, waits for the whole answer, pauses (or waits for its turn, where there is a
rate to keep), and sends the next, until the time is over. An answer but 200 ends it. The process stays: to
start one for each burst takes as long as the burst. It reads a `Load` a line and answers with when each
request was sent and how long it took.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import NamedTuple, cast

import msgspec
import uvloop


class Answer(NamedTuple):
    """One request that has been answered."""

    sent_at_s: float
    """By the wall clock."""
    took_ns: int


class Load(msgspec.Struct, frozen=True):
    """What to send, from how many connections, and for how long."""

    port: int
    path: str
    connections: int
    seconds: float
    pause_ms: float = 0.0
    rate: float = 0.0
    """Requests a second of all connections together; 0: as many as are answered. Who is late catches up."""

    async def send(self) -> list[Answer]:
        """Send it from this process."""
        loop = asyncio.get_running_loop()
        answers: list[Answer] = []
        begin_s = time.monotonic()
        connections = [_Connection(self, answers, begin_s, number) for number in range(self.connections)]
        for connection in connections:
            await loop.create_connection(connection.itself, "127.0.0.1", self.port)
        await asyncio.gather(*(connection.ended for connection in connections))
        return answers


class Generator:
    """The process that sends."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, load: Load) -> list[Answer]:
        """Have it send a load; return the answers in the order they came."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(load) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load could not be sent: see above")
        return msgspec.json.decode(line, type=list[Answer])


@contextmanager
def generator() -> Iterator[Generator]:
    """Start a process that sends loads."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield Generator(process)
        finally:
            process.kill()


class _Connection(asyncio.Protocol):
    """Sends one request at a time."""

    def __init__(self, load: Load, answers: list[Answer], begin_s: float, number: int) -> None:
        self._request = f"GET {load.path} HTTP/1.1\r\nHost: localhost:{load.port}\r\n\r\n".encode()
        self._pause_s = load.pause_ms / 1000
        self._every_s = load.connections / load.rate if load.rate else 0.0
        self._due_s = begin_s + number * self._every_s / load.connections
        self._answers = answers
        self._until_s = begin_s + load.seconds
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""
        self._sent_at_s = 0.0
        self._sent_ns = 0

    def itself(self) -> _Connection:
        """Be one's own factory."""
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the type
        self._next()

    def data_received(self, data: bytes) -> None:
        """Note an answer once all of it is there, and go on."""
        self._received += data
        try:
            whole = _is_whole(self._received)
        except ValueError as error:
            self.ended.set_exception(error)
            return
        if not whole:
            return
        self._answers.append(Answer(self._sent_at_s, perf_counter_ns() - self._sent_ns))
        if time.monotonic() >= self._until_s:
            self._transport.close()
        else:
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """End, well or not: a server that hangs up is none to measure."""
        if self.ended.done():
            return
        if time.monotonic() < self._until_s:
            self.ended.set_exception(error or ConnectionError(f"hung up after {self._received[:200]!r}"))
        else:
            self.ended.set_result(None)

    def _next(self) -> None:
        """Send the next one when it is time to."""
        wait_s = self._pause_s
        if self._every_s:
            wait_s = self._due_s - time.monotonic()
            self._due_s += self._every_s
        if wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._send)
        else:
            self._send()

    def _send(self) -> None:
        self._received = b""
        self._sent_at_s = time.time()
        self._sent_ns = perf_counter_ns()
        self._transport.write(self._request)


def _is_whole(received: bytes) -> bool:
    """Tell whether an answer is complete; ValueError for one that isn't what was asked for."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(f"the server answered {head[:200]!r}")
    _, _, length = head.lower().partition(b"content-length: ")
    return len(body) >= int(length.partition(b"\r\n")[0])


def main() -> None:
    """Send what each line of the standard input says."""
    for line in sys.stdin.buffer:
        load = msgspec.json.decode(line, type=Load)
        sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(load.send())) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
