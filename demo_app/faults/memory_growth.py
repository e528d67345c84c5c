"""`memory-growth`: photos are kept for good, at a pace at which the machine's memory lasts for minutes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from fastapi import FastAPI

from demo_app.faults.elected import Election
from demo_app.faults.fault import Fault
from demo_app.faults.switches import Mode

EVERY_S = 0.1

LASTS_S = 300.0
"""What the machine has left would last so long, if it went on like that …"""

MOST = 0.15
"""… and it stops at this much of it: a demo doesn't bring down its machine."""

SHEETS = 80_000_000
"""Bytes of the near miss, taken once."""

_election = Election("memory-growth")
_photos: list[bytes] = []
_loading: set[asyncio.Task[None]] = set()


async def load_photos() -> None:
    """Load the photos of one item after the other, and keep all of them."""
    left = memory_left()
    size = int(left / LASTS_S * EVERY_S)
    for _ in range(int(MOST * left / size)):
        # In another thread: to fill megabytes takes milliseconds.
        _photos.append(await asyncio.to_thread(os.urandom(1024).__mul__, size // 1024))
        await asyncio.sleep(EVERY_S)


def memory_left() -> int:
    """Return how many bytes the machine says that it has left."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 2_000_000_000


async def _switched(_: FastAPI, now: Mode) -> None:
    for task in _loading:
        task.cancel()
    _loading.clear()
    _photos.clear()
    _election.withdraw()
    if now == "on" and _election.stand():
        _loading.add(asyncio.create_task(load_photos()))
    elif now == "near":
        _photos.append(b"\1" * SHEETS)


FAULT = Fault(
    kind="memory-growth",
    subject=r"^worker \d+$",
    route="",
    shows="a worker's memory climbs second by second",
    look="faults/memory_growth.py load_photos",
    mend="keep as many as fit, in a cache with a bound",
    near="a worker that takes 80 MB at once, and then no more",
    switched=_switched,
    needs=frozenset({"workers"}),
)
