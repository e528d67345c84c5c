"""The made-up service with everything to drill into: statements, pools, caches, slow requests, blocks.

`python -m tests.support.fake_evidence [trouble …]` opens the dashboard on it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from perftui.model.happenings import Event, FlightRow, IncidentRow, SlowRow
from perftui.model.measures import Latency, Step
from perftui.model.outside_summary import PoolSummary, QuerySummary, UpstreamSummary
from perftui.model.summary import Summary
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.outside import CacheFrame
from perftui_agent.wire.requests import InFlight, RepeatedShape, SlowRequest, Span
from tests.support.fake_after import background, channels
from tests.support.fake_feed import FakeFeed

LINES = (
    "SELECT order_lines.id, order_lines.order_id, order_lines.quantity "
    "FROM order_lines WHERE ? = order_lines.order_id"
)
ORDERS = "SELECT orders.id, orders.customer_id, orders.status FROM orders ORDER BY orders.id DESC LIMIT ?"
HELD = "app/reports.py:42 build_report"

HOSTILE = "[bold]x[/] \x1b[2J\u202e日本語 עברית 🎉👨‍👩‍👧"
"""Markup, an escape, a turned direction, wide and right-to-left letters, an emoji of several."""


@dataclass(slots=True)
class ShopFeed(FakeFeed):
    """A shop with an N+1, a held loop and a pool that has run dry."""

    change: Callable[[Summary], Summary] = lambda summary: summary
    """What is otherwise in this shop."""

    def summary(self, window_s: float, cursor: float | None = None) -> Summary:
        """Return the service at this moment, with its evidence."""
        summary = FakeFeed.summary(self, window_s, cursor)
        return self.change(summary if summary.link == "connecting" else _with_evidence(summary))


def _with_evidence(summary: Summary) -> Summary:
    worker = summary.workers[0].identity.id if summary.workers else "web-1/1/0"
    at_ns = int(summary.at * 1e9)
    routes = tuple(
        replace(
            route,
            repeats=(_repeats(route.requests),) if route.route == "GET /orders" else (),
            steps=tuple(Step(summary.at - 50 + 10 * place, route.sketch) for place in range(6)),
        )
        for route in summary.routes
    )
    return replace(
        summary,
        routes=routes,
        queries=queries(),
        pools=(a_pool(),),
        caches=caches(),
        upstreams=upstreams(),
        background=background(),
        channels=channels(),
        slowest=(SlowRow(worker, 4121, slow_orders(at_ns)), SlowRow(worker, 4121, slow_report(at_ns))),
        incidents=tuple(IncidentRow(worker, 4121, block(at_ns, ago)) for ago in (40, 25, 8)),
        in_flight=(FlightRow(worker, 4121, flight()), *summary.in_flight),
        events=(
            Event(summary.at - 300, "worker-joined", "4121", "worker 4121 has joined", worker=worker),
            Event(summary.at - 90, "worker-lost", "4119", "worker 4119 is gone"),
        ),
    )


def _repeats(requests: int) -> RepeatedShape:
    return RepeatedShape(
        fingerprint="lines",
        call_site="app/crud.py:88 load_lines",
        requests=requests,
        executions=requests * 50,
        distinct_binds=requests * 50,
        total_ns=requests * 480_000_000,
        most=61,
    )


def queries() -> tuple[QuerySummary, ...]:
    """Return the statements of the shop, the costliest first."""
    one = LatencySketch()
    one.add(4_100_000)
    latency = Latency(123_000, 3.2, 4.1, 9.0, 88.0)
    return (
        QuerySummary(
            LINES,
            "lines",
            123_000,
            0,
            latency,
            393_600.0,
            ("GET /orders",),
            call_site="app/crud.py:88 load_lines",
            database="main",
        ),
        QuerySummary(
            ORDERS,
            "orders",
            2_500,
            3,
            replace(latency, count=2_500),
            9_000.0,
            ("GET /orders", "GET /search"),
            executions={"GET /orders": 2_460, "GET /search": 40},
            call_site="app/crud.py:61 list_orders",
        ),
    )


def a_pool() -> PoolSummary:
    """Return a pool that has run dry."""
    return PoolSummary(
        "main",
        "QueuePool",
        10,
        15,
        5,
        15,
        310.0,
        2,
        checkouts=2_600,
        waits=2_600,
        waiting=7,
        longest_wait_ms=412.0,
    )


def upstreams() -> tuple[UpstreamSummary, ...]:
    """Return a service that is slow and at times does not answer, and one that is asked often and well."""
    rates = UpstreamSummary(
        host="rates.internal:8080",
        method="GET",
        library="httpx",
        count=400,
        errors=8,
        timeouts=8,
        failures={"ReadTimeout": 8},
        latency=Latency(400, 310.0, 640.0, 900.0, 1000.0, 320.0),
        total_ms=128_000.0,
        answer_p95_ms=600.0,
        answers=392,
        answer_ms=110_000.0,
        pool_wait_p95_ms=4.0,
        held_ms=16_000.0,
        opened=12,
        reused=380,
        routes={"GET /orders": 400},
        spent_ms={"GET /orders": 128_000.0},
        call_sites={"app/rates.py:12 load": 9},
    )
    payments = UpstreamSummary(
        host="payments.example",
        method="POST",
        library="aiohttp",
        count=180,
        latency=Latency(180, 21.0, 38.0, 55.0, 71.0, 23.0),
        total_ms=4_140.0,
        answer_p95_ms=31.0,
        answers=180,
        answer_ms=3_400.0,
        connect_p95_ms=18.0,
        connects=4,
        connect_ms=70.0,
        tls_ms=52.0,
        body_ms=380.0,
        received_bytes=83_000,
        opened=4,
        reused=176,
        requests=180,
        connections=4,
        idle=3,
        limit=100,
        routes={"POST /checkout": 180},
        spent_ms={"POST /checkout": 4_140.0},
        call_sites={"app/pay.py:31 charge": 6},
    )
    return rates, payments


def caches() -> tuple[CacheFrame, ...]:
    """Return a cache that is too small, and one that is far away."""
    far = LatencySketch()
    far.add(700_000)
    return (
        CacheFrame(
            name="items",
            kind="cachetools.LRUCache",
            hits=209,
            misses=666,
            evictions=654,
            stampedes=3,
            size=128,
            maxsize=128,
        ),
        CacheFrame(name="sessions", kind="redis", hits=900, misses=100, latency=far),
    )


def slow_orders(at_ns: int) -> SlowRequest:
    """Return a request that loaded its lines one by one."""
    return SlowRequest(
        id="8f31",
        route="GET /orders",
        method="GET",
        path="/orders",
        status=200,
        ended_at=at_ns - 4_000_000_000,
        total_ns=1_310_000_000,
        body_bytes=38_000,
        spans=[
            Span(kind="queue", name="before the app", start_ns=0, ns=1_000_000),
            Span(kind="pool", name="main", start_ns=1_000_000, ns=22_000_000),
            Span(kind="sql", name=ORDERS, start_ns=23_000_000, ns=4_000_000, distinct_binds=1),
            Span(
                kind="sql",
                name=LINES,
                start_ns=28_000_000,
                ns=1_020_000_000,
                count=50,
                call_site="app/crud.py:88 load_lines",
                distinct_binds=50,
            ),
            Span(kind="loop", name=HELD, start_ns=1_100_000_000, ns=190_000_000),
            Span(kind="serialize", name="the response", start_ns=1_300_000_000, ns=6_000_000),
        ],
    )


def slow_report(at_ns: int) -> SlowRequest:
    """Return a request that has no spans at all, and failed."""
    return SlowRequest(
        id="8f2a",
        route="GET /reports",
        method="GET",
        path="/reports",
        status=500,
        ended_at=at_ns - 9_000_000_000,
        total_ns=900_000_000,
    )


def block(at_ns: int, ago_s: int) -> Incident:
    """Return a stretch in which a report held the loop."""
    return Incident(
        kind="loop-blocked",
        at=at_ns - ago_s * 1_000_000_000,
        ns=1_900_000_000,
        where=HELD,
        route="GET /reports",
        stack=[HELD, "app/routes.py:118 reports", "fastapi/routing.py:212 run_endpoint_function"],
    )


def flight() -> InFlight:
    """Return a request that waits for a connection."""
    return InFlight(
        route="POST /checkout",
        method="POST",
        path="/checkout",
        age_ns=2_400_000_000,
        waiting_at="app/crud.py:61 list_orders",
    )


def many_queries(number: int) -> tuple[QuerySummary, ...]:
    """Return many statements, each of another table."""
    latency = Latency(10, 1.0, 2.0, 3.0, 4.0)
    return tuple(
        QuerySummary(f"SELECT a FROM t{place} WHERE id = ?", f"f{place}", 10, 0, latency, 20.0)
        for place in range(number)
    )


def main(troubles: Sequence[str]) -> int:
    """Open the dashboard on the shop."""
    from perftui.app import show

    return show(ShopFeed(troubles=troubles, clock=time.time))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
