"""What a frame says of requests: by route, by path, those under way, the slowest with their spans."""

from __future__ import annotations

import msgspec

from perftui_agent.sketch import Count, LatencySketch
from perftui_agent.wire.parts import Bytes, CodePlace, Nanoseconds, Part, RouteLabel, Value


class StatusCounts(Part, gc=False):
    """Requests by how they ended."""

    informational: Count = 0
    success: Count = 0
    redirect: Count = 0
    client_error: Count = 0
    server_error: Count = 0
    disconnected: Count = 0

    def total(self) -> int:
        """Return how many requests there were, however they ended."""
        return (
            self.informational
            + self.success
            + self.redirect
            + self.client_error
            + self.server_error
            + self.disconnected
        )


class ExceptionCount(Value, frozen=True):
    """Unhandled exceptions of one type from one place."""

    type: str
    place: CodePlace
    count: Count = 1
    answered: bool = False
    """Whether their requests have an answer all the same, which is no 5xx: they came after it, from a
    background task or from what a dependency does at its end, or a handler for all exceptions answers so."""


class RouteFrame(Part):
    """What one route did in a frame's span: requests that ended in it."""

    route: RouteLabel
    status: StatusCounts
    latency: LatencySketch
    """From the bytes' arrival at the machine, if that is known, else from the ASGI call, to the last body
    byte; preflights, event streams and clients that left are not in it."""
    queue_known: Count = 0
    """Of the requests in `latency`, those whose time before the ASGI call is known, none of it included."""
    queue: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """Of those that waited before the ASGI call, how long; a part of `latency`."""
    ttfb: LatencySketch = msgspec.field(default_factory=LatencySketch)
    body_bytes: LatencySketch = msgspec.field(default_factory=LatencySketch)
    background: LatencySketch | None = None
    """How long the app went on after the last byte, where it did."""
    background_ns: Nanoseconds = 0
    """For how long responses were held open by background tasks: a part of `latency`."""
    serialized: Count = 0
    serialize_ns: Nanoseconds = 0
    """Responses that were seen to be made into bytes, and how long that took in all."""
    exceptions: list[ExceptionCount] = msgspec.field(default_factory=list)
    streaming: Count = 0
    compressed: Count = 0
    files: Count = 0
    """Bodies that are what they are: pictures, archives, downloads."""
    long_poll: str = ""
    """Whether its requests wait on purpose: `declared` by the app, or `seen` to."""
    sql_count: Count = 0
    sql_ns: Nanoseconds = 0
    transaction_count: Count = 0
    transaction_ns: Nanoseconds = 0
    """Committing, rolling back, savepoints, pings, connecting; no part of `sql_ns`."""
    lock_ns: Nanoseconds = 0
    """Of `sql_ns`, and …"""
    transaction_lock_ns: Nanoseconds = 0
    """… of `transaction_ns`: for how long statements were seen to wait for somebody else's lock."""
    cache_count: Count = 0
    cache_ns: Nanoseconds = 0
    pool_wait_ns: Nanoseconds = 0
    threadpool_wait_ns: Nanoseconds = 0
    loop_wait_ns: Nanoseconds = 0
    http_count: Count = 0
    """Outgoing HTTP calls."""
    http_ns: Nanoseconds = 0
    """For how long requests had at least one of those under way, but for …"""
    http_held_ns: Nanoseconds = 0
    """… how long answers that had arrived lay there unread: the loop, or the thread, was held."""
    unfollowed: Count = 0
    """Requests of which only counts and times are known: repeats and stories are those of the others."""
    repeats: list[RepeatedShape] = msgspec.field(default_factory=list)
    paths: list[PathFrame] = msgspec.field(default_factory=list)
    """Of a route that takes any path: what was asked for below it."""


class PathFrame(Part):
    """Requests for paths of one shape, below a route that takes any."""

    path: str
    """With every id, name and token as `{…}`: `/api/{…}/runs`; `(other)` for those there was no room for."""
    requests: Count = 0
    errors: Count = 0
    """Answers with a 5xx."""
    latency: LatencySketch = msgspec.field(default_factory=LatencySketch)


class RepeatedShape(Part):
    """One statement shape that single requests of a route ran several times."""

    fingerprint: str
    call_site: CodePlace = ""
    requests: Count = 0
    """How many requests repeated it."""
    executions: Count = 0
    distinct_binds: Count = 0
    total_ns: Nanoseconds = 0
    most: Count = 0
    """The most repeats seen in one request."""


class InFlight(Value, frozen=True):
    """A request that had not ended when the frame was closed."""

    route: RouteLabel
    method: str
    path: str
    age_ns: Nanoseconds
    waiting_at: CodePlace | None = None
    on_purpose: bool = False
    """It waits for news, up to a time that the app has set, or its route is known to."""
    gives_up_ns: Nanoseconds | None = None
    """At which age that time is over."""
    holds: str = ""
    """The pool that it has a connection of, while others wait for one there."""


class Span(Value, frozen=True):
    """A stretch of a request; repeats of one thing are folded into one span."""

    kind: str
    """`queue` (before the ASGI call), `sql`, `transaction`, `cache`, `pool` (waiting for a connection),
    `connect` (opening one), `threadpool`, `loop`, `http` (an outgoing call: method, host and shape of the
    path), `background` (a background task that held the response open), `serialize`."""
    name: str
    start_ns: Nanoseconds
    ns: Nanoseconds
    count: Count = 1
    call_site: CodePlace | None = None
    distinct_binds: Count | None = None
    fingerprint: str | None = None
    """Of a statement: where its text is, if `name` is its beginning alone: in the frame's `statements`, or in
    its `texts`."""


class SlowRequest(Value, frozen=True):
    """One of the slowest requests of its route in this frame, with its story."""

    id: str
    route: RouteLabel
    method: str
    path: str
    status: int
    ended_at: Nanoseconds
    total_ns: Nanoseconds
    body_bytes: Bytes = 0
    spans: list[Span] = msgspec.field(default_factory=list)
    spans_dropped: Count = 0


class RepeatedCalls(Part):
    """What single requests of one route have called several times each."""

    route: RouteLabel
    call_site: CodePlace = ""
    requests: Count = 0
    """How many requests did."""
    calls: Count = 0
    distinct: Count = 0
    """Paths, queries included, that differed within one request."""
    most: Count = 0
    """The most calls by one request."""
    ns: Nanoseconds = 0
    """For how long these requests had at least one such call under way."""
