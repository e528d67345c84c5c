"""`backlog-overflow`: four connections may wait to be accepted, and a clock stops all workers at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from pathlib import Path

import httpx
from fastapi import FastAPI

from demo_app.faults.fault import Fault
from demo_app.faults.switches import Mode

SHORT, USUAL = 4, 2048
"""Connections that may wait; uvicorn has as many as the second."""

EVERY_S, SYNC_S = 2.0, 0.6

MOST_NEWCOMERS = 60

_clock: set[asyncio.Task[None]] = set()


def sync_prices() -> None:
    """Compare prices with the back office, as all workers do on the stroke of the clock."""
    until, total = time.monotonic() + SYNC_S, 0
    while time.monotonic() < until:
        total = (total * 31 + 7) % 1_000_003


async def _by_the_clock() -> None:
    while True:
        await asyncio.sleep(EVERY_S - time.time() % EVERY_S)
        sync_prices()
        await asyncio.sleep(0.2)


def _listen(backlog: int) -> None:
    """Have another length of the queue, for a server that listens already."""
    for name in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=socket.dup(int(name.name))) as found:
            is_tcp = found.family == socket.AF_INET and found.type == socket.SOCK_STREAM
            if is_tcp and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.listen(backlog)


async def _switched(_: FastAPI, now: Mode) -> None:
    for task in _clock:
        task.cancel()
    _clock.clear()
    _listen(SHORT if now == "on" else USUAL)
    if now == "on":
        _clock.add(asyncio.create_task(_by_the_clock()))


async def _newcomers(url: str, rng: random.Random) -> None:
    """Come without a connection from before, at the pace of a shop that is well known."""
    transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0), verify=False)
    async with httpx.AsyncClient(base_url=url, transport=transport, timeout=15, trust_env=False) as client:
        most = asyncio.Semaphore(MOST_NEWCOMERS)

        async def come() -> None:
            async with most:
                with contextlib.suppress(httpx.HTTPError):
                    await client.get(f"/items/{rng.randint(1, 500)}")

        async with asyncio.TaskGroup() as coming:
            while True:
                coming.create_task(come())
                await asyncio.sleep(0.04)


FAULT = Fault(
    kind="backlog-overflow",
    subject=r"^127\.0\.0\.1:\d+$",
    route="",
    shows="connections wait to be accepted, or are refused, while nobody accepts any",
    look="faults/backlog_overflow.py _listen",
    mend="take the work off the loop, then allow more to wait",
    near="as many newcomers, and nothing that keeps the workers from accepting them",
    switched=_switched,
    crowd=_newcomers,
)
