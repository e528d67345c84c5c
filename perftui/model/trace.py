"""The few figures of a stretch of time that a chart needs, small enough to keep for all of history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perftui.model.quantiles import latency_of, quantile_ms
from perftui.model.summary import Latency
from perftui.model.tally import Tally
from perftui_agent.wire.frames import RouteLabel, WorkerId


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened in one bin."""

    covered_s: float
    requests: int
    errors: int
    latency: Latency
    in_flight: int
    route_p95_ms: Mapping[RouteLabel, float]
    """Of the routes that had a request."""
    worker_p95_ms: Mapping[WorkerId, float]
    worker_rss: Mapping[WorkerId, int]
    """At the end of the bin, in bytes."""


def trace_of(tally: Tally) -> Trace:
    """Return the trace of what `tally` has counted."""
    routes = ((label, quantile_ms(route.latency, 0.95)) for label, route in tally.routes.items())
    rss = ((worker, each.last.process.rss_bytes) for worker, each in tally.workers.items())
    workers = ((worker, quantile_ms(each.latency, 0.95)) for worker, each in tally.workers.items())
    return Trace(
        covered_s=tally.covered_s,
        requests=tally.requests,
        errors=tally.errors,
        latency=latency_of(tally.latency),
        in_flight=tally.in_flight,
        route_p95_ms={label: p95 for label, p95 in routes if p95 is not None},
        worker_p95_ms={worker: p95 for worker, p95 in workers if p95 is not None},
        worker_rss={worker: size for worker, size in rss if size is not None},
    )
