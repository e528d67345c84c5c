"""Sales by category: what analysts ask for in the middle of the day."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select

from demo_app import faults
from demo_app.database import Session
from demo_app.models import Item, OrderLine
from demo_app.schemas import CategorySales

router = APIRouter(tags=["reports"])

WINDOW = 365
"""How many lines a rolling median looks back."""

SHORT = 1_000
"""Order lines of a report that takes some milliseconds."""

Sale = tuple[str, int]
"""Category and revenue in cents of one order line."""


def build(sales: Iterable[Sale]) -> list[CategorySales]:
    """Sum up sales by category, with the typical line as the mean of rolling medians.

    Pure Python, and some hundred milliseconds of it.
    """
    by_category: dict[str, list[int]] = defaultdict(list)
    for category, cents in sales:
        by_category[category].append(cents)
    report = []
    for category, lines in sorted(by_category.items()):
        typical = statistics.fmean(rolling_medians(lines))
        report.append(
            CategorySales(
                category=category,
                lines=len(lines),
                revenue_cents=sum(lines),
                typical_line_cents=round(typical),
            )
        )
    return report


def rolling_medians(values: Sequence[int]) -> list[float]:
    """Return the median of the last `WINDOW` values at each place, sorting them anew each time."""
    return [
        statistics.median(sorted(values[max(0, end - WINDOW) : end])) for end in range(1, len(values) + 1)
    ]


@router.get("/reports")
async def reports(
    session: Session, lines: Annotated[int, Query(ge=1000, le=60_000)] = 15_000
) -> list[CategorySales]:
    """Report on the latest order lines.

    Fault `loop-blocked`: the computation runs on the event loop.
    """
    query = (
        select(Item.category, OrderLine.quantity * OrderLine.price_cents)
        .join(Item, Item.id == OrderLine.item_id)
        .order_by(OrderLine.id.desc())
        .limit(lines)
    )
    sales = [(category, cents) for category, cents in await session.execute(query)]
    await session.close()
    now = faults.mode("loop-blocked")
    if now == "on" or (now == "near" and lines <= SHORT):
        return build(sales)
    return await run_in_threadpool(build, sales)
