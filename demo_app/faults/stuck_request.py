"""`stuck-request`: a printer that is out of paper answers nobody, and is waited for without a time-out."""

from __future__ import annotations

import asyncio
import random

from fastapi import APIRouter, FastAPI

from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode
from demo_app.visits import Visit

router = APIRouter(prefix="/labels", tags=["orders"])

OUT_OF_PAPER = 7
"""The printer that gets stuck."""

PRINTING_S, OLD_PRINTER_S = 0.02, 1.5

_has_paper = asyncio.Event()
_has_paper.set()


@router.get("/{order_id}")
async def label(order_id: int, printer: int = 1) -> dict[str, int]:
    """Have a label printed, and say that it was."""
    if printer == OUT_OF_PAPER:
        await _has_paper.wait()
        await asyncio.sleep(OLD_PRINTER_S)
    await asyncio.sleep(PRINTING_S)
    return {"order_id": order_id, "printer": printer}


async def _switched(_: FastAPI, now: Mode) -> None:
    """Take the paper out, or put some in: those who wait go on then."""
    if now == "on":
        _has_paper.clear()
    else:
        _has_paper.set()


def _print(rng: random.Random) -> Visit:
    return Visit("GET", f"/labels/{rng.randint(1, 30_000)}?printer={rng.randint(1, 6)}")


def _print_there(rng: random.Random) -> Visit:
    return Visit("GET", f"/labels/{rng.randint(1, 30_000)}?printer={OUT_OF_PAPER}")


FAULT = Fault(
    kind="stuck-request",
    subject=r"^GET /labels/\{order_id\}$",
    route="GET /labels/{order_id}",
    shows="requests in flight that are far older than any of their route takes",
    look="faults/stuck_request.py label",
    mend="a time-out for whatever is waited for",
    near="a printer that takes a second and a half",
    router=router,
    switched=_switched,
    visits=(Often(8.0, _print), Often(0.8, _print_there)),
)
