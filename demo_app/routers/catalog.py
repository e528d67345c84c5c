"""The whole catalogue, for partners who copy it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from demo_app import faults
from demo_app.database import Session
from demo_app.models import Item
from demo_app.schemas import ItemOut

router = APIRouter(tags=["items"])

PAGE = 100
SOME = 2_000
"""Of the near miss: a quarter of a megabyte."""


@router.get("/catalog")
async def catalog(session: Session, after: Annotated[int, Query(ge=0)] = 0) -> list[ItemOut]:
    """Return the items behind `after`.

    Fault `large-payload`: all of them, 20,000 from the start.
    """
    query = select(*(getattr(Item, name) for name in ItemOut.model_fields))
    query = query.where(Item.id > after).order_by(Item.id)
    now = faults.mode("large-payload")
    if now != "on":
        query = query.limit(PAGE if now == "off" else SOME)
    return [ItemOut.model_validate(row) for row in await session.execute(query)]
