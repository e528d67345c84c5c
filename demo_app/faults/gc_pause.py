"""`gc-pause`: a million small objects live for good, and somebody collects garbage after each feed."""

from __future__ import annotations

import gc
import random

from fastapi import APIRouter, FastAPI

from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode
from demo_app.visits import Visit

router = APIRouter(prefix="/feed", tags=["items"])

LIVING = 1_200_000

_tree: list[list[int]] = []


@router.get("")
def feed(start: int = 0) -> list[int]:
    """Return what is new, and clear up behind it."""
    found = [sum(branch) for branch in _tree[start : start + 50]]
    gc.collect()
    return found


async def _switched(_: FastAPI, now: Mode) -> None:
    """Have a tree that the collector goes through each time, or one that it has been told to leave alone."""
    gc.unfreeze()
    _tree.clear()
    if now != "off":
        gc.disable()
        _tree.extend([number] for number in range(LIVING))
        gc.enable()
    if now == "near":
        gc.freeze()


def _ask(rng: random.Random) -> Visit:
    return Visit("GET", f"/feed?start={rng.randint(0, 9_999)}")


FAULT = Fault(
    kind="gc-pause",
    subject=r"^worker \d+$",
    route="GET /feed",
    shows="all threads of a worker stand still while garbage is collected",
    look="faults/gc_pause.py feed",
    mend="gc.freeze() once the tree is there, and no gc.collect() in a request",
    near="the same tree, frozen",
    router=router,
    switched=_switched,
    visits=(Often(3.0, _ask),),
)
