"""`threadpool-exhausted`: uploads keep the few threads there are."""

from __future__ import annotations

import os
import random
import tempfile
import time

from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, FastAPI

from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode
from demo_app.visits import Visit

router = APIRouter(prefix="/photos", tags=["items"])

THREADS, FEW_THREADS = 40, 3
"""What anyio gives to each worker, and what somebody has left of it to save memory."""

CHUNKS, CHUNK_S = 10, 0.05
"""A customer's upload comes piece by piece, at the pace of a mobile network."""


@router.put("/{item_id}")
def upload(item_id: int) -> dict[str, int]:
    """Take a photo as it comes and write it down."""
    with tempfile.TemporaryFile() as file:
        for _ in range(CHUNKS):
            time.sleep(CHUNK_S)
            file.write(os.urandom(4096))
        return {"item_id": item_id, "bytes": file.tell()}


async def _switched(_: FastAPI, now: Mode) -> None:
    current_default_thread_limiter().total_tokens = FEW_THREADS if now == "on" else THREADS


def _upload(rng: random.Random) -> Visit:
    return Visit("PUT", f"/photos/{rng.randint(1, 20_000)}")


FAULT = Fault(
    kind="threadpool-exhausted",
    subject=r"^worker \d+$",
    route="PUT /photos/{item_id}",
    shows="sync endpoints wait for a thread",
    look="faults/threadpool_exhausted.py upload",
    mend="take uploads in an async endpoint, and leave the threads as many as there were",
    near="as many uploads, with threads enough",
    router=router,
    switched=_switched,
    visits=(Often(14.0, _upload),),
)
