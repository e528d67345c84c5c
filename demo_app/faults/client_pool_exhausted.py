"""`client-pool-exhausted`: a client of one connection, for requests that come several at once."""

from __future__ import annotations

import random

from fastapi import APIRouter

from demo_app.faults.fault import Fault, Often
from demo_app.faults.outgoing import host_of, shared_client
from demo_app.faults.switches import active
from demo_app.visits import Visit

router = APIRouter(prefix="/rates", tags=["orders"])

_narrow, _wide = shared_client("exchange", most=1), shared_client("exchange")


@router.get("/{currency}")
async def rate(currency: int) -> dict[str, int]:
    """Return what a currency is worth."""
    client = _narrow if active("client-pool-exhausted") else _wide
    answer = await client.get(f"/currencies/{currency}")
    return {"currency": currency, "rate": len(answer.content)}


def _ask(rng: random.Random) -> Visit:
    return Visit("GET", f"/rates/{rng.randint(1, 40)}")


FAULT = Fault(
    kind="client-pool-exhausted",
    subject=host_of("exchange"),
    route="GET /rates/{currency}",
    shows="calls wait for a connection of their own client, not for who is called",
    look="faults/client_pool_exhausted.py rate",
    mend="as many connections as there are requests at once",
    near="as many calls, with connections enough",
    router=router,
    visits=(Often(18.0, _ask),),
    needs=frozenset({"upstreams"}),
)
