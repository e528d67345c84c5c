"""Paying, by a gateway that fails now and then."""

from __future__ import annotations

import asyncio
import random

from fastapi import APIRouter, HTTPException

from demo_app import faults
from demo_app.faults.error_burst import FAILS_ONE_IN
from demo_app.schemas import Payment, Receipt

router = APIRouter(tags=["payments"])


class GatewayError(Exception):
    """The payment gateway broke off."""


async def charge(order_id: int) -> None:
    """Charge the card of an order."""
    await asyncio.sleep(random.uniform(0.01, 0.05))
    if order_id % FAILS_ONE_IN == 0:
        raise GatewayError(f"connection reset by gateway while charging order {order_id}")


@router.post("/pay")
async def pay(payment: Payment) -> Receipt:
    """Pay an order.

    Fault `error-burst`: what the gateway raises is nobody's business, so it becomes a 500.
    """
    if faults.active("error-burst"):
        await charge(payment.order_id)
        return Receipt(order_id=payment.order_id, approved=True)
    try:
        await charge(payment.order_id)
    except GatewayError as error:
        raise HTTPException(409, "the card was not charged: take another one") from error
    return Receipt(order_id=payment.order_id, approved=True)
