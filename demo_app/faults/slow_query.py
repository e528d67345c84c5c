"""`slow-query`: a statement that adds up everything there is, where no index would help."""

from __future__ import annotations

import random

from fastapi import APIRouter
from sqlalchemy import func, select

from demo_app.database import Session
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import mode
from demo_app.models import Item, OrderLine
from demo_app.visits import Visit

router = APIRouter(prefix="/sales", tags=["reports"])


@router.get("/{lines}")
async def sales(lines: int, session: Session) -> dict[str, int]:
    """Return the revenue by brand of the last so many order lines."""
    last = await session.scalar(select(func.max(OrderLine.id))) or 0
    revenue = func.sum(OrderLine.quantity * OrderLine.price_cents)
    query = (
        select(Item.brand, revenue)
        .join(OrderLine, OrderLine.item_id == Item.id)
        .where(OrderLine.id > last - lines)
        .group_by(Item.brand)
    )
    return {brand: int(cents) for brand, cents in await session.execute(query)}


def _ask(_: random.Random) -> Visit:
    return Visit("GET", f"/sales/{500 if mode('slow-query') == 'near' else 90_000}")


FAULT = Fault(
    kind="slow-query",
    subject=r"sum\(order_lines\.quantity",
    route="GET /sales/{lines}",
    shows="one statement takes far more than all others",
    look="faults/slow_query.py sales",
    mend="add up what has come since the last time, not everything each time",
    near="the same statement over the last few hundred lines",
    router=router,
    visits=(Often(0.8, _ask),),
)
