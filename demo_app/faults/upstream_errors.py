"""`upstream-errors`: the tax office answers every third call with a 503."""

from __future__ import annotations

import random

from fastapi import APIRouter

from demo_app.faults.fault import Fault, Often
from demo_app.faults.outgoing import host_of, shared_client
from demo_app.visits import Visit

router = APIRouter(prefix="/taxes", tags=["orders"])

USUAL_PERCENT = 19

_office = shared_client("tax")


@router.get("/{country}")
async def tax(country: int) -> dict[str, int]:
    """Return what a country takes, or what most do where nobody says."""
    answer = await _office.get(f"/rates/{country}")
    return {"country": country, "percent": USUAL_PERCENT if answer.is_error else 20}


def _ask(rng: random.Random) -> Visit:
    return Visit("GET", f"/taxes/{rng.randint(1, 40)}")


FAULT = Fault(
    kind="upstream-errors",
    subject=host_of("tax"),
    route="GET /taxes/{country}",
    shows="calls of another service fail, whatever the shop makes of that",
    look="faults/upstream_errors.py tax",
    mend="keep the rates: they change once a year",
    near="a tax office that doesn't know every third country: 404",
    router=router,
    visits=(Often(5.0, _ask),),
    needs=frozenset({"upstreams"}),
)
