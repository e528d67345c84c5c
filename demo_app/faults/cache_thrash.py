"""`cache-thrash`: a cache of 32 items in front of 20,000, each miss evicting what is asked for next."""

from __future__ import annotations

import random

from fastapi import FastAPI

from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode, mode
from demo_app.goods import ITEMS
from demo_app.routers.items import renew_cache
from demo_app.visits import Visit


async def _switched(_: FastAPI, now: Mode) -> None:
    renew_cache(now)


def _browse(rng: random.Random) -> Visit:
    few = mode("cache-thrash") == "near"
    return Visit("GET", f"/items/{rng.randint(1, 300) if few else 1 + int(rng.random() ** 3 * ITEMS)}")


FAULT = Fault(
    kind="cache-thrash",
    subject=r"^items",
    route="GET /items/{item_id}",
    shows="a cache of 32 items in front of 20,000: few hits, and each miss evicts",
    look="routers/items.py items_by_id",
    mend="a cache that holds the items most looked at",
    near="a cache of 256 that evicts now and then, and mostly hits",
    switched=_switched,
    visits=(Often(20.0, _browse),),
)
