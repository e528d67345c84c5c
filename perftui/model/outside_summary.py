"""What requests wait for outside: a statement, a pool, another service of a picture."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from perftui.model.measures import Latency
from perftui.record import Record
from perftui_agent.wire.called import NewClients
from perftui_agent.wire.parts import RouteLabel
from perftui_agent.wire.requests import RepeatedCalls


class QuerySummary(Record, frozen=True):
    """One statement shape over the window."""

    statement: str
    fingerprint: str
    count: int
    errors: int
    latency: Latency
    total_ms: float
    routes: tuple[RouteLabel, ...] = ()
    call_site: str | None = None
    scattered: bool = False
    """Whether it comes from several places, none of which has most of its time."""
    slow: int = 0
    """Executions beyond the agent's threshold."""
    same_binds: int = 0
    """Executions whose statement and binds another request had run before; estimated, if not all were
    followed."""
    followed: int | None = None
    """Executions whose binds were compared, none of those that an agent under load did not follow; None if
    all were."""
    database: str = ""
    executions: Mapping[RouteLabel, int] = msgspec.field(default_factory=dict)
    """How often each of the routes ran it."""


class PoolSummary(Record, frozen=True):
    """One connection pool, its numbers summed over the workers."""

    name: str
    kind: str
    size: int | None
    checked_out: int | None
    overflow: int | None
    max: int | None
    wait_p95_ms: float | None
    timeouts: int
    checkouts: int = 0
    waits: int = 0
    """Checkouts whose wait was measured."""
    third_wait_ms: float | None = None
    """The third longest of those waits."""
    waiting: int | None = None
    """Checkouts that wait now, and for how long the one that has waited longest."""
    longest_wait_ms: float | None = None
    processes: int = 1
    """Workers with a bound of their own, of which `max` is the sum."""


class CalledSummary(Record, frozen=True):
    """The calls of one upstream for paths of one shape, over the window; figures as of an upstream."""

    path: str
    """`/users/{…}/orders`; `(other)` for those that nobody could tell apart."""
    calls: int = 0
    """Neither given up by the caller nor by the client's own pool."""
    errors: int = 0
    failures: Mapping[str, int] = msgspec.field(default_factory=dict)
    answers: int = 0
    answer_p50_ms: float | None = None
    answer_p95_ms: float | None = None
    answer_p95_least_ms: float | None = None
    answer_ms: float = 0.0
    total_ms: float = 0.0
    body_ms: float = 0.0
    held_ms: float = 0.0
    spent_ms: Mapping[RouteLabel, float] = msgspec.field(default_factory=dict)
    call_sites: Mapping[str, int] = msgspec.field(default_factory=dict)

    @property
    def call_site(self) -> str | None:
        """Where most of the calls came from."""
        return next(iter(self.call_sites), None)


class UpstreamSummary(Record, frozen=True):
    """What one host was asked over HTTP, by one method through one library, over the window."""

    host: str
    method: str
    library: str
    count: int
    errors: int = 0
    """Calls without an answer, and answers with a 5xx."""
    timeouts: int = 0
    pool_timeouts: int = 0
    """Of the time-outs, those in which no connection of the client's own was to be had."""
    cancelled: int = 0
    """Given up by the caller: no errors."""
    retries: int = 0
    failures: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Errors by what they were."""
    latency: Latency = Latency()
    """From the call to the end of the body."""
    total_ms: float = 0.0
    answer_p50_ms: float | None = None
    """From having a connection to the first byte, without what the answer lay here unread: the upstream's own
    time, and the network's."""
    answer_p95_ms: float | None = None
    answer_p95_least_ms: float | None = None
    """What the true one hardly lies below: of twenty answers, two that took long by chance are a p95."""
    answers: int = 0
    answer_ms: float = 0.0
    """In sum, as …"""
    pool_wait_p95_ms: float | None = None
    """Of all calls, those that had a connection at once included."""
    pool_waits: int = 0
    pool_wait_ms: float = 0.0
    """… this is, …"""
    connect_p95_ms: float | None = None
    """Of those that opened a connection, TLS included."""
    connects: int = 0
    connect_ms: float = 0.0
    """… and this, …"""
    tls_ms: float = 0.0
    body_ms: float = 0.0
    held_ms: float = 0.0
    """… and how long answers lay here unread, …"""
    held: int = 0
    """… in so many calls; …"""
    held_unknown: int = 0
    """… of so many nobody knows."""
    received_bytes: int = 0
    opened: int = 0
    reused: int = 0
    clients: int = 0
    """Calls that were the first of a client made within a request."""
    requests: int = 0
    """Requests that called."""
    under_way: int = 0
    oldest_ms: float = 0.0
    waiting: int = 0
    """Calls that wait now for a connection of the client's own."""
    longest_wait_ms: float = 0.0
    connections: int | None = None
    idle: int | None = None
    limit: int | None = None
    processes: int = 1
    """Those whose clients have a limit, which is all of theirs added up."""
    routes: Mapping[RouteLabel, int] = msgspec.field(default_factory=dict)
    """Calls by route; the one that it costs most first."""
    spent_ms: Mapping[RouteLabel, float] = msgspec.field(default_factory=dict)
    call_sites: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Most frequent first, as often as somebody looked."""
    repeats: tuple[RepeatedCalls, ...] = ()
    paths: tuple[CalledSummary, ...] = ()
    """What it was asked for, the costliest first; empty where the agents did not tell."""
    made: tuple[NewClients, ...] = ()
    """Of `clients`, whose they are, most first; empty where the agents did not tell."""

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{self.method} {self.host} {self.library}".strip()

    @property
    def call_site(self) -> str | None:
        """Where most of the calls came from."""
        return next(iter(self.call_sites), None)
