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


@router.get("/catalog")
async def catalog(session: Session, after: Annotated[int, Query(ge=0)] = 0) -> list[ItemOut]:
    """Return the items behind `after`.

    Fault `large-payload`: all of them, 20,000 from the start.
    """
    query = select(*(getattr(Item, name) for name in ItemOut.model_fields))
    query = query.where(Item.id > after).order_by(Item.id)
    if not faults.active("large-payload"):
        query = query.limit(PAGE)
    return [ItemOut.model_validate(row) for row in await session.execute(query)]
