"""CPU that instrumenting adds to a request, beside its peers, in paired rounds of one process.

Every round has each variant of one FastAPI app serve 100 requests through plain ASGI, in a new order;
what is compared is the median over the rounds of a variant's CPU less that of the bare app in the same
round: a round is so short that the machine seldom changes its pace within one. Ours folds its records
every 25 requests, as its thread does every 50 ms, and closes and encodes a frame every 500.

Every variant has frameworks of its own, imported afresh, so that what one of them patches the others
don't run. The bare app takes part twice: what the second one seems to add is how far the figures can be
trusted. Ours takes part three times: as it is while the loop is on time, with nobody asked how long requests
have waited, and with everybody asked, as after a late turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import socket
import statistics
import sys
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from perftui_agent import instrument
from perftui_agent.instrumentation import PROBE_ATTRIBUTE, the_agent
from perftui_agent.probes.http.arrival import Arrivals
from perftui_agent.probes.http.serialization import SerializationProbe
from perftui_agent.probes.loop.pace import LoopPace
from perftui_agent.probes.probe import ON
from perftui_agent.window.window import Window
from perftui_agent.wire.codec import encode

ROUNDS = 300
WARM_UP_ROUNDS = 10
BEATS_A_ROUND = 4
REQUESTS_A_BEAT = 25
ROUNDS_A_SECOND = 5
BUDGET_US = 5.0
PEER_RATIO = 7
FELT_BUDGET_US = 0.3

FRAMEWORKS = {"fastapi", "starlette", "prometheus_fastapi_instrumentator", "starlette_exporter"}

BARE, CONTROL, OURS, PEER = "bare", "bare, once more", "perftui-agent", "prometheus-fastapi-instrumentator"
ASKING_NOBODY, ASKING_FOR_ALL = "perftui-agent, asking nobody", "perftui-agent, asking for everybody"

Variant = tuple[Any, Callable[[], object], Callable[[], object]]
"""An ASGI app, what has to be done after each beat of requests to it, and what after each second."""


class Loopback:
    """A connection whose kernel is asked and whose requests have always just arrived."""

    family = socket.AF_INET

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._theirs = socket.create_connection(listener.getsockname())
            self._ours, _ = listener.accept()
        self._fresh = bytes(56)

    def getsockopt(self, level: int, option: int, length: int) -> bytes:
        """Ask, and answer that it was now."""
        self._ours.getsockopt(level, option, length)
        return self._fresh

    def get_extra_info(self, name: str) -> Any:
        """Be the transport, too."""
        return self


LOOPBACK = Loopback()


class Cycle:
    """The server's side of one request, as uvicorn has it: `send` is a method of it."""

    def __init__(self) -> None:
        self.transport = LOOPBACK
        self.disconnected = False
        self.more_body = False

    async def receive(self) -> dict[str, Any]:
        """Return an empty body."""
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        """Take a message."""


def new_app(**arguments: Any) -> Any:
    """Return a bare app with one route, of a FastAPI that nobody else has."""
    for name in list(sys.modules):
        if name.partition(".")[0] in FRAMEWORKS:
            del sys.modules[name]
    from fastapi import FastAPI

    app = FastAPI(openapi_url=None, **arguments)

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    return app


def nothing() -> None:
    """Leave nothing to another thread."""


def bare() -> Variant:
    """The app alone."""
    return new_app(), nothing, nothing


def empty_wrapper() -> Variant:
    """The least any instrument must do: a wrapped send."""
    app = new_app()

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def wrapped_send(message: Any) -> None:
            await send(message)

        await app(scope, receive, wrapped_send)

    return wrapped, nothing, nothing


def ours(ask_from_ns: int | None = None) -> Variant:
    """The agent, its thread's work included: done here, in the round that caused it.

    Of its probes those are on that a request meets: the one around the app, and that of serialization.
    `ask_from_ns`: the moment from which the kernel is asked about all requests, instead of when need be.
    """
    app = instrument(new_app())
    assert SerializationProbe().attach() == ON
    probe = vars(app)[PROBE_ATTRIBUTE]
    window: Window = probe.sink
    window.open = True  # keeps the thread from starting
    if ask_from_ns is None:
        probe.pace.follow_this_thread()
    else:
        probe.pace = LoopPace()
        probe.pace.ask_from_ns = ask_from_ns
        probe._arrivals = Arrivals(probe.pace, window, the_agent().own.guard)

    def close() -> None:
        encode(window.close(seq=1, ended_at_ns=time.time_ns(), span_ns=1_000_000_000))

    return app, window.fold_pending, close


def prometheus() -> Variant:
    """prometheus-fastapi-instrumentator, as its README sets it up."""
    from prometheus_fastapi_instrumentator import Instrumentator

    app = new_app()
    Instrumentator().instrument(app)
    return app, nothing, nothing


def starlette_exporter() -> Variant:
    """starlette_exporter, as its README sets it up."""
    app = new_app()
    from starlette_exporter import PrometheusMiddleware

    app.add_middleware(PrometheusMiddleware)
    return app, nothing, nothing


def fastapi_telemetry() -> Variant:
    """FastAPI's own telemetry, metrics and spans, with nobody to send them to."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    telemetry = {
        "meter_provider": MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False),
        "tracer_provider": TracerProvider(shutdown_on_exit=False),
    }
    return new_app(telemetry=telemetry), nothing, nothing


def opentelemetry() -> Variant:
    """opentelemetry-instrumentation-fastapi, with nobody to send its spans to."""
    app = new_app()
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider

    FastAPIInstrumentor.instrument_app(app, tracer_provider=TracerProvider(shutdown_on_exit=False))
    return app, nothing, nothing


def sentry() -> Variant:
    """sentry-sdk with tracing, every envelope thrown away."""
    app = new_app()
    import sentry_sdk
    from sentry_sdk.integrations.fastapi import FastApiIntegration
    from sentry_sdk.integrations.starlette import StarletteIntegration

    sentry_sdk.init(
        dsn="http://key@localhost/1",
        transport=lambda _event: None,
        traces_sample_rate=1.0,
        default_integrations=False,
        integrations=[StarletteIntegration(), FastApiIntegration()],
    )
    return app, nothing, nothing


VARIANTS: dict[str, Callable[[], Variant]] = {
    BARE: bare,
    CONTROL: bare,
    "empty send wrapper": empty_wrapper,
    OURS: ours,
    ASKING_NOBODY: lambda: ours(sys.maxsize),
    ASKING_FOR_ALL: lambda: ours(0),
    PEER: prometheus,
    "starlette_exporter": starlette_exporter,
    "FastAPI's own telemetry": fastapi_telemetry,
    "opentelemetry-instrumentation-fastapi": opentelemetry,
    "sentry-sdk": sentry,
}


async def call(app: Any, number: int) -> None:
    """Send one request through plain ASGI, in a context of its own: servers give each request a task."""
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
    coroutine = app(scope, cycle.receive, cycle.send)
    with contextlib.suppress(StopIteration):
        copy_context().run(coroutine.send, None)
        raise AssertionError("nothing here waits")


async def measure() -> dict[str, list[float]]:
    """Return for each variant the CPU microseconds a request, round by round."""
    apps = {name: make() for name, make in VARIANTS.items()}
    costs: dict[str, list[float]] = {name: [] for name in apps}
    order = list(apps)
    gc.collect()
    for round_number in range(WARM_UP_ROUNDS + ROUNDS):
        random.shuffle(order)
        for name in order:
            app, beat, second = apps[name]
            started = time.process_time_ns()
            for _ in range(BEATS_A_ROUND):
                for number in range(REQUESTS_A_BEAT):
                    await call(app, number)
                beat()
            if round_number % ROUNDS_A_SECOND == 0:
                second()
            used_us = (time.process_time_ns() - started) / 1000 / BEATS_A_ROUND / REQUESTS_A_BEAT
            if round_number >= WARM_UP_ROUNDS:
                costs[name].append(used_us)
    return costs


def main() -> None:
    """Print the table."""
    costs = asyncio.run(measure())
    added = {
        name: [cost - base for cost, base in zip(costs[name], costs[BARE], strict=True)] for name in costs
    }
    medians = {name: statistics.median(differences) for name, differences in added.items()}
    print(f"bare app: {statistics.median(costs[BARE]):.1f} µs of CPU a request; added to it:")
    for name, differences in added.items():
        if name != BARE:
            low, _, high = statistics.quantiles(differences, n=4)
            print(f"  {name:36} {medians[name]:7.2f} µs   (half of the rounds: {low:.2f} … {high:.2f})")
    felt = [with_it - without for with_it, without in zip(costs[OURS], costs[ASKING_NOBODY], strict=True)]
    print(f"  felt latency adds {statistics.median(felt):.2f} µs; budget: ≤ {FELT_BUDGET_US} µs")
    ratio = medians[PEER] / medians[OURS]
    print(f"  the peer adds {ratio:.1f} × ours; budget: ≤ {BUDGET_US:.0f} µs, and the peer ≥ {PEER_RATIO} ×")


if __name__ == "__main__":
    main()
