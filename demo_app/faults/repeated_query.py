"""`repeated-query`: what sells best is worked out anew for everybody who looks at the front page."""

from __future__ import annotations

import random

from cachetools import TTLCache
from fastapi import APIRouter
from sqlalchemy import func, select

from demo_app.database import Session
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import mode
from demo_app.models import OrderLine
from demo_app.visits import Visit

router = APIRouter(prefix="/bestsellers", tags=["items"])

SPAN = 12_000
"""Order lines that are looked at."""

_known: TTLCache[int, list[int]] = TTLCache(maxsize=8, ttl=10)


@router.get("")
async def bestsellers(session: Session, until: int = 90_000) -> list[int]:
    """Return the ten items that were bought most among the lines before one."""
    if mode("repeated-query") == "off" and until in _known:
        return _known[until]
    query = (
        select(OrderLine.item_id)
        .where(OrderLine.id > until - SPAN, OrderLine.id <= until)
        .group_by(OrderLine.item_id)
        .order_by(func.sum(OrderLine.quantity).desc())
        .limit(10)
    )
    _known[until] = found = list(await session.scalars(query))
    return found


def _front_page(rng: random.Random) -> Visit:
    until = rng.randint(SPAN, 90_000) if mode("repeated-query") == "near" else 90_000
    return Visit("GET", f"/bestsellers?until={until}")


FAULT = Fault(
    kind="repeated-query",
    subject=r"order_lines",
    route="GET /bestsellers",
    shows="the same statement with the same values for each request",
    look="faults/repeated_query.py bestsellers",
    mend="keep the answer for as long as it may be old",
    near="the same statement, each time for other lines: no cache would take that",
    router=router,
    visits=(Often(8.0, _front_page),),
)
