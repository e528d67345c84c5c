"""The services that the shop calls, in one process: `python -m demo_app.upstreams PORT…`, one port for each.

Whatever is asked, they answer a line of text over a connection that is kept. How fast, and whether at all,
is what the faults named after upstreams say.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys

from demo_app.faults.switches import SWITCHES, mode

SERVICES = ("carrier", "tax", "warehouse", "mail", "exchange")
"""In the order of their ports."""

Answer = tuple[float, int]
"""After how many seconds, and with which status."""


def url_of(service: str) -> str:
    """Return where a service is, by `SHOP_UPSTREAMS`: the ports of all of them."""
    ports = os.environ.get("SHOP_UPSTREAMS", "").split()
    number = SERVICES.index(service)
    return f"http://127.0.0.1:{ports[number] if number < len(ports) else 9}"


def answer_of(service: str, rng: random.Random) -> Answer:
    """Return how a service answers now."""
    if service == "carrier":
        bounds_s = {"off": (0.01, 0.02), "near": (0.08, 0.11), "on": (0.4, 0.7)}[mode("upstream-slow")]
        return rng.uniform(*bounds_s), 200
    if service == "tax":
        status = {"off": 200, "near": 404, "on": 503}[mode("upstream-errors")]
        return 0.01, status if rng.random() < 0.33 else 200
    if service == "exchange":
        return 0.1, 200
    return 0.005, 200


async def _serve(service: str, port: int) -> None:
    rng = random.Random()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while await reader.readuntil(b"\r\n\r\n"):
                after_s, status = answer_of(service, rng)
                await asyncio.sleep(after_s)
                body = f"{service} has heard it".encode()
                writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
                await writer.drain()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    await server.serve_forever()


async def _follow() -> None:
    while True:
        await SWITCHES.changed()


async def _main(ports: list[int]) -> None:
    await asyncio.gather(_follow(), *map(_serve, SERVICES, ports))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main([int(port) for port in sys.argv[1:]]))
