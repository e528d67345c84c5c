"""One immutable picture of a service over a window of time: all that screens and commands see.

`model.summarize` makes it from a `Dashboard`; `present` turns it into text and the snapshot
document into JSON. Durations are milliseconds as float, sizes bytes as int, ratios 0…1, moments
seconds since the epoch. None means "no data", never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import msgspec

from perftui.model.after import BackgroundSummary, ChannelSummary
from perftui.model.database import DatabaseView
from perftui.model.gil import Gil
from perftui.model.machine import NO_CONTENTION, Contention, MachineSummary
from perftui.model.packed import NOTHING, Packed
from perftui.record import Record
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.explain import PlanNote
from perftui_agent.wire.frames import (
    CacheFrame,
    Evidence,
    ExceptionCount,
    Incident,
    InFlight,
    Listener,
    RepeatedCalls,
    RepeatedShape,
    RouteLabel,
    SlowRequest,
    ThreadpoolStats,
    WorkerId,
    WorkerIdentity,
)

WorkerState: TypeAlias = Literal["ok", "blocked", "silent", "gone"]
"""`blocked`: its loop has not turned for over 1 s. `silent`: its agent does not answer although the
process is there. `gone`: the process is no more."""

Severity: TypeAlias = Literal["high", "medium", "low"]
"""How much something asks to be looked at."""

LinkState: TypeAlias = Literal["connecting", "live", "stale", "lost"]
"""How the whole target stands: `stale` when nothing has arrived from anyone for a while."""

TABLES = (
    "statements",
    "texts",
    "routes",
    "paths",
    "caches",
    "commands",
    "upstreams",
    "background",
    "channels",
)
"""What an agent keeps a bounded number of, by name; of `texts`, executions that nobody had time to read."""

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


class WorkerTrends(Record, frozen=True):
    """How one worker's figures go: each at every one of `Summary.points`, added up when first looked at."""

    cpu_percent: Sequence[float | None] = ()
    lag_ms: Sequence[float | None] = ()
    """The loop's p99 lag, as `gc_ms`: p99 of the collector's pauses."""
    gc_ms: Sequence[float | None] = ()
    rps: Sequence[float | None] = ()
    in_flight: Sequence[float | None] = ()
    """At the end of each step, as `threads`: those of the threadpool that were used."""
    threads: Sequence[float | None] = ()


class WorkerSummary(Record, frozen=True):
    """One worker over the window, and its process as last seen."""

    identity: WorkerIdentity
    state: WorkerState
    requests: int = 0
    rps: float | None = None
    errors: int = 0
    latency: Latency = Latency()
    queued: Queued = Queued()
    listeners: tuple[Listener, ...] = ()
    """Its listening sockets as last seen …"""
    backlogs: tuple[Listener, ...] = ()
    """… and each with the most connections that were seen to wait in the window."""
    listen_overflows: int | None = None
    """Connections that its host refused over the window, at whatever socket."""
    cpu_percent: float | None = None
    cpu_mean_percent: float | None = None
    """Over the window; `cpu_percent` is that of the last second."""
    cpu_limit: float | None = None
    """Cores the container may use."""
    memory_limit_bytes: int | None = None
    memory_left_bytes: int | None = None
    """How much more there is before something is ended for it …"""
    memory_left_in: str = ""
    """… in the `container`, or on the `host`."""
    memory_lately: Sequence[tuple[float, int]] = ()
    """As `memory`, second by second, of the last half minute."""
    memory: Sequence[tuple[float, int]] = ()
    """Moments and RSS, evenly spaced, from as far back as is known."""
    rss_bytes: int | None = None
    threads: int | None = None
    open_files: int | None = None
    open_files_limit: int | None = None
    uptime_s: float | None = None
    in_flight: int | None = None
    loop_lag_p99_ms: float | None = None
    loop_lags: int | None = None
    """How many beats that rests on, if that is known."""
    blocked_ms: float | None = None
    """For how long its loop has not turned; None while it turns."""
    blocked_at: str | None = None
    blocked_route: RouteLabel | None = None
    silence: Evidence | None = None
    """What siblings say of it while it is silent, or said of its end."""
    gc_pause_p99_ms: float | None = None
    gc_pauses: LatencySketch | None = None
    """In nanoseconds, as `threadpool_wait`: how long it took to get a thread when none was free."""
    threadpool_wait: LatencySketch | None = None
    gil: Gil | None = None
    contention: Contention = NO_CONTENTION
    """What its threads competed with for CPU and memory."""
    covered_s: float = 0.0
    """How much of the window its frames cover."""
    threadpool: ThreadpoolStats | None = None
    agent_cpu_percent: float | None = None
    agent_rss_bytes: int | None = None
    agent_dropped: int = 0
    agent_bounded: Mapping[str, int] = msgspec.field(default_factory=dict)
    """What each of the agent's bounds folded away in the window: `statements`, `routes`, `spans` …"""
    agent_clients: int | None = None
    agent_bytes_sent: int | None = None
    """To all its clients, in the last second."""
    agent_faults: Mapping[str, int] = msgspec.field(default_factory=dict)
    agent_sampled: int = 1
    """One request in so many is followed in full."""
    agent_degraded: str = ""
    """What the agent gives up for now, so as to cost the app less."""
    agent_forgotten: Mapping[str, int] = msgspec.field(default_factory=dict)
    """How many names each of its tables has forgotten so far, to make room for others."""
    probes: Mapping[str, str] = msgspec.field(default_factory=dict)
    last_seen: float | None = None
    gone_since: float | None = None
    lost_in_flight: int | None = None
    """Requests that were in flight when one that is gone was last heard."""
    trend: Sequence[float | None] = ()
    """p95 in ms for each of `Summary.points`."""
    trends: WorkerTrends = WorkerTrends()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self.identity.pid


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
    waiting: int | None = None
    """Checkouts that wait now, and for how long the one that has waited longest."""
    longest_wait_ms: float | None = None


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
    routes: Mapping[RouteLabel, int] = msgspec.field(default_factory=dict)
    """Calls by route; the one that it costs most first."""
    spent_ms: Mapping[RouteLabel, float] = msgspec.field(default_factory=dict)
    call_sites: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Most frequent first, as often as somebody looked."""
    repeats: tuple[RepeatedCalls, ...] = ()

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{self.method} {self.host} {self.library}".strip()

    @property
    def call_site(self) -> str | None:
        """Where most of the calls came from."""
        return next(iter(self.call_sites), None)


class FlightRow(Record, frozen=True):
    """A request in flight, and who serves it."""

    worker: WorkerId
    pid: int
    request: InFlight


class SlowRow(Record, frozen=True):
    """A slow request, and who served it."""

    worker: WorkerId
    pid: int
    request: SlowRequest


class IncidentRow(Record, frozen=True):
    """An incident, and who had it."""

    worker: WorkerId
    pid: int
    incident: Incident


class EvidenceRow(Record, frozen=True):
    """What an agent has seen of its own accord, and whose it is."""

    worker: WorkerId
    pid: int
    evidence: Evidence
    told_by: WorkerId
    """The worker itself, or a sibling."""

    @property
    def until(self) -> float:
        """When it was over, or was told of last."""
        return (self.evidence.at + self.evidence.ns) / 1e9


class SloVerdict(Record, frozen=True):
    """One target held against the window; `met` is None where there is nothing to judge."""

    slo: str
    scope: str
    value: float | None
    met: bool | None
    bound: float | None = None
    """What `value` is held against: ms, a ratio, requests per second."""
    requests: int | None = None
    """How many there are to judge by."""


class Finding(Record, frozen=True):
    """Something that is wrong, as `findings` names it: a judgement, the figures for it, and the next step."""

    kind: str
    """One of those that CONTRACT.md names: `loop-blocked`, `n-plus-one` …"""
    severity: Severity
    subject: str
    """What it is about: a route, a place in code, a statement, a pool, a cache, a worker."""
    sentence: str
    """One plain sentence with the figures."""
    evidence: Mapping[str, Any]
    """What the sentence can be checked against: names, numbers and texts that JSON can hold."""
    advice: str
    impact: float = 0.0
    """Compares findings of one severity: by how many ms requests took longer for it, in a second."""
    key: str = ""
    """What makes it the same finding from one picture to the next; empty: the subject does."""
    since: float | None = None
    """When it was first seen, as far as is known."""
    route: RouteLabel | None = None
    """Where to drill from here, as far as there is such a thing: this route …"""
    worker: WorkerId | None = None
    statement: str | None = None
    """… this fingerprint …"""
    routes: tuple[RouteLabel, ...] = ()
    """All routes that suffer from it, where there are several …"""
    workers: tuple[WorkerId, ...] = ()
    """… and all workers that have it."""
    pool: str | None = None
    cache: str | None = None
    upstream: str | None = None
    channel: str | None = None
    """The key of one."""

    @property
    def identity(self) -> tuple[str, str]:
        """The same for the same finding, however its figures and its severity change."""
        return self.kind, self.key or self.subject


class Event(Record, frozen=True):
    """Something that happened, for the time axis."""

    at: float
    kind: str
    """`worker-joined`, `worker-lost`, `worker-restarted`, `deploy`, `loop-blocked`, `link-stale`,
    `link-lost`, `link-back`, `clock-stepped`, `worker-silent`, `trigger`, `plan-changed`, `mark`,
    `recording-damaged`."""
    subject: str
    """A pid (of the one that went, where one has replaced it), a service, a place in code, a label."""
    sentence: str
    route: RouteLabel | None = None
    """What to open from here, as far as there is such a thing: this route …"""
    worker: WorkerId | None = None
    """… or this worker."""
    until: float | None = None
    """When it was over, the last time if it happened several times; None if it took no time."""
    evidence: str = ""
    """The id of what was taken then, if it was."""
    part_of: str = ""
    """The kind of the larger event that tells of this one as well: `deploy`. A list needs not show it."""


class Summary(Record, frozen=True):
    """Everything there is to show of one window that ends at `at`."""

    target: str
    service: str | None
    at: float
    window_s: float
    link: LinkState = "connecting"
    stale_s: float | None = None
    coverage: Coverage = Coverage()
    totals: Totals = Totals()
    points: tuple[Point, ...] = ()
    routes: tuple[RouteSummary, ...] = ()
    """Those with the highest total cost first."""
    workers: tuple[WorkerSummary, ...] = ()
    """By pid; those that are gone last."""
    queries: tuple[QuerySummary, ...] = ()
    transactions: tuple[QuerySummary, ...] = ()
    """Steps of transactions and connections: `COMMIT`, `ROLLBACK`, `PING` …; the costliest first."""
    pools: tuple[PoolSummary, ...] = ()
    caches: tuple[CacheFrame, ...] = ()
    upstreams: tuple[UpstreamSummary, ...] = ()
    """What other services were asked over HTTP; the costliest first."""
    channels: tuple[ChannelSummary, ...] = ()
    """What went over WebSockets and streams; those whose messages take most first."""
    background: tuple[BackgroundSummary, ...] = ()
    """What functions did after the response; the costliest first."""
    databases: tuple[DatabaseView, ...] = ()
    """What agents have just seen at a database of their own accord, since they had a reason."""
    machines: tuple[MachineSummary, ...] = ()
    """Those that the workers run on, by name."""
    in_flight: tuple[FlightRow, ...] = ()
    slowest: tuple[SlowRow, ...] = ()
    incidents: tuple[IncidentRow, ...] = ()
    evidence: tuple[EvidenceRow, ...] = ()
    """What agents have seen of their own accord, oldest first: all that is kept, within the window or not."""
    plans: Mapping[str, PlanNote] = msgspec.field(default_factory=dict)
    """What is known of the plans of slow statements, by fingerprint."""
    slo: tuple[SloVerdict, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def forgotten(self) -> Mapping[str, int]:
        """How many names the tables of all workers have forgotten so far, to make room for others."""
        added = dict.fromkeys(TABLES, 0)
        for worker in self.workers:
            for table, number in worker.agent_forgotten.items():
                added[table] = added.get(table, 0) + number
        return added

    @property
    def has_numbers(self) -> bool:
        """Whether any worker has told anything yet."""
        return any(worker.last_seen is not None for worker in self.workers)

    @property
    def asked(self) -> tuple[QuerySummary, ...]:
        """All that databases were asked: statements and steps of transactions, the costliest first."""
        if not self.transactions:
            return self.queries
        return tuple(sorted((*self.queries, *self.transactions), key=lambda row: -row.total_ms))

    def route(self, label: RouteLabel) -> RouteSummary | None:
        """Return the route with this label, None if it had no request in the window."""
        return next((route for route in self.routes if route.route == label), None)

    def worker(self, worker: WorkerId) -> WorkerSummary | None:
        """Return the worker with this id, None if it isn't known (any more)."""
        return next((row for row in self.workers if row.identity.id == worker), None)
