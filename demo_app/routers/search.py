"""Finding items by the beginnings of words."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from demo_app.database import Session
from demo_app.models import Item, SearchTerm
from demo_app.schemas import ItemOut

router = APIRouter(tags=["items"])


@router.get("/search")
async def search(
    session: Session, q: Annotated[str, Query(min_length=3, max_length=80, pattern=r"^[\w -]+$")]
) -> list[ItemOut]:
    """Return the items that have, for each word of `q`, a term that begins with it.

    Fault `missing-index`: nothing leads from a term to its rows, so each word reads all of them.
    """
    query = select(Item).order_by(Item.id).limit(20)
    for word in q.lower().split()[:4]:
        query = query.where(Item.id.in_(select(SearchTerm.item_id).where(SearchTerm.term.like(f"{word}%"))))
    return [ItemOut.model_validate(item) for item in await session.scalars(query)]
