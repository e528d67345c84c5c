"""Orders with their lines."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from demo_app import faults
from demo_app.database import Session
from demo_app.models import Order
from demo_app.schemas import OrderOut

router = APIRouter(prefix="/orders", tags=["orders"])

FEW = 3
"""Orders on a page of the near miss: so many look-ups are what code does."""


@router.get("")
async def list_orders(
    session: Session,
    before: Annotated[int | None, Query(description="the last id of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> list[OrderOut]:
    """Return a page of orders, the newest first.

    Fault `n-plus-one`: the lines are loaded order by order, one SELECT each.
    """
    query = select(Order).order_by(Order.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Order.id < before)
    now = faults.mode("n-plus-one")
    if now == "off" or (now == "near" and limit > FEW):
        query = query.options(selectinload(Order.lines))
    orders = list(await session.scalars(query))
    for order in orders:
        await order.awaitable_attrs.lines
    return [OrderOut.model_validate(order) for order in orders]


@router.get("/{order_id}")
async def get_order(order_id: int, session: Session) -> OrderOut:
    """Return one order."""
    order = await session.get(Order, order_id, options=[selectinload(Order.lines)])
    if order is None:
        raise HTTPException(404, f"no order {order_id}")
    return OrderOut.model_validate(order)
