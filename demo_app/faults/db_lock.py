"""`db-lock`: stock is taken within a transaction, and the carrier is asked before it is committed."""

from __future__ import annotations

import asyncio
import random

from fastapi import APIRouter
from sqlalchemy import update

from demo_app.database import Session
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import active
from demo_app.models import Order
from demo_app.visits import Visit

router = APIRouter(prefix="/shipments", tags=["orders"])

ASKING_S = 0.9
"""Until the carrier has said when it comes."""

SAME_ORDERS = 3


@router.post("/{order_id}", status_code=201)
async def ship(order_id: int, session: Session) -> dict[str, int]:
    """Have an order fetched."""
    await session.execute(update(Order).where(Order.id == order_id).values(status="shipped"))
    if active("db-lock"):
        await asyncio.sleep(ASKING_S)
        await session.commit()
    else:
        await session.commit()
        await asyncio.sleep(0.1)
    return {"order_id": order_id}


def _ship(rng: random.Random) -> Visit:
    return Visit("POST", f"/shipments/{rng.randint(1, SAME_ORDERS)}")


FAULT = Fault(
    kind="db-lock",
    subject=r"^POST /shipments/\{order_id\}$",
    route="POST /shipments/{order_id}",
    shows="sessions wait for a lock that one of them keeps while it waits for somebody else",
    look="faults/db_lock.py ship",
    mend="commit first, then ask",
    near="the same orders as often, each committed before the carrier is asked",
    router=router,
    visits=(Often(3.0, _ship),),
)
