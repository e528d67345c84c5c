"""`worker-restarted`: a library in C crashes on an odd bar code, and takes its worker along."""

from __future__ import annotations

import os
import random
import signal

from fastapi import APIRouter

from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import active
from demo_app.visits import Visit

router = APIRouter(prefix="/barcodes", tags=["items"])

ODD = 13


@router.get("/{digits}")
async def barcode(digits: int) -> dict[str, int]:
    """Return a bar code as a drawing; the library that draws it doesn't take all of them."""
    if digits == ODD and active("worker-restarted"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return {"digits": digits, "bars": digits % 97}


def _scan(rng: random.Random) -> Visit:
    return Visit("GET", f"/barcodes/{rng.randint(100, 999)}")


def _scan_odd(_: random.Random) -> Visit:
    return Visit("GET", f"/barcodes/{ODD}")


FAULT = Fault(
    kind="worker-restarted",
    subject=r"^worker \d+$",
    route="GET /barcodes/{digits}",
    shows="a worker is gone, with what it had in flight, and another has taken its place",
    look="faults/worker_restarted.py barcode",
    mend="draw it in a process of its own",
    near="the same bar codes, which the library refuses instead of crashing",
    router=router,
    visits=(Often(4.0, _scan), Often(0.4, _scan_odd)),
    needs=frozenset({"workers"}),
)
