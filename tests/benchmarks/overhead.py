"""CPU that instrumenting adds to a request, beside its peers, in paired rounds of one process.

Each round calls every variant of the same FastAPI app a few hundred times through plain ASGI, in a
new order; what is compared is the median over the rounds of a variant's CPU less that of the bare app
in the same round. Ours includes what its thread does later: folding, closing and encoding frames.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from perftui_agent import instrument
from perftui_agent.instrumentation import PROBE_ATTRIBUTE
from perftui_agent.window.window import Window
from perftui_agent.wire.codec import encode

ROUNDS = 60
REQUESTS_A_ROUND = 300
BUDGET_US = 5.0

Variant = tuple[Any, Callable[[], None]]
"""An ASGI app, and what has to be done after a round of requests to it."""


class Cycle:
    """The server's side of one request, as uvicorn has it: `send` is a method of an object."""

    disconnected = False

    async def receive(self) -> dict[str, Any]:
        """Return an empty body."""
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        """Take a message."""


def new_app() -> FastAPI:
    """Return a bare app with one route."""
    app = FastAPI(openapi_url=None)

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    return app


def bare() -> Variant:
    """The app alone."""
    return new_app(), lambda: None


def empty_wrapper() -> Variant:
    """The least any instrument must do: a wrapped send."""
    app = new_app()

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def wrapped_send(message: Any) -> None:
            await send(message)

        await app(scope, receive, wrapped_send)

    return wrapped, lambda: None


def ours() -> Variant:
    """The agent, its thread's work included: done here, in the round that caused it."""
    app = instrument(new_app())
    probe = vars(app)[PROBE_ATTRIBUTE]
    window: Window = probe._sink
    window.open = True  # keeps the thread from starting

    def fold() -> None:
        window.fold_pending()
        encode(window.close(seq=1, ended_at_ns=time.time_ns(), span_ns=1_000_000_000))

    return app, fold


def prometheus() -> Variant:
    """prometheus-fastapi-instrumentator, as its README sets it up."""
    from prometheus_fastapi_instrumentator import Instrumentator

    app = new_app()
    Instrumentator().instrument(app)
    return app, lambda: None


VARIANTS: dict[str, Callable[[], Variant]] = {
    "bare": bare,
    "empty send wrapper": empty_wrapper,
    "perftui-agent": ours,
    "prometheus-fastapi-instrumentator": prometheus,
}


async def call(app: Any, number: int) -> None:
    """Send one request through plain ASGI."""
    cycle = Cycle()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"/items/{number}",
        "raw_path": f"/items/{number}".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost:8000"), (b"user-agent", b"bench"), (b"accept", b"*/*")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    await app(scope, cycle.receive, cycle.send)


async def measure() -> dict[str, list[float]]:
    """Return for each variant the CPU microseconds a request, round by round."""
    apps = {name: make() for name, make in VARIANTS.items()}
    costs: dict[str, list[float]] = {name: [] for name in apps}
    order = list(apps)
    for round_number in range(ROUNDS + 3):
        random.shuffle(order)
        for name in order:
            app, after = apps[name]
            started = time.process_time_ns()
            for number in range(REQUESTS_A_ROUND):
                await call(app, number)
            after()
            used_us = (time.process_time_ns() - started) / 1000 / REQUESTS_A_ROUND
            if round_number >= 3:  # the first ones warm up
                costs[name].append(used_us)
    return costs


def main() -> None:
    """Print the table."""
    costs = asyncio.run(measure())
    added = {
        name: statistics.median(cost - base for cost, base in zip(costs[name], costs["bare"], strict=True))
        for name in costs
    }
    mine = added["perftui-agent"]
    print(f"bare app: {statistics.median(costs['bare']):.1f} µs of CPU a request; added to it:")
    for name in costs:
        if name != "bare":
            ratio = f"{added[name] / mine:5.1f} × ours" if name != "perftui-agent" else ""
            print(f"  {name:36} {added[name]:7.2f} µs   {ratio}")
    print(f"  budget: ≤ {BUDGET_US:.0f} µs, and at most 1/6 of the lightest peer")


if __name__ == "__main__":
    main()
