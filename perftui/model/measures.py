"""The small figures that the rows of a picture are made of: how much is known, how long, how often."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from perftui.model.packed import NOTHING, Packed
from perftui.record import Record
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.parts import WorkerId

NO_STATUS: Mapping[str, int] = MappingProxyType({"2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0, "disconnected": 0})


class Coverage(Record, frozen=True):
    """How much of the service this picture shows."""

    workers_seen: int = 0
    workers_known: int = 0
    frames_dropped: int = 0


class Latency(Record, frozen=True):
    """Quantiles from merged sketches, never from averages."""

    count: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    mean_ms: float | None = None


class Queued(Record, frozen=True):
    """How long requests waited before the app, from their bytes' arrival: a part of their latency."""

    known: int = 0
    """Requests of which it is known; the rest of the figures is None without any."""
    p95_ms: float | None = None
    ms_per_request: float | None = None


class Totals(Record, frozen=True):
    """All routes of all workers together."""

    requests: int = 0
    rps: float | None = None
    errors: int = 0
    error_rate: float | None = None
    latency: Latency = Latency()
    queued: Queued = Queued()
    in_flight: int = 0
    open_websockets: int = 0
    open_streams: int = 0
    transaction_ms_per_request: float | None = None
    http_per_request: float | None = None
    """Outgoing calls, and for how long requests waited for at least one …"""
    http_ms_per_request: float | None = None
    """… without what answers lay here unread."""


class Point(Record, frozen=True):
    """One step on the time axis of a chart; None where nothing was measured."""

    at: float
    rps: float | None = None
    error_rate: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    in_flight: int | None = None


class Share(Record, frozen=True):
    """One worker's part of a route."""

    worker: WorkerId
    pid: int
    requests: int
    errors: int
    latency: Latency


class Step(Record, frozen=True):
    """The latencies of a route over one of the steps of a window, for a picture of how they move."""

    at: float
    """Where the step ends."""
    latency: LatencySketch | Packed
    requests: int = 0
    errors: int = 0
    statements: int = 0
    calls: int = 0
    """Outgoing ones."""
    sizes: LatencySketch | Packed = NOTHING
    """Of bodies, in bytes."""


class Sketches(Record, frozen=True):
    """What quantiles other than those of the latency rest on, in nanoseconds, and bytes."""

    queue: LatencySketch | Packed = NOTHING
    """Those that waited before the app; the others of `Queued.known` did not."""
    ttfb: LatencySketch | Packed = NOTHING
    background: LatencySketch | Packed = NOTHING
    sizes: LatencySketch | Packed = NOTHING


NO_SKETCHES = Sketches()
