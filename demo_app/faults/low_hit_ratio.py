"""`low-hit-ratio`: what is kept for half a second is hardly ever asked for again within it."""

from __future__ import annotations

import random

from cachetools import TTLCache
from fastapi import APIRouter, FastAPI

from demo_app.database import Session
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode, mode
from demo_app.models import Customer
from demo_app.visits import Visit
from perftui_agent import watch_cache

router = APIRouter(prefix="/greetings", tags=["customers"])

BRIEF_S, LONG_S = 0.5, 300.0

_kept: TTLCache[int, str] = watch_cache(TTLCache(maxsize=4096, ttl=LONG_S), name="greetings")


@router.get("/{customer_id}")
async def greeting(customer_id: int, session: Session) -> str:
    """Return what a customer is greeted with."""
    known = _kept.get(customer_id)
    if known is None:
        customer = await session.get(Customer, customer_id)
        _kept[customer_id] = known = f"Hello, {customer.name if customer else 'you'}"
    return known


async def _switched(_: FastAPI, now: Mode) -> None:
    """Have a cache of another patience in its place."""
    global _kept  # noqa: PLW0603 - the one cache of this file
    _kept = watch_cache(TTLCache(maxsize=4096, ttl=BRIEF_S if now == "on" else LONG_S), name="greetings")


def _visit(rng: random.Random) -> Visit:
    many = 60 if mode("low-hit-ratio") == "near" else 2_000
    return Visit("GET", f"/greetings/{rng.randint(1, many)}")


FAULT = Fault(
    kind="low-hit-ratio",
    subject=r"^greetings",
    route="GET /greetings/{customer_id}",
    shows="hardly a look-up hits: entries are gone before anybody asks again",
    look="faults/low_hit_ratio.py greeting",
    mend="keep entries for as long as they may be old",
    near="a cache that hits for all but the first looks",
    router=router,
    switched=_switched,
    visits=(Often(30.0, _visit),),
)
