"""`cpu-saturated`: one worker weighs recommendations in threads, and has no CPU left for all else."""

from __future__ import annotations

import threading
import time

from fastapi import FastAPI

from demo_app.faults.elected import Election
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode
from demo_app.visits import browse

THREADS = 16
"""Each waits for the GIL behind all others, and so does the loop."""

_election = Election("cpu-saturated")
_ended = threading.Event()
_threads: list[threading.Thread] = []


def recommend(rest_s: float) -> None:
    """Weigh every pair of items that was bought together, again and again."""
    weights = [0.0] * 512
    while not _ended.is_set():
        for first in range(512):
            weights[first] = sum(first * second % 7 for second in range(64))
        if rest_s:
            time.sleep(rest_s)


async def _switched(_: FastAPI, now: Mode) -> None:
    _ended.set()
    _election.withdraw()
    _threads.clear()
    if now != "off" and _election.stand():
        _ended.clear()
        number, rest_s = (THREADS, 0.0) if now == "on" else (1, 0.03)
        _threads.extend(
            threading.Thread(target=recommend, args=(rest_s,), daemon=True) for _ in range(number)
        )
        for thread in _threads:
            thread.start()


FAULT = Fault(
    kind="cpu-saturated",
    subject=r"^worker \d+$",
    route="",
    shows="a worker uses all of a core, and its loop answers late",
    look="faults/cpu_saturated.py recommend",
    mend="a process for it, which has a GIL of its own",
    near="one thread of it that rests most of the time",
    switched=_switched,
    visits=(Often(10.0, browse),),
    needs=frozenset({"workers"}),
)
