"""The routes of a made-up service."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from perftui.model.measures import Queued, Share
from perftui.model.route_summary import RouteSummary
from perftui_agent.wire.requests import ExceptionCount
from tests.support.fake_figures import around, latency_of, sketch_of, wave_at
from tests.support.fake_workers import identity_of

NAMES = (
    ("GET /items/{item_id}", 300.0, 9.0),
    ("GET /orders", 41.0, 210.0),
    ("POST /checkout", 18.4, 44.0),
    ("GET /reports", 2.1, 1810.0),
    ("GET /config", 49.0, 0.6),
    ("GET /search", 12.0, 80.0),
    ("PUT /carts/{cart_id}/lines/{line_id}", 8.0, 22.0),
    ("GET /health", 1.0, 0.3),
)
"""Label, requests a second, median in ms."""


def many_routes(number: int) -> tuple[tuple[str, float, float], ...]:
    """Return `number` routes, each with its own traffic."""
    return tuple(
        (f"GET /api/v1/things/{place}", 1.0 + place % 13, 2.0 + place % 29) for place in range(number)
    )


def route_of(
    row: tuple[str, float, float],
    now: float,
    window_s: float,
    moments: Sequence[float],
    *,
    workers: int,
    troubles: Collection[str],
) -> RouteSummary:
    """Return a route at a moment: `row` is one of `NAMES`, and so many workers share it."""
    label, rps, median_ms = row
    phase = sum(map(ord, label)) % 17
    rps *= 0.9 + 0.2 * wave_at(now, phase)
    requests = max(int(rps * window_s), 1)
    sketch = sketch_of(median_ms * (0.8 + 0.4 * wave_at(now, phase)), requests, int(now) + phase)
    bad = label.startswith("POST") and "errors" in troubles
    errors = requests // 9 if bad else 0
    latency = replace(latency_of(sketch), count=requests)
    return RouteSummary(
        route=label,
        requests=requests,
        rps=rps,
        errors=errors,
        error_rate=errors / requests,
        status={"2xx": requests - errors - 3, "3xx": 0, "4xx": 3, "5xx": errors, "disconnected": 0},
        latency=latency,
        sketch=sketch,
        total_ms=requests * median_ms * 1.4,
        queued=Queued(requests, median_ms * 0.3, median_ms * 0.04),
        ttfb_p95_ms=median_ms * 1.8,
        first_bytes=requests,
        bodies=requests,
        compressed=requests // 2,
        bytes_p50=38_000,
        bytes_p95=91_000,
        sql_per_request=51.2 if "orders" in label else 1.0,
        sql_ms_per_request=median_ms * 0.7,
        lock_ms_per_request=0.0,
        pool_wait_ms_per_request=median_ms * 0.1,
        loop_wait_ms_per_request=median_ms * 0.08,
        serialize_ms_per_request=median_ms * 0.03,
        shares=tuple(
            Share(
                identity_of(number).id,
                identity_of(number).pid,
                requests // max(workers, 1),
                errors // max(workers, 1),
                latency,
            )
            for number in range(workers)
        ),
        exceptions=(ExceptionCount(type="CardDeclinedError", place="app/pay.py:88 charge", count=errors),)
        if bad
        else (),
        trend=tuple(around(latency.p95_ms, moments, phase, 2)),
    )
