"""`queueing`: a partner asks for many things at the same moment, and each takes a while on the loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from functools import partial
from statistics import median

import httpx
from fastapi import APIRouter

from demo_app.faults.fault import Fault
from demo_app.faults.switches import mode

router = APIRouter(prefix="/stock", tags=["items"])

CHECK_S = 0.004
"""Of CPU, for one signature: far from what holds the loop."""

TURN_S, EVERY_S = 0.06, 0.3
"""What the requests that come at once take in each worker: the last of them waits for most of it, and nothing
holds the loop for 100 ms."""

ONE_BY_ONE_S = 0.06

TRIES = 200


@router.get("/{item_id}")
async def stock(item_id: int) -> dict[str, int]:
    """Check the partner's signature, in Python, and say how many there are."""
    until, digest = time.thread_time() + CHECK_S, item_id
    while time.thread_time() < until:
        digest = digest * 31 % 1_000_003
    return {"item_id": item_id, "there": digest % 40, "worker": os.getpid()}


async def _partner(url: str, rng: random.Random) -> None:
    """Ask for a shelf at once, or for one thing after the other, over connections that are kept."""
    async with contextlib.AsyncExitStack() as stack:
        connections = await _balanced(url, stack)
        while True:
            asked = [partial(each.get, f"/stock/{rng.randint(1, 20_000)}") for each in connections]
            if mode("queueing") == "on":
                at_once = (ask() for ask in asked)
                await asyncio.gather(*at_once, asyncio.sleep(EVERY_S), return_exceptions=True)
            else:
                for ask in asked:
                    await asyncio.gather(ask(), asyncio.sleep(ONE_BY_ONE_S), return_exceptions=True)


async def _balanced(url: str, stack: contextlib.AsyncExitStack) -> list[httpx.AsyncClient]:
    """Return clients of one connection each, as many to each worker as a balancer would make."""
    workers = int(os.environ.get("SHOP_WORKERS", "1"))
    each = await _at_once(url)
    held: Counter[int] = Counter()
    connections: list[httpx.AsyncClient] = []
    for _ in range(TRIES):
        transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=1), verify=False)
        client = httpx.AsyncClient(base_url=url, transport=transport, timeout=15, trust_env=False)
        worker = (await client.get("/stock/1")).json()["worker"]
        if held[worker] >= each:
            await client.aclose()
            continue
        held[worker] += 1
        stack.push_async_callback(client.aclose)
        connections.append(client)
        if held.total() == each * workers:
            break
    return connections


async def _at_once(url: str) -> int:
    """Return how many requests a worker of this machine takes in a turn."""
    transport = httpx.AsyncHTTPTransport(verify=False)
    async with httpx.AsyncClient(base_url=url, transport=transport, timeout=15, trust_env=False) as client:
        took_s = []
        for _ in range(21):
            before_s = time.monotonic()
            await client.get("/stock/1")
            took_s.append(time.monotonic() - before_s)
    return max(3, round(TURN_S / median(took_s)))


FAULT = Fault(
    kind="queueing",
    subject=r"^(all|worker \d+)$",
    route="GET /stock/{item_id}",
    shows="requests wait longer before the app than they take in it",
    look="faults/queueing.py stock",
    mend="more workers, or a cheaper check",
    near="as many of the same requests, one after the other",
    router=router,
    crowd=_partner,
)
