"""CPU of what watches the runtime: on the request's path, and on the agent's thread."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Iterator
from time import perf_counter_ns
from types import SimpleNamespace
from typing import Any

import fastapi.routing

from perftui_agent.probes.http.in_flight import InFlightProbe
from perftui_agent.probes.http.serialization import SerializationProbe
from perftui_agent.probes.machine.garbage import GarbageProbe
from perftui_agent.records import SpanRecord, current_request
from perftui_agent.window.window import Window
from perftui_agent.wire.frames import Frame
from tests.support.requests import begin, end

ROUNDS = 7


class Watched:
    """An app's loop that runs in this thread."""

    thread_id = None

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()


def main() -> None:
    """Print the table."""
    bare = best(fold(parts=0))
    with_parts = best(fold(parts=10))
    print(f"fold a request without parts     {bare:8.2f} µs")
    print(f"fold a part of a request         {(with_parts - bare) / 10:8.2f} µs   (aim: ≤ 0.5)")
    asyncio.run(serialization())
    print(f"a collection's two callbacks     {best(collections()):8.2f} µs")
    for requests in (50, 1_000, 10_000):
        asyncio.run(in_flight(requests))


def best(costs: Iterator[float]) -> float:
    """Return the least of several rounds: what disturbs them only adds."""
    return min(next(costs) for _ in range(ROUNDS))


def fold(parts: int, requests: int = 5_000) -> Iterator[float]:
    """Yield the microseconds that folding a request with so many parts takes."""
    while True:
        window = Window()
        now = perf_counter_ns()
        for number in range(requests):
            record = begin(window, now)
            window.pending.extend(
                SpanRecord(record, "cache", "config get", now, now + 5) for _ in range(parts)
            )
            end(record, f"GET /{number % 20}", random.randint(1_000_000, 100_000_000))
        started = time.thread_time()
        window.fold_pending(10**9)
        yield (time.thread_time() - started) / requests * 1e6


async def serialization() -> None:
    """Print what timing the making of a response adds."""
    current_request.set(begin())
    bare = min(per_response() for _ in range(ROUNDS))
    probe = SerializationProbe()
    probe.attach()
    timed = min(per_response() for _ in range(ROUNDS))
    probe.detach()
    print(f"time the making of a response    {timed - bare:8.2f} µs   (budget: ≤ 0.5)")


def per_response(times: int = 20_000) -> float:
    """Return the microseconds that FastAPI's two functions take between which it is made."""
    solved = SimpleNamespace(background_tasks=None, response=SimpleNamespace(status_code=None))
    routing: Any = fastapi.routing
    started = time.thread_time()
    for _ in range(times):
        routing._build_response_args(status_code=None, solved_result=solved)
        routing.is_body_allowed_for_status_code(200)
    return (time.thread_time() - started) / times * 1e6


def collections(times: int = 2_000) -> Iterator[float]:
    """Yield the microseconds that listening adds to a collection of the youngest."""
    probe = GarbageProbe()
    while True:
        bare = _collect(times)
        probe.attach()
        listened = _collect(times)
        probe.detach()
        yield listened - bare


def _collect(times: int) -> float:
    started = time.thread_time()
    for _ in range(times):
        gc.collect(0)
    return (time.thread_time() - started) / times * 1e6


async def in_flight(requests: int) -> None:
    """Print what it takes to say where so many requests wait, 25 calls deep."""
    window, never = Window(), asyncio.Event()
    long_ago = perf_counter_ns() - 60_000_000_000

    async def wait(depth: int) -> None:
        await (wait(depth - 1) if depth else never.wait())

    async def request() -> None:
        record = begin(window, long_ago, scope={"method": "GET", "path": "/"})
        current_request.set(record)
        await wait(25)

    tasks = [asyncio.create_task(request()) for _ in range(requests)]
    await asyncio.sleep(0.1)
    probe = InFlightProbe(window, Watched())
    costs = []
    for _ in range(3):
        probe._rested_ns = 0
        started = time.thread_time()
        probe.fill(Frame(seq=1, ended_at=1, span_ns=1))
        costs.append((time.thread_time() - started) * 1e3)
    print(
        f"list {requests:6} in flight, and lines {min(costs):8.2f} ms   (a rest of 100 times as long follows)"
    )
    never.set()
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    main()
