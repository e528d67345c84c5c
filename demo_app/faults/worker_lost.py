"""`worker-lost`: a worker is killed, and the supervisor that should replace it stands still."""

from __future__ import annotations

import asyncio
import os
import signal

from fastapi import FastAPI

from demo_app.faults.elected import Election
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode
from demo_app.visits import browse

BEFORE_S = 1.0
"""So that all workers have been told before one of them is gone."""

STOPPED_S = 0.7
"""Of the near miss."""

_election = Election("worker-lost")


async def _switched(_: FastAPI, now: Mode) -> None:
    """Stop the supervisor as a debugger would, and end one worker; or have the supervisor go on."""
    _election.withdraw()
    os.kill(os.getppid(), signal.SIGSTOP if now == "on" else signal.SIGCONT)
    if now == "off" or not _election.stand():
        return
    await asyncio.sleep(BEFORE_S)
    if now == "on":
        os.kill(os.getpid(), signal.SIGKILL)
    pid = os.getpid()
    await asyncio.create_subprocess_exec("sh", "-c", f"kill -STOP {pid}; sleep {STOPPED_S}; kill -CONT {pid}")


FAULT = Fault(
    kind="worker-lost",
    subject=r"^worker \d+$",
    route="",
    shows="a worker is gone, and nothing has taken its place",
    look="faults/worker_lost.py _switched",
    mend="a supervisor that is itself watched",
    near="a worker that stands still for a moment, and goes on",
    switched=_switched,
    visits=(Often(4.0, browse),),
    needs=frozenset({"workers"}),
)
