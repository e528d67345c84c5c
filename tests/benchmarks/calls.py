"""CPU that watching adds to an outgoing call, beside its peers, in paired rounds of one process.

Every round has each variant make calls within requests, some with one call each and some with twenty, in a
new order; what is compared is a variant's CPU less the bare library's in the same round: the median over the
rounds, and between which two values the middle half of them lies. A request of ours without any call is what
both have in common, and takes part as well: it is taken off, so the figures are those of calls alone, among
twenty and by itself. The bare library takes part twice: what the second one seems to add is how far the
figures can be trusted. What the agent's thread does with calls is ours as well, and told apart.

The budget is that of a machine where prometheus-fastapi-instrumentator adds 35 µs to a request: that is
measured in the same rounds. Beside the times stands what does not depend on a machine: how many functions of
ours a call runs through, and how many of Python's instructions these take.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple
from unittest import mock

from perftui_agent.probes.http_client import exchanges
from perftui_agent.records import current_request
from perftui_agent.window.window import Window
from perftui_agent.wire.codec import encode
from tests.benchmarks import overhead
from tests.benchmarks.http_clients import LIBRARIES, Library
from tests.support.requests import begin, end

ROUNDS = 25
WARM_UP_ROUNDS = 2
NONE, FEW, MANY = 0, 1, 20
CALLS_A_ROUND = 100
"""Of each kind of request together; those with one call each are half as many."""
REQUESTS_OF_THE_YARDSTICK = 100
REQUESTS_IN_STEPS = 16
YARDSTICK_US = 35.0
BUDGET_US = 5.0

BARE, CONTROL, OURS, PEER = "bare", "bare, once more", "perftui-agent", "opentelemetry-instrumentation"


class Cost(NamedTuple):
    """CPU microseconds of a request with so many calls: on the app's thread, and on the agent's."""

    app_us: float
    agent_us: float


class Variant:
    """One library, watched in one way."""

    def __init__(self, library: Library, name: str) -> None:
        self.library = library
        self.name = name
        self.window = Window()
        self.window.open = True
        self.client = library.client()

    async def close(self) -> None:
        """Be done."""
        await self.library.close(self.client)

    async def run(self, calls: int) -> Cost:
        """Make requests with so many calls each, after some that nobody times: attaching cools caches."""
        requests = CALLS_A_ROUND // calls if calls > 1 else CALLS_A_ROUND // 2
        warm_up = MANY // calls if calls else MANY
        gc.collect()
        with self.watched():
            await self.make(warm_up, calls)
            self.fold()
            began = time.thread_time_ns()
            await self.make(requests, calls)
            folds = time.thread_time_ns()
            self.fold()
            done = time.thread_time_ns()
        return Cost((folds - began) / 1000 / requests, (done - folds) / 1000 / requests)

    async def make(self, requests: int, calls: int) -> None:
        """Make so many requests, on the app's thread."""
        for _ in range(requests):
            record = begin(self.window)
            token = current_request.set(record)
            for _ in range(calls):
                await self.library.call(self.client)
            current_request.reset(token)
            end(record)

    def fold(self) -> None:
        """Do what the agent's thread does."""
        self.window.fold_pending()
        encode(self.window.close(seq=1, ended_at_ns=time.time_ns(), span_ns=1_000_000_000))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have it watched."""
        if self.name == OURS:
            probe = self.library.probe(self.window)
            probe.attach()
            yield
            probe.detach()
        elif self.name == PEER:
            with self.library.watch_by_peer(self.client):
                yield
        else:
            yield


class Yardstick:
    """What the peer of our requests adds to one, round by round."""

    def __init__(self) -> None:
        self._apps = [overhead.bare()[0], overhead.prometheus()[0]]
        self._added: list[float] = []

    async def measure(self) -> None:
        """Measure once more."""
        used = []
        for app in self._apps:
            began = time.thread_time_ns()
            for number in range(REQUESTS_OF_THE_YARDSTICK):
                await overhead.call(app, number)
            used.append((time.thread_time_ns() - began) / 1000 / REQUESTS_OF_THE_YARDSTICK)
        self._added.append(used[1] - used[0])

    @property
    def us(self) -> float:
        """What it adds."""
        return statistics.median(self._added)


Costs = dict[tuple[str, int], list[Cost]]
"""By variant and calls a request, round by round."""


async def measure(library: Library, yardstick: Yardstick) -> Costs:
    """Return what each variant costs."""
    variants = [Variant(library, name) for name in (BARE, CONTROL, OURS, PEER)]
    plan = [(variant, calls) for variant in variants for calls in (NONE, FEW, MANY)]
    costs: Costs = {(variant.name, calls): [] for variant, calls in plan}
    for number in range(WARM_UP_ROUNDS + ROUNDS):
        random.shuffle(plan)
        await yardstick.measure()
        for variant, calls in plan:
            cost = await variant.run(calls)
            if number >= WARM_UP_ROUNDS:
                costs[variant.name, calls].append(cost)
    for variant in variants:
        await variant.close()
    return costs


class Added(NamedTuple):
    """What a variant adds to one call: the median of the rounds, and where their middle half lies."""

    us: float
    low_us: float
    high_us: float

    def __str__(self) -> str:
        """Return all three."""
        return f"{self.us:.1f} ({self.low_us:.1f} to {self.high_us:.1f})"


def added(costs: Costs, variant: str, calls: int, sides: tuple[int, ...] = (0, 1)) -> Added:
    """Return what a variant adds to each of so many calls of a request, on these sides together."""

    def of_calls(name: str) -> Iterator[float]:
        for with_calls, without in zip(costs[name, calls], costs[name, NONE], strict=True):
            yield sum(with_calls[side] - without[side] for side in sides) / calls

    differences = [ours - bare for ours, bare in zip(of_calls(variant), of_calls(BARE), strict=True)]
    low_us, us, high_us = statistics.quantiles(differences, n=4)
    return Added(us, low_us, high_us)


class Steps(NamedTuple):
    """What of ours a call runs through: functions, and instructions of Python's in them."""

    functions: float
    instructions: float


async def count_steps(library: Library) -> tuple[Steps, Steps]:
    """Return what a call takes on the app's thread, and what on the agent's with its share of a request."""
    variant = Variant(library, OURS)
    counted = [0, 0]

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        if "perftui_agent" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counted[0] += event == "call"
        counted[1] += event == "opcode"
        return trace

    def counts() -> Steps:
        sys.settrace(None)
        steps = Steps(*(each / MANY / REQUESTS_IN_STEPS for each in counted))
        counted[:] = [0, 0]
        return steps

    # Under a tracer every answer is late, and the kernel would be asked about each.
    with variant.watched(), mock.patch.object(exchanges, "_LEAST_NS", sys.maxsize):
        await variant.make(3, MANY)
        variant.fold()
        sys.settrace(trace)
        await variant.make(REQUESTS_IN_STEPS, MANY)
        app = counts()
        sys.settrace(trace)
        variant.window.fold_pending()
        agent = counts()
    await variant.close()
    return app, agent


async def compare() -> None:
    """Print the table."""
    yardstick = Yardstick()
    for library in LIBRARIES:
        costs = await measure(library, yardstick)
        app, agent = await count_steps(library)
        bare_us = statistics.median(cost.app_us for cost in costs[BARE, MANY]) / MANY
        ours, peer = added(costs, OURS, MANY), added(costs, PEER, MANY)
        print(
            f"{library.name:13} bare {bare_us:.1f} µs a call (once more: {added(costs, CONTROL, MANY)})\n"
            f"    ours adds {ours}: on the app's thread {added(costs, OURS, MANY, (0,)).us:.1f} "
            f"({app.functions:.0f} functions, {app.instructions:.0f} instructions), on the agent's "
            f"{added(costs, OURS, MANY, (1,)).us:.1f} ({agent.functions:.0f}, {agent.instructions:.0f}); "
            f"to the only call of a request {added(costs, OURS, FEW)}\n"
            f"    {PEER} adds {peer}: {peer.us / ours.us:.1f} × ours\n"
            f"    where {YARDSTICK_US:.0f} µs are what {overhead.PEER} adds (here {yardstick.us:.0f}): "
            f"{ours.us * YARDSTICK_US / yardstick.us:.1f}; budget: ≤ {BUDGET_US:.0f} µs a call",
            flush=True,
        )


def main() -> None:
    """Compare all of them."""
    asyncio.run(compare())


if __name__ == "__main__":
    main()
