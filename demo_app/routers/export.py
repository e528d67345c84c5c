"""All order lines as CSV, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from demo_app.models import Order, OrderLine

router = APIRouter(tags=["reports"])

ROWS_PER_CHUNK = 500


@router.get("/export")
async def export(request: Request) -> StreamingResponse:
    """Stream every order line; one connection is in use until the last row has been sent."""
    return StreamingResponse(_csv(request.app.state.sessions), media_type="text/csv")


async def _csv(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[str]:
    query = (
        select(
            OrderLine.order_id,
            Order.placed_on,
            Order.customer_id,
            OrderLine.item_id,
            OrderLine.quantity,
            OrderLine.price_cents,
        )
        .join(Order, Order.id == OrderLine.order_id)
        .order_by(OrderLine.id)
        .execution_options(yield_per=ROWS_PER_CHUNK)
    )
    yield "order_id,placed_on,customer_id,item_id,quantity,price_cents\n"
    async with sessions() as session:
        result = await session.stream(query)
        async for rows in result.partitions():
            yield "".join(",".join(map(str, row)) + "\n" for row in rows)
