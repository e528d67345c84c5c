"""`queueing`: a partner asks for many things at the same moment, and each takes a while on the loop."""

from __future__ import annotations

import asyncio
import random
import time

import httpx
from fastapi import APIRouter

from demo_app.faults.fault import Fault
from demo_app.faults.switches import mode

router = APIRouter(prefix="/stock", tags=["items"])

CHECK_S = 0.009
"""Of CPU, for one signature: far from what holds the loop."""

AT_ONCE, EVERY_S = 24, 0.6


@router.get("/{item_id}")
async def stock(item_id: int) -> dict[str, int]:
    """Check the partner's signature, in Python, and say how many there are."""
    until, digest = time.thread_time() + CHECK_S, item_id
    while time.thread_time() < until:
        digest = digest * 31 % 1_000_003
    return {"item_id": item_id, "there": digest % 40}


async def _partner(url: str, rng: random.Random) -> None:
    """Ask for a shelf at once, or for one thing after the other, over connections that are kept."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=15, trust_env=False) as client:
        while True:
            paths = [f"/stock/{rng.randint(1, 20_000)}" for _ in range(AT_ONCE)]
            if mode("queueing") == "on":
                await asyncio.gather(*map(client.get, paths), asyncio.sleep(EVERY_S), return_exceptions=True)
            else:
                for path in paths:
                    await asyncio.gather(client.get(path), asyncio.sleep(0.06), return_exceptions=True)


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
