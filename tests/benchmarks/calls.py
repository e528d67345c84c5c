"""CPU that watching adds to an outgoing call, beside its peers, in paired rounds of one process.

Every round has each variant make calls within requests, some with one call each and some with twenty, in a
new order; what is compared is the median over the rounds of a variant's CPU less the bare library's in the
same round. What twenty calls cost more than one is the cost of nineteen calls, and the rest is the request's:
a story, a route's sums. The bare library takes part twice: what the second one seems to add is how far the
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

ROUNDS = 12
WARM_UP_ROUNDS = 2
FEW, MANY = 1, 20
CALLS_A_ROUND = 200
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

    async def run(self, calls: int) -> Cost:
        """Make requests with so many calls each, after some that nobody times: attaching cools caches."""
        requests = CALLS_A_ROUND // calls if calls > 1 else CALLS_A_ROUND // 2
        gc.collect()
        with self.watched():
            await self.make(max(1, MANY // calls), calls)
            self.fold()
            began = time.process_time_ns()
            await self.make(requests, calls)
            folds = time.process_time_ns()
            self.fold()
            done = time.process_time_ns()
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
            began = time.process_time_ns()
            for number in range(REQUESTS_OF_THE_YARDSTICK):
                await overhead.call(app, number)
            used.append((time.process_time_ns() - began) / 1000 / REQUESTS_OF_THE_YARDSTICK)
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
    plan = [(variant, calls) for variant in variants for calls in (FEW, MANY)]
    costs: Costs = {(variant.name, calls): [] for variant, calls in plan}
    for number in range(WARM_UP_ROUNDS + ROUNDS):
        random.shuffle(plan)
        await yardstick.measure()
        for variant, calls in plan:
            cost = await variant.run(calls)
            if number >= WARM_UP_ROUNDS:
                costs[variant.name, calls].append(cost)
    return costs


def added(costs: Costs, variant: str, side: int) -> tuple[float, float]:
    """Return what a variant adds to a call, and to a request whatever it calls, on one of the two sides."""
    by_calls = {
        calls: statistics.median(
            with_it[side] - without[side]
            for with_it, without in zip(costs[variant, calls], costs[BARE, calls], strict=True)
        )
        for calls in (FEW, MANY)
    }
    a_call = (by_calls[MANY] - by_calls[FEW]) / (MANY - FEW)
    return a_call, by_calls[FEW] - a_call * FEW


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
        return app, counts()


async def compare() -> None:
    """Print the table."""
    yardstick = Yardstick()
    for library in LIBRARIES:
        costs = await measure(library, yardstick)
        app, agent = await count_steps(library)
        bare_us = statistics.median(cost.app_us for cost in costs[BARE, MANY]) / MANY
        (app_us, app_request_us), (agent_us, agent_request_us) = (added(costs, OURS, side) for side in (0, 1))
        control_us, peer_us = added(costs, CONTROL, 0)[0], added(costs, PEER, 0)[0]
        there_us = (app_us + agent_us) * YARDSTICK_US / yardstick.us
        print(
            f"{library.name:13} bare {bare_us:6.1f} µs a call (and {control_us:+.1f} once more)\n"
            f"    ours adds {app_us + agent_us:5.1f}: {app_us:.1f} on the app's thread "
            f"({app.functions:.0f} functions, {app.instructions:.0f} instructions), {agent_us:.1f} on the "
            f"agent's ({agent.functions:.0f}, {agent.instructions:.0f}); "
            f"and {app_request_us + agent_request_us:.1f} to a request\n"
            f"    {PEER} adds {peer_us:.1f}: {peer_us / (app_us + agent_us):.1f} × ours\n"
            f"    where {YARDSTICK_US:.0f} µs are what {overhead.PEER} adds (here {yardstick.us:.0f}): "
            f"{there_us:.1f}; budget: ≤ {BUDGET_US:.0f} µs a call",
            flush=True,
        )


def main() -> None:
    """Compare all of them."""
    asyncio.run(compare())


if __name__ == "__main__":
    main()
