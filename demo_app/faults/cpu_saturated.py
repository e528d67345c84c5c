"""`cpu-saturated`: one worker weighs recommendations in a thread, and has no CPU left for all else."""

from __future__ import annotations

import threading
import time

from fastapi import FastAPI

from demo_app.faults.elected import Election
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode
from demo_app.visits import browse

PIECE_S, SHORT_PIECE_S = 0.07, 0.002
"""Of CPU, for each look at the weights: a library in C keeps the GIL for all of it, and the loop waits."""

REST_S = 0.03
"""Between two pieces of the near miss."""

_election = Election("cpu-saturated")
_ended = threading.Event()


def recommend(ended: threading.Event, piece_s: float, rest_s: float) -> None:
    """Weigh every pair of items that was bought together, again and again."""
    pairs = _pairs_in(piece_s)
    while not ended.wait(rest_s):
        sum(range(pairs))


def _pairs_in(piece_s: float) -> int:
    """Return how many are weighed in so much CPU."""
    pairs, took_s = 1 << 12, 0.0
    while took_s < piece_s:
        pairs *= 2
        before_s = time.thread_time()
        sum(range(pairs))
        took_s = time.thread_time() - before_s
    return round(pairs * piece_s / took_s)


async def _switched(_: FastAPI, now: Mode) -> None:
    global _ended  # noqa: PLW0603 - those of before have one of their own
    _ended.set()
    _election.withdraw()
    if now != "off" and _election.stand():
        _ended = threading.Event()
        how = (PIECE_S, 0.0) if now == "on" else (SHORT_PIECE_S, REST_S)
        threading.Thread(target=recommend, args=(_ended, *how), daemon=True).start()


FAULT = Fault(
    kind="cpu-saturated",
    subject=r"^worker \d+$",
    route="",
    shows="a worker uses all of a core, and its loop answers late",
    look="faults/cpu_saturated.py recommend",
    mend="a process for it, which has a GIL of its own",
    near="a thread of it that rests most of the time",
    switched=_switched,
    visits=(Often(10.0, browse),),
    needs=frozenset({"workers"}),
)
