"""Seconds of busy workers, made up: `encoded_frames(200)[0]` is one as it travels."""

from __future__ import annotations

import random

from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.codec import encode
from perftui_agent.wire.outside import StatementFrame
from perftui_agent.wire.requests import RouteFrame, StatusCounts
from tests.support.frames import T, frame

REQUESTS = 5
"""Of each route on each worker in each second, on average."""

VARIANTS = 40
"""Seconds that differ; they take turns."""


def encoded_frames(routes: int, seed: int = 7) -> list[bytes]:
    """Return seconds of a busy worker as they travel."""
    rng = random.Random(seed)
    made = []
    for _ in range(VARIANTS):
        parts = [_route(rng, place) for place in range(routes)]
        sent = frame(1, T, parts, in_flight=rng.randint(0, 4))
        sent.statements = [_statement(rng, place) for place in range(routes // 2)]
        made.append(encode(sent))
    return made


def _route(rng: random.Random, place: int) -> RouteFrame:
    sketch, ttfb, body = LatencySketch(), LatencySketch(), LatencySketch()
    requests = rng.randint(REQUESTS - 2, REQUESTS + 2)
    for _ in range(requests):
        ns = round(rng.lognormvariate(2.0 + place % 3, 0.6) * 1e6)
        sketch.add(ns)
        ttfb.add(ns * 9 // 10)
        body.add(round(rng.lognormvariate(7.0, 0.3)))
    return RouteFrame(
        route=f"GET /r{place}/{{item_id}}",
        status=StatusCounts(success=requests),
        latency=sketch,
        ttfb=ttfb,
        body_bytes=body,
        sql_count=requests,
        sql_ns=requests * 1_000_000,
    )


def _statement(rng: random.Random, place: int) -> StatementFrame:
    latency = LatencySketch()
    for _ in range(REQUESTS):
        latency.add(round(rng.lognormvariate(0.5, 0.6) * 1e6))
    return StatementFrame(
        fingerprint=f"f{place}",
        statement=f"SELECT * FROM t{place} WHERE id = ?",
        latency=latency,
        routes={f"GET /r{place}/{{item_id}}": REQUESTS},
        call_site=f"app/crud.py:{place} get",
    )
