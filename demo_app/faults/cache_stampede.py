"""`cache-stampede`: a banner expires each second, and all who miss it at once have it made."""

from __future__ import annotations

import asyncio

from cachetools import TTLCache
from fastapi import APIRouter

from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import mode
from demo_app.visits import Visit
from perftui_agent import watch_cache

router = APIRouter(prefix="/banner", tags=["config"])

TTL_S, MAKING_S = 1.0, 0.3

_banners: TTLCache[str, str] = watch_cache(TTLCache(maxsize=16, ttl=TTL_S), name="banners")
_making = asyncio.Lock()


async def _make(name: str) -> str:
    """Have the campaign service write it, which takes its time."""
    await asyncio.sleep(MAKING_S)
    _banners[name] = made = f"<b>{name}</b>: up to 40 % off"
    return made


@router.get("")
async def banner(name: str = "winter") -> str:
    """Return what is on top of the page."""
    known = _banners.get(name)
    if known is not None:
        return known
    if mode("cache-stampede") == "on":
        return await _make(name)
    async with _making:
        return _banners.get(name) or await _make(name)


FAULT = Fault(
    kind="cache-stampede",
    subject=r"^banners",
    route="GET /banner",
    shows="a key is missed again and again while another request is fetching it",
    look="faults/cache_stampede.py banner",
    mend="one request fetches, the others wait for it: a lock for each key",
    near="a cache that expires as often and has a lock",
    router=router,
    visits=(Often(16.0, lambda _: Visit("GET", "/banner")),),
)
