"""`idle-in-transaction`: a page of the back office keeps its transaction open while somebody reads it."""

from __future__ import annotations

import asyncio
import random

from fastapi import APIRouter

from demo_app.database import Session
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import active
from demo_app.models import Order
from demo_app.visits import Visit

router = APIRouter(prefix="/reviews", tags=["orders"])

READING_S = 12.0


@router.get("/{order_id}")
async def review(order_id: int, session: Session) -> dict[str, str]:
    """Return an order's state, once whoever reads it has read it."""
    order = await session.get(Order, order_id)
    state = order.status if order else "unknown"
    if active("idle-in-transaction"):
        await asyncio.sleep(READING_S)
    else:
        await session.close()
        await asyncio.sleep(0.5)
    return {"status": state}


def _review(rng: random.Random) -> Visit:
    return Visit("GET", f"/reviews/{rng.randint(1, 30_000)}")


FAULT = Fault(
    kind="idle-in-transaction",
    subject=r"^GET /reviews/\{order_id\}$",
    route="GET /reviews/{order_id}",
    shows="sessions hold a transaction and do nothing",
    look="faults/idle_in_transaction.py review",
    mend="end the transaction before waiting for anybody",
    near="the same pages, whose transactions are over when they are read",
    router=router,
    visits=(Often(0.5, _review),),
    needs=frozenset({"postgresql"}),
)
