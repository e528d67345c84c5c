"""Buying: an order with its lines, a payment authorization, a confirmation in the background."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

from fastapi import APIRouter, BackgroundTasks, HTTPException
from sqlalchemy import select

from demo_app import faults
from demo_app.database import Session
from demo_app.models import Customer, Item, Order, OrderLine
from demo_app.schemas import Cart, Placed

router = APIRouter(tags=["orders"])


BANK_S = (0.04, 0.12)
SLOW_BANK_S = (0.5, 0.8)
"""While checkouts hold connections: fault `pool-exhausted`."""
LATE_BANK_S = {"off": BANK_S, "near": (0.1, 0.15), "on": (1.6, 2.2)}
"""Fault `slo-breach`."""


async def ask_bank() -> None:
    """Have the amount authorized, which takes the time that banks take."""
    usual = faults.mode("pool-exhausted") == "off"
    await asyncio.sleep(random.uniform(*(LATE_BANK_S[faults.mode("slo-breach")] if usual else SLOW_BANK_S)))


async def send_confirmation() -> None:
    """Hand the confirmation to the mail server."""
    await asyncio.sleep(random.uniform(0.1, 0.3))


@router.post("/checkout", status_code=201)
async def checkout(cart: Cart, session: Session, background: BackgroundTasks) -> Placed:
    """Place an order.

    Fault `pool-exhausted`: the session keeps its connection, of which there are few, while the bank is asked.
    """
    quantities = {line.item_id: line.quantity for line in cart.lines}
    items = list(await session.scalars(select(Item).where(Item.id.in_(quantities))))
    if len(items) < len(quantities) or await session.get(Customer, cart.customer_id) is None:
        raise HTTPException(422, "no such customer or item")
    if faults.mode("pool-exhausted") == "off":
        await session.close()
    await ask_bank()
    order = Order(customer_id=cart.customer_id, status="paid", placed_on=datetime.now(UTC).date())
    order.lines = [
        OrderLine(item_id=item.id, price_cents=item.price_cents, quantity=quantities[item.id])
        for item in items
    ]
    order.total_cents = sum(line.price_cents * line.quantity for line in order.lines)
    session.add(order)
    await session.commit()
    placed = Placed(order_id=order.id, total_cents=order.total_cents)
    background.add_task(send_confirmation)
    return placed
