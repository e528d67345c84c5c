"""`slow-serialization`: ten thousand prices are known, and each request has them checked and written anew."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import active
from demo_app.visits import Visit

router = APIRouter(prefix="/price-list", tags=["items"])

PRICES = 9_000
PAGE = 200


class Price(BaseModel):
    item_id: int
    cents: int


_PRICES = [{"item_id": number, "cents": 100 + number % 977} for number in range(1, PRICES + 1)]


@router.get("", response_model=list[Price])
async def price_list() -> list[dict[str, int]]:
    """Return all prices, for tills; or a page of them."""
    return _PRICES[: None if active("slow-serialization") else PAGE]


FAULT = Fault(
    kind="slow-serialization",
    subject=r"^GET /price-list$",
    route="GET /price-list",
    shows="nearly all of the route's time goes into building its answer",
    look="faults/slow_serialization.py price_list",
    mend="keep the bytes of the answer, or send what has changed",
    near="a page of the same prices",
    router=router,
    visits=(Often(1.5, lambda _: Visit("GET", "/price-list")),),
)
