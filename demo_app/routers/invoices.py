"""Invoices: a sync endpoint, so FastAPI runs it in its thread pool."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from demo_app.routers.orders import get_order
from demo_app.schemas import OrderOut

router = APIRouter(tags=["orders"])

RENDER_S = 0.04
"""What the old typesetting library takes for a page."""


@router.get("/invoices/{order_id}", response_class=PlainTextResponse)
def invoice(order: Annotated[OrderOut, Depends(get_order)]) -> str:
    """Return the invoice of an order."""
    rows = [
        f"{line.quantity:>3} x item {line.item_id:<8} {line.price_cents / 100:>10.2f}" for line in order.lines
    ]
    time.sleep(RENDER_S)
    head = f"Invoice {order.id} of {order.placed_on}"
    return "\n".join([head, "-" * len(head), *rows, f"Total {order.total_cents / 100:.2f} EUR", ""])
