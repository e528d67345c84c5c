"""`client-per-request`: each confirmation makes an HTTP client, uses it once, and throws it away."""

from __future__ import annotations

import random

from fastapi import APIRouter

from demo_app.faults.fault import Fault, Often
from demo_app.faults.outgoing import shared_client
from demo_app.faults.switches import mode
from demo_app.visits import Visit

router = APIRouter(prefix="/mails", tags=["orders"])

_shared = shared_client("mail")


@router.post("/{order_id}", status_code=202)
async def mail(order_id: int, batch: bool = False) -> dict[str, int]:
    """Have a confirmation sent; a batch of them has a client of its own, as scripts do."""
    now = mode("client-per-request")
    if now == "on" or (now == "near" and batch):
        async with shared_client("mail") as client:
            answer = await client.post(f"/mails/{order_id}")
    else:
        answer = await _shared.post(f"/mails/{order_id}")
    return {"order_id": order_id, "status": answer.status_code}


def _send(rng: random.Random) -> Visit:
    return Visit("POST", f"/mails/{rng.randint(1, 30_000)}?batch={int(rng.random() < 0.1)}")


FAULT = Fault(
    kind="client-per-request",
    subject=r"demo_app/faults/client_per_request\.py:\d+ mail$",
    route="POST /mails/{order_id}",
    shows="each request opens a connection of its own to another service",
    look="faults/client_per_request.py mail",
    mend="one client, made as the app starts",
    near="one request in ten that makes a client of its own",
    router=router,
    visits=(Often(4.0, _send),),
    needs=frozenset({"upstreams"}),
)
