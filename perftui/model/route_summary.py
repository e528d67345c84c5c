"""A route of a picture, and a path of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perftui.model.measures import NO_SKETCHES, Latency, Queued, Share, Sketches, Step
from perftui.model.packed import Packed
from perftui.record import Record
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.parts import RouteLabel
from perftui_agent.wire.requests import ExceptionCount, RepeatedShape


class RouteSummary(Record, frozen=True):
    """One route over the window."""

    route: RouteLabel
    requests: int
    rps: float
    errors: int
    """Responses with a 5xx status, unhandled exceptions among them."""
    error_rate: float
    status: Mapping[str, int]
    """`2xx`, `3xx`, `4xx`, `5xx`, `disconnected` (and `1xx` where there are any)."""
    latency: Latency
    sketch: LatencySketch | Packed
    """The merged latencies in nanoseconds, for a histogram: `ranges()`."""
    total_ms: float
    """All its latencies summed: what it costs the service."""
    sketches: Sketches = NO_SKETCHES
    queued: Queued = Queued()
    ttfb_p95_ms: float | None = None
    first_bytes: int = 0
    """How many that rests on, as …"""
    background_p95_ms: float | None = None
    backgrounds: int = 0
    """… this does."""
    serialize_ms_per_request: float | None = None
    bytes_p50: int | None = None
    bytes_p95: int | None = None
    streaming: bool = False
    long_poll: str = ""
    """Whether its requests wait on purpose, `declared` by the app or `seen` to: they are in no latency of the
    service or a worker."""
    sql_per_request: float | None = None
    sql_ms_per_request: float | None = None
    """All time that went to databases, as far as it was no wait for a connection; and of that, …"""
    transaction_ms_per_request: float | None = None
    """… committing, rolling back, pings, connecting."""
    lock_ms_per_request: float | None = None
    """Of all that time: for how long statements, and steps of transactions, were seen to wait for somebody
    else's lock. None where nobody looks …"""
    transaction_lock_ms_per_request: float = 0.0
    """… and of this, those steps."""
    cache_ms_per_request: float | None = None
    pool_wait_ms_per_request: float | None = None
    threadpool_wait_ms_per_request: float | None = None
    loop_wait_ms_per_request: float | None = None
    background_ms_per_request: float | None = None
    """Of the latency: for how long background tasks held responses open."""
    http_per_request: float | None = None
    """Outgoing calls, and for how long a request waited for at least one, without …"""
    http_ms_per_request: float | None = None
    http_held_ms_per_request: float | None = None
    """… how long their answers lay here unread, while the loop or the thread was held."""
    shares: Sequence[Share] = ()
    """By pid, of the last minute at most. Added up when first looked at, as `trend` is: for all routes at
    once that would cost more than the rest."""
    exceptions: tuple[ExceptionCount, ...] = ()
    """Most frequent first."""
    repeats: tuple[RepeatedShape, ...] = ()
    """Statement shapes that single requests ran several times; most executions first."""
    paths: Sequence[PathSummary] = ()
    """Of a route that takes any path: what was asked for below it, what cost most first. Worked out when
    first looked at."""
    bodies: int = 0
    """Responses whose body was measured."""
    compressed: int = 0
    """Those of them that were compressed."""
    files: int = 0
    """Those of them that are as large as they are: pictures, archives, downloads."""
    followed: int | None = None
    """Requests that stories and repeats are known of; None if of all."""
    trend: Sequence[float | None] = ()
    """p95 in ms for each of `Summary.points`."""
    steps: Sequence[Step] = ()
    """The oldest first; added up when first looked at."""

    @property
    def answered_failures(self) -> int:
        """Exceptions behind an answer that is no 5xx: no status tells of them."""
        return sum(each.count for each in self.exceptions if each.answered)

    @property
    def failure_rate(self) -> float:
        """Of the requests those that failed, whatever they were answered."""
        return min((self.errors + self.answered_failures) / self.requests, 1.0) if self.requests else 0.0

    @property
    def statement_ms_per_request(self) -> float | None:
        """What went to databases apart from transactions, and from waiting for locks."""
        if self.sql_ms_per_request is None:
            return None
        locked_ms = (self.lock_ms_per_request or 0.0) - self.transaction_lock_ms_per_request
        return max(0.0, self.sql_ms_per_request - (self.transaction_ms_per_request or 0.0) - locked_ms)

    @property
    def commit_ms_per_request(self) -> float | None:
        """What transactions took apart from waiting for locks."""
        if self.transaction_ms_per_request is None:
            return None
        return max(0.0, self.transaction_ms_per_request - self.transaction_lock_ms_per_request)


class PathSummary(Record, frozen=True):
    """Requests for paths of one shape, below a route that takes any."""

    path: str
    """`/api/{…}/runs`; `(other)` for those there was no room for."""
    requests: int
    errors: int
    latency: Latency = Latency()
    total_ms: float = 0.0
