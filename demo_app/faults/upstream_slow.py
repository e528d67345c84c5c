"""`upstream-slow`: the carrier takes its time to say when it comes."""

from __future__ import annotations

import random

from fastapi import APIRouter

from demo_app.faults.fault import Fault, Often
from demo_app.faults.outgoing import host_of, shared_client
from demo_app.visits import Visit

router = APIRouter(prefix="/delivery", tags=["orders"])

_carrier = shared_client("carrier")


@router.get("/{order_id}")
async def delivery(order_id: int) -> dict[str, int]:
    """Return the day on which an order comes."""
    answer = await _carrier.get(f"/days/{order_id}")
    return {"order_id": order_id, "days": len(answer.content)}


def _ask(rng: random.Random) -> Visit:
    return Visit("GET", f"/delivery/{rng.randint(1, 30_000)}")


FAULT = Fault(
    kind="upstream-slow",
    subject=host_of("carrier"),
    route="GET /delivery/{order_id}",
    shows="nearly all of a route's time is spent waiting for another service",
    look="faults/upstream_slow.py delivery",
    mend="ask ahead of time, and keep what was said",
    near="a carrier that answers in a tenth of a second",
    router=router,
    visits=(Often(4.0, _ask),),
    needs=frozenset({"upstreams"}),
)
