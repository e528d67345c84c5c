"""Browsing: pages of items, and one item through a cache."""

from __future__ import annotations

from typing import Annotated

from cachetools import LRUCache
from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import select

from demo_app import faults
from demo_app.database import Session
from demo_app.models import Item
from demo_app.schemas import ItemDetail, ItemOut
from perftui_agent import watch_cache

router = APIRouter(prefix="/items", tags=["items"])

SIZES = {"off": 4096, "near": 256, "on": 32}
"""Fault `cache-thrash`: customers look at thousands of items, and it holds 32 of them."""


def make_cache(now: faults.Mode) -> LRUCache[int, ItemDetail]:
    """Return an empty cache of items."""
    return watch_cache(LRUCache(maxsize=SIZES[now]), name="items")


items_by_id = make_cache(faults.mode("cache-thrash"))


def renew_cache(now: faults.Mode) -> None:
    """Have a cache of another size, as a worker with other settings would."""
    global items_by_id  # noqa: PLW0603 - the one cache of this file
    if items_by_id.maxsize != SIZES[now]:
        items_by_id = make_cache(now)


@router.get("")
async def list_items(
    session: Session,
    category: str | None = None,
    after: Annotated[int, Query(ge=0, description="the last id of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 25,
) -> list[ItemOut]:
    """Return a page of items by id."""
    query = select(Item).where(Item.id > after).order_by(Item.id).limit(limit)
    if category:
        query = query.where(Item.category == category)
    return [ItemOut.model_validate(item) for item in await session.scalars(query)]


@router.get("/{item_id}")
async def get_item(item_id: int, session: Session) -> ItemDetail:
    """Return one item."""
    cached = items_by_id.get(item_id)
    if cached is not None:
        return cached
    item = await session.get(Item, item_id)
    if item is None:
        raise HTTPException(404, f"no item {item_id}")
    detail = ItemDetail.model_validate(item)
    items_by_id[item_id] = detail
    return detail
