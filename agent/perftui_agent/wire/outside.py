"""What a frame says of what requests wait for outside: statements, pools, other services, caches."""

from __future__ import annotations

import msgspec

from perftui_agent.sketch import Count, LatencySketch
from perftui_agent.wire.called import NewClients, UpstreamPath
from perftui_agent.wire.parts import Bytes, CodePlace, Nanoseconds, Part, RouteLabel
from perftui_agent.wire.requests import RepeatedCalls


class StatementFrame(Part):
    """What one statement shape did in a frame's span."""

    fingerprint: str
    statement: str = ""
    latency: LatencySketch = msgspec.field(default_factory=LatencySketch)
    errors: Count = 0
    slow: Count = 0
    routes: dict[RouteLabel, Count] = msgspec.field(default_factory=dict)
    """Executions by route; those outside any request under `(outside requests)`."""
    call_site: CodePlace | None = None
    """Empty of a step of transactions that comes from several places, none of which has most of its time."""
    database: str = ""
    same_binds: Count = 0
    """Executions whose statement and binds had both been seen before, in other requests."""
    unfollowed: Count = 0
    """Executions by requests that are not followed: their binds were not compared."""


class PoolFrame(Part):
    """A connection pool at the end of the span, and the waits within it."""

    name: str
    kind: str
    size: int | None = None
    checked_out: int | None = None
    overflow: int | None = None
    max: int | None = None
    checkouts: Count = 0
    wait: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """From asking for a connection to having it or giving up; the time to open a new one is not in it."""
    timeouts: Count = 0
    waiting: int | None = None
    """Checkouts that went on at the end of the span, and for how long the oldest: an exhausted pool shows
    here for half a minute before the first wait is over."""
    longest_wait_ns: Nanoseconds = 0


class UpstreamFrame(Part):
    """What one host was asked by one method through one library in a frame's span.

    A call is one exchange: each redirect and each further try is one of its own.
    """

    host: str
    """`api.example.com`, with its port where that is not the scheme's."""
    method: str
    library: str
    """`httpx`, `httpx2`, `aiohttp`, `urllib3`."""
    latency: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """From the call to the end of the body, without what the app did while it read that."""
    answer: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """From having a connection to the first byte of the answer, without how long it lay there unread."""
    pool_wait: LatencySketch | None = None
    """For one of the client's own connections, of the calls that had to wait; all others had none."""
    connect: LatencySketch | None = None
    """Opening a connection, TLS included, of the calls that did."""
    tls_ns: Nanoseconds = 0
    """Of that, for TLS, as far as the library tells."""
    body_ns: Nanoseconds = 0
    """Waiting for bodies after the first byte."""
    held_ns: Nanoseconds = 0
    """How long answers lay there unread, …"""
    held: Count = 0
    """… in so many calls; …"""
    held_unknown: Count = 0
    """… and of so many it can't be told."""
    errors: Count = 0
    """Calls without an answer, and answers with a 5xx."""
    timeouts: Count = 0
    """Of those without an answer."""
    pool_timeouts: Count = 0
    """Of the time-outs, those in which no connection of the client's own was to be had."""
    cancelled: Count = 0
    """Given up by the caller; no errors."""
    failures: dict[str, Count] = msgspec.field(default_factory=dict)
    """Errors by what they were: `ConnectError`, `ReadTimeout`, `503`."""
    retries: Count = 0
    """Calls that repeat one that had failed, and further tries to connect."""
    received_bytes: Bytes = 0
    """Of bodies, as they came over the network."""
    opened: Count = 0
    """Calls that opened a connection; the others with an answer found one open."""
    clients: Count = 0
    """Calls within a request that were the first of their client."""
    requests: Count = 0
    """Requests that called, each once."""
    under_way: Count = 0
    """Calls without an answer yet at the end of the span, and how old the oldest is."""
    oldest_ns: Nanoseconds = 0
    waiting: Count = 0
    """Of those, the ones that wait for a connection of the client's own, and how long one has."""
    longest_wait_ns: Nanoseconds = 0
    connections: Count | None = None
    """Open to this host at the end of the span, whatever the method, …"""
    idle: Count | None = None
    """… those that nobody uses, …"""
    limit: Count | None = None
    """… and how many its clients may have, to all hosts together."""
    routes: dict[RouteLabel, Count] = msgspec.field(default_factory=dict)
    """Calls by route; those outside any request under `(outside requests)`."""
    spent: dict[RouteLabel, Nanoseconds] = msgspec.field(default_factory=dict)
    """By route, their times added up."""
    call_sites: dict[CodePlace, Count] = msgspec.field(default_factory=dict)
    """Where calls came from, as often as somebody looked: not at each."""
    repeats: list[RepeatedCalls] = msgspec.field(default_factory=list)
    paths: list[UpstreamPath] = msgspec.field(default_factory=list)
    """What it was asked for; empty also where an agent doesn't tell."""
    made: list[NewClients] = msgspec.field(default_factory=list)
    """Of `clients`, whose they are."""


class CacheFrame(Part):
    """What one cache did in a frame's span, and its size at the end of it."""

    name: str
    kind: str
    hits: Count = 0
    misses: Count = 0
    evictions: Count | None = None
    """None: it evicts unseen, as `functools.lru_cache` and a cache in another process do."""
    expirations: Count = 0
    stampedes: Count = 0
    """Misses of a key while another request was already at work on the same key."""
    errors: Count = 0
    filled: Count | None = None
    """Misses of keys that have been stored since by whoever missed them, as it is with a cache. None: what is
    asked is a cache in any case."""
    latency: LatencySketch | None = None
    """Of each command to a cache in another process, found or not; its count is that of the commands."""
    size: int | None = None
    maxsize: int | None = None
