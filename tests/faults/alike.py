"""Four troubles that look the same from a request's time, told apart: `python -m tests.faults.alike [SEED]`.

A held loop, an exhausted pool, a slow statement, and what a request pays besides its work: each makes one
route of a service slow, ten times, with rates, durations and other traffic that differ. A trial is told apart
if of all the kinds that could be meant the right one is told of, with its subject, and no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from perftui.clock import now
from perftui.findings.find import find
from perftui.model.dashboard import Dashboard
from perftui.model.events import HistoryReceived
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui.sources.live import LiveSource
from perftui.sources.target import parse_live
from tests.support.servers import Service, running, write_app

APP = """
import asyncio, time
import httpx
from fastapi import FastAPI, Request
from pydantic import BaseModel
from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import QueuePool
from starlette.concurrency import run_in_threadpool
from perftui_agent import instrument

app = instrument(FastAPI(), service="alike", slow_query_ms=80)
wide = create_engine("sqlite:///wide.db", poolclass=QueuePool, pool_size=30, max_overflow=0)
narrow = create_engine("sqlite:///narrow.db", poolclass=QueuePool, pool_size=2, max_overflow=0)
SLOW = "SELECT price FROM lines WHERE id = 1 AND long_answer(:ms)"

@event.listens_for(wide, "connect")
def connected(connection, record):
    # It takes long in the database, and no CPU of the machine's.
    connection.create_function("long_answer", 1, lambda ms: time.sleep(ms / 1000) or 1)

with wide.begin() as connection:
    connection.execute(text("CREATE TABLE IF NOT EXISTS lines (id INTEGER PRIMARY KEY, price INTEGER)"))
    rows = ",".join(f"({i},{i})" for i in range(1, 500))
    connection.execute(text(f"INSERT OR IGNORE INTO lines VALUES {rows}"))

class Line(BaseModel):
    id: int
    price: int

@app.get("/quick")
async def quick():
    return {"ok": True}

@app.get("/read/{line}")
def read(line: int):
    with wide.connect() as connection:
        return connection.execute(text("SELECT price FROM lines WHERE id = :id"), {"id": line}).scalar()

@app.get("/held/{ms}")
async def held(ms: int):
    compute(ms)
    return {"ms": ms}

def compute(ms):
    until = time.monotonic() + ms / 1000
    while time.monotonic() < until:
        sum(range(500))

@app.get("/pool/{ms}")
def pool(ms: int):
    with narrow.connect() as connection:
        connection.execute(text("SELECT 1"))
        time.sleep(ms / 1000)
    return {"ms": ms}

@app.get("/slow/{ms}")
def slow(ms: int):
    with wide.connect() as connection:
        return connection.execute(text(SLOW), {"ms": ms}).scalar()

@app.get("/many/{lines}")
def many(lines: int):
    with wide.connect() as connection:
        return [connection.execute(text("SELECT price FROM lines WHERE id = :id"), {"id": n}).scalar()
                for n in range(1, lines + 1)]

@app.get("/client/{times}")
async def client(times: int, request: Request):
    transport = httpx.AsyncHTTPTransport(verify=False)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as made:
        for _ in range(times):
            await made.get(f"{request.base_url}quick")
    return {"times": times}

LINES = [{"id": n, "price": n} for n in range(10_000)]

@app.get("/built/{lines}", response_model=list[Line])
async def built(lines: int):
    return LINES[:lines]
"""

LOOKED_AT_S = 12.0
"""As long as a finding may take: of a trouble that is met once a second, three are sure to lie in it."""

BETWEEN_S = 2.5
"""From one trial to the next at the same service: a second that has both would tell of both."""

TOGETHER = (("loop", "statement"), ("pool", "overhead"))
"""Troubles that are tried at the same time, each at a service of its own: neither takes half of a core."""

TROUBLES = tuple(trouble for together in TOGETHER for trouble in together)

KINDS = (
    *("loop-blocked", "pool-exhausted", "slow-query", "missing-index"),
    *("n-plus-one", "client-per-request", "slow-serialization"),
)
"""All that could be meant by a slow route."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One route that is slow, and why."""

    trouble: str
    kind: str
    subject: str
    path: str
    rate: float
    beside: float
    """Healthy requests a second."""


def trials(seed: int, each: int = 10) -> Iterator[Trial]:
    """Yield ten of each trouble, in turns."""
    rng = random.Random(seed)
    for number in range(each):
        beside = rng.uniform(5, 25)
        held_ms = rng.randint(130, 320)
        yield Trial(
            "loop",
            "loop-blocked",
            r"app\.py:\d+ (compute|held)",
            f"/held/{held_ms}",
            rng.uniform(0.8, 1.5),
            beside,
        )
        held_ms = rng.randint(90, 250)
        rate = min(14.0, rng.uniform(1.15, 1.6) * 2000 / held_ms)
        yield Trial("pool", "pool-exhausted", "narrow", f"/pool/{held_ms}", rate, beside)
        slow_ms = rng.randint(110, 400)
        yield Trial(
            "statement", "slow-query", "long_answer", f"/slow/{slow_ms}", rng.uniform(1.0, 2.0), beside
        )
        yield _overhead(rng, number % 3, beside)


def _overhead(rng: random.Random, which: int, beside: float) -> Trial:
    rate = rng.uniform(1.5, 4.0)
    if which == 0:
        return Trial("overhead", "n-plus-one", "GET /many", f"/many/{rng.randint(12, 60)}", rate, beside)
    if which == 1:
        subject = r"app\.py:\d+ client"
        return Trial("overhead", "client-per-request", subject, f"/client/{rng.randint(1, 3)}", rate, beside)
    return Trial(
        "overhead", "slow-serialization", "GET /built", f"/built/{rng.randint(8_000, 10_000)}", rate, beside
    )


async def _send(url: str, trial: Trial, rng: random.Random, until_s: float) -> None:
    """Send both by the clock, whether or not the former was answered."""

    async def arrivals(rate: float, path: str) -> None:
        asked: set[asyncio.Task[httpx.Response]] = set()
        while time.monotonic() < until_s:
            asked.add(asyncio.create_task(client.get(path or f"/read/{rng.randint(1, 499)}")))
            await asyncio.sleep(rng.expovariate(rate))
        await asyncio.gather(*asked, return_exceptions=True)

    async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as client:
        await asyncio.gather(arrivals(trial.rate, trial.path), arrivals(trial.beside, ""))


async def _tried(service: Service, trial: Trial, rng: random.Random) -> dict[str, str]:
    """Return what of the kinds that could be meant is told of after some seconds of it: kind and subject."""
    async with LiveSource(parse_live([service.target]), where=[service.runtime_dir]) as source:
        dashboard = Dashboard(source.name)

        async def read() -> None:
            nonlocal dashboard
            async for event in source:
                if not isinstance(event, HistoryReceived):  # what was tried before
                    dashboard = merge(dashboard, event)

        reading = asyncio.ensure_future(read())
        await _send(service.url, trial, rng, time.monotonic() + LOOKED_AT_S)
        await asyncio.sleep(1.2)  # the last second's frame
        found = find(summarize(dashboard, now(), LOOKED_AT_S))
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return {each.kind: each.subject for each in found if each.kind in KINDS}


async def _at_once(
    services: Sequence[Service], some: Sequence[Trial], rng: random.Random
) -> list[dict[str, str]]:
    """Return what is told of each, tried at a service of its own."""
    return await asyncio.gather(*(_tried(*each, rng) for each in zip(services, some, strict=True)))


def main(seed: int = 1) -> int:
    """Print what each trial was taken for, and how many were told apart; return 1 if not all were."""
    right: Counter[str] = Counter()
    rng, known = random.Random(seed), list(trials(seed))
    turns = [
        [trial for trial in round_ if trial.trouble in together]
        for round_ in zip(*[iter(known)] * len(TROUBLES), strict=True)
        for together in TOGETHER
    ]
    with contextlib.ExitStack() as stack:
        services = [_service(stack) for _ in TOGETHER[0]]
        for some in turns:
            time.sleep(BETWEEN_S)
            for trial, told in zip(some, asyncio.run(_at_once(services, some, rng)), strict=True):
                good = set(told) == {trial.kind} and bool(re.search(trial.subject, told[trial.kind]))
                right[trial.trouble] += good
                print(
                    f"{'✓' if good else '✗'} {trial.trouble:9} {trial.path:15} {trial.rate:4.1f}/s {told}",
                    flush=True,
                )
    print(", ".join(f"{trouble} {right[trouble]}" for trouble in TROUBLES), f"of {len(known)}")
    return int(sum(right.values()) < len(known))


def _service(stack: contextlib.ExitStack) -> Service:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    service = stack.enter_context(running(write_app(directory, APP), workers=1))
    service.wait_registered()
    return service


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
