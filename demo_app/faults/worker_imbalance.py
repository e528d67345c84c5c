"""`worker-imbalance`: one worker asks for each session at the other end of the world."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI

from demo_app import database
from demo_app.faults.elected import Election
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode
from demo_app.visits import browse

FAR_S = 0.45
"""Three round trips: a connection with TLS to a proxy that is far away."""

_election = Election("worker-imbalance")


async def _far() -> None:
    await asyncio.sleep(FAR_S)


async def _near() -> None:
    await asyncio.sleep(0.01)


async def _switched(_: FastAPI, now: Mode) -> None:
    _election.withdraw()
    database.on_the_way.clear()
    if now == "near":
        database.on_the_way.append(_near)
    elif now == "on" and _election.stand():
        database.on_the_way.append(_far)


FAULT = Fault(
    kind="worker-imbalance",
    subject=r"^worker \d+$",
    route="",
    shows="one worker takes several times as long as its siblings for the same work",
    look="faults/worker_imbalance.py _far",
    mend="the same settings for all workers",
    near="a detour of ten milliseconds that all workers take",
    switched=_switched,
    visits=(Often(20.0, browse),),
    needs=frozenset({"workers"}),
)
