"""The generator: `python -m perftui.ramp.sender` sends requests at a rate, whatever the service does.

A process of its own, so that reading frames never makes a request late. Takes lines of JSON on stdin, each a
step; gives lines of JSON on stdout, four a second: what was sent, answered and late meanwhile. It is an open
model: every request has the moment at which it is due, its latency begins there, and one that waits for a
connection or for this process is as late as its client would feel it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from perftui.ramp.client import Client, Exchange, due_now
from perftui.ramp.plan import Request, Sent, stream
from perftui_agent.sketch import LatencySketch

TELL_S = 0.25
"""How often what happened is told."""

SOON_S = 0.002
"""Requests that are due within so long are sent together: a loop turns no faster than this for little."""


SCHEDULED = Path("/proc/self/schedstat")
"""How long this thread has run, and how long it was ready to and had to wait, in ns."""

UNFINISHED = "unfinished"
"""What a request is that was still under way when its step was over."""


class Order(msgspec.Struct, frozen=True):
    """One step, or the end."""

    rate: float = 0.0
    seconds: float = 0.0
    warm_s: float = 0.0
    """Requests that are due in it are sent and not counted."""
    grace_s: float = 2.0
    """How long after the step answers are waited for; what is open then counts as it has lasted so far."""


class Setup(msgspec.Struct, frozen=True):
    """What is sent, and how."""

    base_url: str
    plan: list[Request]
    unix: str | None = None
    seed: int = 1
    most_open: int = 1000
    """Requests under way at once; beyond it none is sent, and each that is not is counted."""
    timeout_s: float = 10.0
    new_connections: float = 0.0
    """Which part of the requests opens a connection of its own, 0…1."""
    cpus: list[int] | None = None
    """Where to run; None: anywhere."""


class Told(msgspec.Struct):
    """What happened in a quarter of a second."""

    at_s: float
    """Since the step began."""
    sent: int = 0
    done: int = 0
    errors: int = 0
    turned_away: int = 0
    """Due, and not sent: too many were under way."""
    held: int = 0
    """Sent late, since who was to send it still waited for an answer: Locust's users alone do."""
    under_way: int = 0
    unfinished: int = 0
    """Given up at the end of the step."""
    latency: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """From the moment a request was due, of those that were counted."""
    in_time: int = 0
    """Answered while the counted part of the step went on, whenever they were due: what is delivered."""
    late: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """How long after it was due each was sent, by this process's own fault."""
    failures: dict[str, int] = {}
    cpu_s: float = 0.0
    """Of this process, meanwhile."""
    waited_s: float = 0.0
    """How long it was ready to run meanwhile and did not get to, as far as the system tells."""
    last: bool = False
    """Whether the step is over with it."""


class Sender:
    """Sends steps, one after the other."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._open: dict[Exchange, None] = {}
        self._requests: Iterator[Sent] = stream(setup.plan, random.Random(setup.seed))  # noqa: S311 - no secret
        self._rng = random.Random(setup.seed + 1)  # noqa: S311
        self._told = Told(0.0)
        self._failures: Counter[str] = Counter()
        self._cpu_s = time.process_time()
        self._waited_s = _waited_s()
        self._counted_from = self._ends_at = 0.0

    async def run(self, orders: asyncio.Queue[Order | None]) -> None:
        """Carry out orders until there is None."""
        self._client = client = Client(self._setup.base_url, self._setup.unix)
        try:
            while (order := await orders.get()) is not None:
                if not order.rate:
                    continue
                ended = asyncio.create_task(orders.get())
                step = asyncio.create_task(self._step(order))
                await asyncio.wait({ended, step}, return_when=asyncio.FIRST_COMPLETED)
                # A new order during a step ends it: that is how it is stopped.
                step.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await step
                self._give_up()
                self._tell(last=True)
                if ended.done():
                    orders.put_nowait(ended.result())
                else:
                    ended.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await ended
        finally:
            await client.close()

    async def _step(self, order: Order) -> None:
        began = due = time.monotonic()
        self._began, self._told = began, Told(0.0)
        self._counted_from, self._ends_at = began + order.warm_s, began + order.warm_s + order.seconds
        next_tell = began + TELL_S
        gap = 1.0 / order.rate
        while due < self._ends_at:
            now = time.monotonic()
            if now >= next_tell:
                self._time_out(now)
                self._tell()
                next_tell = now + TELL_S
            if due > now + SOON_S:
                await asyncio.sleep(min(due - now, next_tell - now))
                continue
            self._send(due)
            due += gap
            if due < now:
                await asyncio.sleep(0)
        while self._open and (now := time.monotonic()) < self._ends_at + order.grace_s:
            if now >= next_tell:
                self._time_out(now)
                self._tell()
                next_tell = now + TELL_S
            await asyncio.sleep(0.02)

    def _send(self, due: float) -> None:
        is_counted = due >= self._counted_from
        if len(self._open) >= self._setup.most_open:
            self._told.turned_away += is_counted
            return
        request = next(self._requests)
        share = self._setup.new_connections
        is_fresh = bool(share) and self._rng.random() < share
        data = self._client.written(request, is_fresh=is_fresh)
        exchange = Exchange(request, data, self._ended, is_fresh=is_fresh)
        exchange.is_counted = is_counted
        self._open[exchange] = None
        late_s = due_now(exchange, due)
        if is_counted:
            self._told.sent += 1
            self._told.late.add(round(late_s * 1e9))
        self._client.send(exchange)

    def _ended(self, exchange: Exchange, status: int, failed: str) -> None:
        """Count an exchange that is over."""
        if exchange not in self._open:  # it was given up meanwhile
            return
        del self._open[exchange]
        if status >= 500:
            failed = str(status)
        now = time.monotonic()
        if not failed:
            self._told.in_time += self._counted_from <= now <= self._ends_at
        if not exchange.is_counted:
            return
        self._told.latency.add(max(0, round((now - exchange.due) * 1e9)))
        if failed:
            self._told.errors += failed != UNFINISHED
            self._told.unfinished += failed == UNFINISHED
            self._failures[failed] += 1
        else:
            self._told.done += 1

    def _time_out(self, now: float) -> None:
        """Give up what has taken too long: the first to be sent comes first."""
        for exchange in list(self._open):
            if now - exchange.began < self._setup.timeout_s:
                return
            self._give_one_up(exchange, "TimeoutError")

    def _give_up(self) -> None:
        """Close what is still under way: no connection is left."""
        for exchange in list(self._open):
            self._give_one_up(exchange, UNFINISHED)

    def _give_one_up(self, exchange: Exchange, why: str) -> None:
        self._client.give_up(exchange)
        self._ended(exchange, 0, why)

    def _tell(self, *, last: bool = False) -> None:
        told, self._told = self._told, Told(0.0)
        told.at_s = time.monotonic() - self._began
        told.under_way = len(self._open)
        told.failures, self._failures = dict(self._failures), Counter()
        cpu_s = time.process_time()
        told.cpu_s, self._cpu_s = cpu_s - self._cpu_s, cpu_s
        waited_s = _waited_s()
        told.waited_s, self._waited_s = waited_s - self._waited_s, waited_s
        told.last = last
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        sys.stdout.flush()

    _began = 0.0


def _waited_s() -> float:
    """Return how long this thread has waited for a processor; 0 where the system does not tell."""
    try:
        return int(SCHEDULED.read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


async def _main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=8_000_000)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    setup = msgspec.json.decode(await reader.readline(), type=Setup)
    if setup.cpus:
        with contextlib.suppress(OSError, AttributeError):
            os.sched_setaffinity(0, setup.cpus)
    orders: asyncio.Queue[Order | None] = asyncio.Queue()
    running = asyncio.create_task(Sender(setup).run(orders))
    while line := await reader.readline():
        orders.put_nowait(msgspec.json.decode(line, type=Order))
    # Whoever gave orders is gone: nothing is sent any more.
    orders.put_nowait(None)
    await running


if __name__ == "__main__":
    # A collection in the middle of a step would make requests late that are not the service's fault.
    gc.freeze()
    gc.set_threshold(50_000, 10, 20)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
