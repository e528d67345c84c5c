"""An open-loop client, in a process of its own: what a service's clients feel.

`python -m tests.support.open_loop PORT PATH RATE SECONDS [CPU]`: a request at each of RATE moments a second,
whether or not earlier ones have been answered, half of them on new connections and half on ones that were
kept. How long each took from the moment it was *meant* to be sent (ns) is printed as JSON. With CPU it keeps
to that one and goes first on it, so that what is felt is the service's doing and not the client's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any

import msgspec
import uvloop

PATIENCE_S = 15.0
"""What has not been answered so long after the end is a failure."""


def felt(port: int, path: str, rate: float, seconds: float, cpu: int | None = None) -> list[int]:
    """Send requests from another process; return how long each took, in ns, sorted."""
    arguments = [port, path, rate, seconds, *([] if cpu is None else [cpu])]
    done = subprocess.run(
        [sys.executable, "-m", __name__, *map(str, arguments)],
        capture_output=True,
        check=True,
        timeout=seconds + PATIENCE_S + 30,
    )
    return sorted(msgspec.json.decode(done.stdout, type=list[int]))


def quantile_ms(sorted_ns: Sequence[int], q: float) -> float:
    """Return a quantile by nearest rank, in ms."""
    return sorted_ns[max(0, -(-round(q * 1_000_000) * len(sorted_ns) // 1_000_000) - 1)] / 1e6


class _Client:
    def __init__(self, port: int, path: str) -> None:
        self.port = port
        self.request = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode()
        self.idle: list[_Connection] = []
        self.took_ns: list[int] = []
        self.waiting: set[asyncio.Future[None]] = set()

    async def run(self, rate: float, seconds: float) -> list[int]:
        """Send at evenly spread moments; wait for what is left at the end."""
        rng = random.Random(7)
        began_ns = perf_counter_ns()
        tasks = set()
        for number in range(round(rate * seconds)):
            meant_ns = began_ns + round((number + rng.random()) / rate * 1e9)
            await asyncio.sleep(max(0.0, (meant_ns - perf_counter_ns()) / 1e9))
            tasks.add(asyncio.ensure_future(self._send(meant_ns, kept=number % 2 == 0)))
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)
        return self.took_ns

    async def _send(self, meant_ns: int, *, kept: bool) -> None:
        while kept and self.idle:
            connection = self.idle.pop()
            if not connection.lost:
                break
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, "127.0.0.1", self.port)
        await connection.ask(self.request)
        self.took_ns.append(perf_counter_ns() - meant_ns)
        if kept:
            self.idle.append(connection)
        else:
            connection.close()


class _Connection(asyncio.Protocol):
    """Sends one request at a time."""

    lost = False
    _transport: asyncio.WriteTransport

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport
        self._received = b""
        self._answer: asyncio.Future[None] | None = None

    def ask(self, request: bytes) -> asyncio.Future[None]:
        """Send a request; return what is done when its whole answer has come."""
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0) if found else 1
        if found and len(body) >= length and self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what waits."""
        self.lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("closed before the answer was whole"))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


def main() -> None:
    """Be the process."""
    port, path, rate, seconds, *cpu = sys.argv[1:]
    if cpu:
        os.sched_setaffinity(0, {int(cpu[0])})
        with contextlib.suppress(PermissionError):
            os.nice(-10)
    took_ns = uvloop.run(_Client(int(port), path).run(float(rate), float(seconds)))
    sys.stdout.buffer.write(msgspec.json.encode(took_ns))


if __name__ == "__main__":
    main()
