"""A bounded load on one path of a server on the loopback, from a process of its own.

`python -m tests.benchmarks.load PORT PATH CONNECTIONS SECONDS [PAUSE_MS]`: each connection sends a
request, waits for the whole answer, pauses, and sends the next, until the time is over. When each was sent
(seconds of the wall clock) and how long it took (ns) is printed as JSON; an answer but 200 ends it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from time import perf_counter_ns
from typing import NamedTuple, cast

import msgspec
import uvloop


class Answer(NamedTuple):
    """One request that has been answered."""

    sent_at_s: float
    took_ns: int


@dataclass(frozen=True, slots=True)
class Load:
    """What to send, from how many connections, and for how long."""

    port: int
    path: str
    connections: int
    seconds: float
    pause_ms: float = 0.0

    def run(self) -> list[Answer]:
        """Send it from another process; return the answers in the order they came."""
        arguments = [self.port, self.path, self.connections, self.seconds, self.pause_ms]
        done = subprocess.run(
            [sys.executable, "-m", __name__, *map(str, arguments)],
            capture_output=True,
            check=True,
            timeout=self.seconds + 30,
        )
        return msgspec.json.decode(done.stdout, type=list[Answer])

    async def send(self) -> list[Answer]:
        """Send it from this process."""
        loop = asyncio.get_running_loop()
        answers: list[Answer] = []
        until_s = time.monotonic() + self.seconds
        connections = [_Connection(self, answers, until_s) for _ in range(self.connections)]
        for connection in connections:
            await loop.create_connection(connection.itself, "127.0.0.1", self.port)
        await asyncio.gather(*(connection.ended for connection in connections))
        return answers


class _Connection(asyncio.Protocol):
    """Sends one request at a time."""

    def __init__(self, load: Load, answers: list[Answer], until_s: float) -> None:
        self._request = f"GET {load.path} HTTP/1.1\r\nHost: localhost:{load.port}\r\n\r\n".encode()
        self._pause_s = load.pause_ms / 1000
        self._answers = answers
        self._until_s = until_s
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
        self._send()

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
        elif self._pause_s:
            asyncio.get_running_loop().call_later(self._pause_s, self._send)
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """End, well or not: a server that hangs up is none to measure."""
        if self.ended.done():
            return
        if time.monotonic() < self._until_s:
            self.ended.set_exception(error or ConnectionError(f"hung up after {self._received[:200]!r}"))
        else:
            self.ended.set_result(None)

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
    """Send what the arguments say and print the answers."""
    port, path, connections, seconds, pause_ms = sys.argv[1:]
    load = Load(int(port), path, int(connections), float(seconds), float(pause_ms))
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(load.send())))


if __name__ == "__main__":
    main()
