"""A service whose event loop is disturbed in ways that its requests feel, and that knows what they are.

Served with `DISTURBED` set to one of `DISTURBANCES`. `/` is what clients ask for; `/known` tells how long its
requests took from the ASGI call on (what any ASGI layer would have said), and how late callbacks were that
were due at random moments, both in ns. Two of the disturbances come from outside: `disturbing` makes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from time import perf_counter_ns
from typing import Any

from fastapi import FastAPI

from perftui_agent import instrument

DISTURBANCES = ("healthy", "held", "gil", "collections", "stopped", "starved")

CALLBACKS_FOR_S = 45.0
CALLBACKS_PER_S = 50

took_ns: list[int] = []
late_ns: list[int] = []


class Timing:
    """What an ASGI layer can see of a request."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        started_ns = perf_counter_ns()
        await self.app(scope, receive, send)
        if scope["type"] == "http" and scope["path"] == "/":
            took_ns.append(perf_counter_ns() - started_ns)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Begin to disturb, and to measure it."""
    loop = asyncio.get_running_loop()
    rng = random.Random(11)
    for _ in range(round(CALLBACKS_FOR_S * CALLBACKS_PER_S)):
        due = loop.time() + rng.random() * CALLBACKS_FOR_S
        loop.call_at(due, _was_due, loop, due)
    kind = os.environ.get("DISTURBED", "healthy")
    if kind == "held":
        loop.call_later(0.5, _hold, loop)
    elif kind == "gil":
        threading.Thread(target=_hold_the_gil, daemon=True).start()
    elif kind == "collections":
        app.state.much = [[number] for number in range(900_000)]
        gc.disable()
        loop.call_later(0.5, _collect, loop)
    yield


def _was_due(loop: asyncio.AbstractEventLoop, due: float) -> None:
    late_ns.append(round((loop.time() - due) * 1e9))


def _hold(loop: asyncio.AbstractEventLoop) -> None:
    time.sleep(0.3)
    loop.call_later(random.uniform(0.7, 1.7), _hold, loop)


def _collect(loop: asyncio.AbstractEventLoop) -> None:
    gc.collect()
    loop.call_later(random.uniform(0.5, 1.0), _collect, loop)


def _hold_the_gil() -> None:
    sleep = ctypes.PyDLL(None).usleep  # unlike CDLL, it keeps the GIL
    while True:
        time.sleep(random.uniform(0.05, 0.2))
        sleep(random.randint(30_000, 60_000))


app = instrument(FastAPI(lifespan=lifespan))
app.add_middleware(Timing)


@app.get("/")
async def root() -> dict[str, int]:
    return {"id": 1}


@app.get("/forget")
async def forget() -> None:
    took_ns.clear()
    late_ns.clear()


@app.get("/known")
async def known() -> dict[str, list[int]]:
    return {"took_ns": took_ns, "late_ns": late_ns}


@contextlib.contextmanager
def disturbing(kind: str, pid: int, cpu: int) -> Iterator[None]:
    """Do to a worker what is done from outside; all of it stays on one CPU."""
    if kind == "stopped":
        over = threading.Event()
        thread = threading.Thread(target=_stop_now_and_then, args=(pid, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
    elif kind == "starved":
        os.sched_setaffinity(pid, {cpu})
        spin = f"import os; os.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
        spinners = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(4)]
        try:
            yield
        finally:
            for spinner in spinners:
                spinner.kill()
                spinner.wait()
    else:
        yield


def _stop_now_and_then(pid: int, over: threading.Event) -> None:
    rng = random.Random(5)
    while not over.wait(rng.uniform(0.8, 1.8)):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.35)
        os.kill(pid, signal.SIGCONT)
