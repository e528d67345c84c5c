"""`cpu-throttled`: the container may use a tenth of a core, and the shop wants more."""

from __future__ import annotations

import contextlib
import os
import random
import time

from fastapi import APIRouter, FastAPI

from demo_app.faults.fault import Fault, Often
from demo_app.faults.quota import limited
from demo_app.faults.switches import Mode
from demo_app.visits import Visit

router = APIRouter(prefix="/vouchers", tags=["orders"])

CORES, CORES_ENOUGH = 0.15, 0.8
"""Of each worker; the near miss has a quota too."""

CHECK_S = 0.004

_quota = contextlib.ExitStack()


@router.get("/{number}")
async def voucher(number: int) -> dict[str, bool]:
    """Check a voucher's digits, which takes some milliseconds of CPU."""
    until, digits = time.thread_time() + CHECK_S, number
    while time.thread_time() < until:
        digits = digits * 31 % 1_000_003
    return {"valid": digits % 2 == 0}


async def _switched(_: FastAPI, now: Mode) -> None:
    """Put this worker into a group with a quota, or back."""
    _quota.close()
    if now != "off":
        _quota.enter_context(limited(CORES if now == "on" else CORES_ENOUGH, os.getpid()))


def _check(rng: random.Random) -> Visit:
    return Visit("GET", f"/vouchers/{rng.randint(1, 99_999)}")


FAULT = Fault(
    kind="cpu-throttled",
    subject=r"^worker \d+$",
    route="",
    shows="the kernel stops a worker in the midst of its work until its next period",
    look="faults/cpu_throttled.py _switched",
    mend="a larger quota, or fewer threads that use it up at once",
    near="a quota that is large enough",
    router=router,
    switched=_switched,
    visits=(Often(30.0, _check),),
    needs=frozenset({"quota"}),
    outlives_worker=True,
)
