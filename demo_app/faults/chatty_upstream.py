"""`chatty-upstream`: the warehouse is asked item by item."""

from __future__ import annotations

import random

from fastapi import APIRouter

from demo_app.faults.fault import Fault, Often
from demo_app.faults.outgoing import host_of, shared_client
from demo_app.faults.switches import mode
from demo_app.visits import Visit

router = APIRouter(prefix="/availability", tags=["items"])

PAGE, FEW = 12, 3

_warehouse = shared_client("warehouse")


@router.get("/{first}")
async def availability(first: int) -> dict[int, int]:
    """Return how many there are of a page of items."""
    now = mode("chatty-upstream")
    if now == "off":
        answer = await _warehouse.get(f"/shelves/{first}-{first + PAGE}")
        return dict.fromkeys(range(first, first + PAGE), answer.status_code)
    ids = range(first, first + (PAGE if now == "on" else FEW))
    return {item_id: (await _warehouse.get(f"/shelves/{item_id}")).status_code for item_id in ids}


def _ask(rng: random.Random) -> Visit:
    return Visit("GET", f"/availability/{rng.randint(1, 19_000)}")


FAULT = Fault(
    kind="chatty-upstream",
    subject=host_of("warehouse"),
    route="GET /availability/{first}",
    shows="one request calls the same service a dozen times",
    look="faults/chatty_upstream.py availability",
    mend="ask for all of them at once",
    near="three calls of a request",
    router=router,
    visits=(Often(1.0, _ask),),
    needs=frozenset({"upstreams"}),
)
