"""The public API: the same items and orders below `/api/v1`, by nested routers."""

from __future__ import annotations

from fastapi import APIRouter

from demo_app.routers import items, orders

router = APIRouter(prefix="/api")

_v1 = APIRouter(prefix="/v1")
_v1.include_router(items.router)
_v1.include_router(orders.router)
router.include_router(_v1)
