"""The shape of the snapshot document: each key, its type, its unit, and whether it may be null.

`snapshot.document` returns these, so the type checker holds the document against them, and `json_schema`
publishes them: what a script reads and what it was promised can't part. Keys are added here, never renamed.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias, TypedDict

import msgspec

from perftui.model.happenings import Severity
from perftui.model.worker_summary import WorkerState
from perftui.present.documents.shape_of_machines import (
    GilDocument,
    MachineDocument,
    Percentage,
    PressureDocument,
    ThrottledDocument,
)

SCHEMA: Final = 1

Ms: TypeAlias = Annotated[float, msgspec.Meta(description="milliseconds", ge=0)]
"""A duration."""

Seconds: TypeAlias = Annotated[float, msgspec.Meta(description="seconds", ge=0)]
"""A duration of those that are long."""

Bytes: TypeAlias = Annotated[int, msgspec.Meta(description="bytes", ge=0)]
"""A size."""

Ratio: TypeAlias = Annotated[float, msgspec.Meta(description="0 to 1", ge=0, le=1)]
"""A share of a whole."""

Percent: TypeAlias = Annotated[float, msgspec.Meta(description="per cent of one core", ge=0)]
"""CPU."""

PerSecond: TypeAlias = Annotated[float, msgspec.Meta(description="per second", ge=0)]
"""A rate."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""How many there were in the window, or are."""

Moment: TypeAlias = Annotated[str, msgspec.Meta(description="ISO 8601, UTC, to the millisecond")]
"""A moment."""

Place: TypeAlias = Annotated[str, msgspec.Meta(description="a place in code: app/reports.py:42 build")]
"""A place in code."""

Label: TypeAlias = Annotated[str, msgspec.Meta(description="METHOD template: GET /items/{item_id}")]
"""A route."""


class CoverageDocument(TypedDict):
    """How much of the service the document shows."""

    workers_seen: Number
    workers_known: Number
    frames_dropped: Number


class TotalsDocument(TypedDict):
    """All routes of all workers; null where there was nothing to measure."""

    requests: Number
    rps: PerSecond | None
    error_rate: Ratio | None
    p50_ms: Ms | None
    p95_ms: Ms | None
    p99_ms: Ms | None
    max_ms: Ms | None
    queue_p95_ms: Ms | None
    queue_ms_per_request: Ms | None
    in_flight: Number
    open_websockets: Number
    open_streams: Number
    transaction_ms_per_request: Ms | None
    http_per_request: float | None
    http_ms_per_request: Ms | None


class VerdictDocument(TypedDict):
    """A target held against the window; `met` is null where there is nothing to judge."""

    slo: str
    value: float | None
    met: bool | None


class ScopedVerdictDocument(VerdictDocument):
    """A target, and whose it is: `all`, or a route's."""

    scope: str


class ExceptionDocument(TypedDict):
    """Unhandled exceptions of one type from one place."""

    type: str
    place: Place
    count: Number


class PathDocument(TypedDict):
    """Requests for paths of one shape, below a route that takes any."""

    path: str
    requests: Number
    errors: Number
    p95_ms: Ms | None


class RouteDocument(TypedDict):
    """One route; its latency begins when a request's bytes have reached the machine."""

    route: Label
    requests: Number
    rps: PerSecond
    errors: Number
    error_rate: Ratio
    status: dict[str, Number]
    p50_ms: Ms | None
    p95_ms: Ms | None
    p99_ms: Ms | None
    max_ms: Ms | None
    queue_p95_ms: Ms | None
    queue_ms_per_request: Ms | None
    ttfb_p95_ms: Ms | None
    background_p95_ms: Ms | None
    bytes_p50: Bytes | None
    bytes_p95: Bytes | None
    sql_per_request: float | None
    sql_ms_per_request: Ms | None
    transaction_ms_per_request: Ms | None
    lock_ms_per_request: Ms | None
    cache_ms_per_request: Ms | None
    serialize_ms_per_request: Ms | None
    pool_wait_ms_per_request: Ms | None
    threadpool_wait_ms_per_request: Ms | None
    loop_wait_ms_per_request: Ms | None
    background_ms_per_request: Ms | None
    http_per_request: float | None
    http_ms_per_request: Ms | None
    http_held_ms_per_request: Ms | None
    streaming: bool
    followed: Number
    long_poll: str | None
    exceptions: list[ExceptionDocument]
    paths: list[PathDocument]
    slo: list[VerdictDocument]


class BacklogDocument(TypedDict):
    """Connections that wait to be accepted at the fullest socket of a worker."""

    waiting: Number | None
    limit: Number | None


class ThreadpoolDocument(TypedDict):
    """The threads that sync endpoints run in."""

    used: Number
    total: Number
    waiting: Number


class AgentDocument(TypedDict):
    """What the agent of a worker costs, and what it could not keep up with."""

    cpu_percent: Percent | None
    rss_bytes: Bytes | None
    dropped: Number
    bounded: dict[str, Number]
    clients: Number | None
    faults: dict[str, Number]
    sampled: Number
    degraded: str | None


class WorkerDocument(TypedDict):
    """One worker, and its process as last seen."""

    pid: Number
    host: str
    version: str | None
    state: WorkerState
    requests: Number
    rps: PerSecond | None
    p95_ms: Ms | None
    queue_p95_ms: Ms | None
    backlog: BacklogDocument | None
    cpu_percent: Percent | None
    rss_bytes: Bytes | None
    threads: Number | None
    open_files: Number | None
    open_files_limit: Number | None
    in_flight: Number | None
    loop_lag_p99_ms: Ms | None
    blocked_ms: Ms | None
    blocked_at: Place | None
    gc_pause_p99_ms: Ms | None
    threadpool: ThreadpoolDocument | None
    throttled: ThrottledDocument | None
    cpu_wait_percent: Percentage | None
    pressure: dict[str, PressureDocument] | None
    gil: GilDocument | None
    uptime_s: Seconds | None
    gone_since: Moment | None
    agent: AgentDocument
    probes: dict[str, str]


class QueryDocument(TypedDict):
    """One statement shape, or a step of transactions; no value of any statement is in it."""

    statement: str
    fingerprint: str
    count: Number
    errors: Number
    slow: Number
    same_binds: Number
    database: str | None
    p50_ms: Ms | None
    p95_ms: Ms | None
    max_ms: Ms | None
    total_ms: Ms
    routes: list[Label]
    call_site: Place | None
    followed: Number


class PoolDocument(TypedDict):
    """One connection pool, added up over the workers; null where it has no such bound."""

    name: str
    kind: str
    size: int | None
    checked_out: int | None
    overflow: int | None
    max: int | None
    wait_p95_ms: Ms | None
    timeouts: Number
    checkouts: Number
    waiting: Number | None
    longest_wait_ms: Ms | None


class CacheDocument(TypedDict):
    """One cache."""

    name: str
    kind: str
    hits: Number
    misses: Number
    hit_ratio: Ratio | None
    evictions: Number | None
    expirations: Number
    stampedes: Number
    errors: Number
    filled: Number | None
    size: Number | None
    maxsize: int | None


class RepeatDocument(TypedDict):
    """Calls that single requests of a route made several times each."""

    route: Label
    call_site: Place | None
    requests: Number
    calls: Number
    distinct: Number
    most: Number
    ms: Ms


class UpstreamDocument(TypedDict):
    """What one host was asked over HTTP, by one method through one library."""

    host: str
    method: str
    library: str
    count: Number
    errors: Number
    timeouts: Number
    pool_timeouts: Number
    cancelled: Number
    retries: Number
    failures: dict[str, Number]
    p50_ms: Ms | None
    p95_ms: Ms | None
    max_ms: Ms | None
    total_ms: Ms
    answer_p50_ms: Ms | None
    answer_p95_ms: Ms | None
    pool_wait_p95_ms: Ms | None
    pool_wait_ms: Ms
    connect_p95_ms: Ms | None
    connect_ms: Ms
    tls_ms: Ms
    body_ms: Ms
    held_ms: Ms
    held_unknown: Number
    received_bytes: Bytes
    opened: Number
    reused: Number
    connections: Number | None
    idle: Number | None
    limit: Number | None
    clients: Number
    requests: Number
    under_way: Number
    waiting: Number
    longest_wait_ms: Ms
    routes: list[Label]
    call_site: Place | None
    repeats: list[RepeatDocument]


class InFlightDocument(TypedDict):
    """A request that has not ended; its path is without the query."""

    route: Label
    method: str
    path: str
    pid: Number
    age_ms: Ms
    waiting_at: Place | None
    on_purpose: bool


class SpanDocument(TypedDict):
    """A stretch of a request; repeats of one thing are one span."""

    kind: str
    name: str
    start_ms: Ms
    ms: Ms
    count: Number
    call_site: Place | None
    distinct_binds: Number | None


class SlowDocument(TypedDict):
    """One of the slowest requests, with its story."""

    route: Label
    method: str
    path: str
    status: Number
    pid: Number
    at: Moment
    total_ms: Ms
    spans_dropped: Number
    spans: list[SpanDocument]


class IncidentDocument(TypedDict):
    """The loop was held, a worker was silent, or a trigger fired."""

    kind: str
    pid: Number
    at: Moment
    ms: Ms
    where: Place | None
    route: Label | None
    stack: list[Place]
    ongoing: bool
    verdict: NotRequired[str]
    trigger: NotRequired[str]
    evidence: NotRequired[str]


class EvidenceDocument(TypedDict):
    """What an agent took of its own accord, without what was taken."""

    id: str
    kind: str
    pid: Number
    told_by: Number
    at: Moment
    ms: Ms
    verdict: str | None
    where: Place | None
    route: Label | None
    stack: list[Place]
    in_flight: list[InFlightDocument]
    text: str
    trigger: str | None
    result: str | None
    taken_at: Moment | None
    how: str | None
    outcome: str | None
    ended_by: str | None


class FindingDocument(TypedDict):
    """Something that is wrong: a judgement, the figures for it, and the next step."""

    kind: str
    severity: Severity
    subject: str
    sentence: str
    evidence: dict[str, Any]
    advice: str


class ChannelDocument(TypedDict):
    """What went over the connections of one route: WebSockets, event streams, other streams."""

    route: Label
    kind: Annotated[str, msgspec.Meta(description="websocket, events, stream")]
    open: Number
    opened: Number
    closed: Number
    received: Number
    received_per_s: PerSecond | None
    received_bytes_per_s: PerSecond | None
    sent: Number
    sent_per_s: PerSecond | None
    sent_bytes_per_s: PerSecond | None
    first_message_p95_ms: Ms | None
    lasted_p50_ms: Ms | None
    handled: Number
    handling_p50_ms: Ms | None
    handling_p95_ms: Ms | None
    handling_max_ms: Ms | None
    handling_ms: Ms
    replies: Number
    queued: Number
    unjudged: Number
    held_ms: Ms
    news_ms: Ms
    under_way: Number
    longest_ms: Ms
    send_blocked: Number
    send_blocked_p95_ms: Ms | None
    send_blocked_max_ms: Ms | None
    send_blocked_ms: Ms
    sending: Number
    sending_longest_ms: Ms
    errors: Number
    failures: dict[str, Number]
    codes: dict[str, Number]
    sql: Number
    sql_ms: Ms
    cache: Number
    cache_ms: Ms
    http: Number
    http_ms: Ms


class BackgroundDocument(TypedDict):
    """What one function did for one route's requests after they had been answered."""

    name: str
    kind: Annotated[str, msgspec.Meta(description="background, task, thread, celery, taskiq, arq")]
    running: Number
    count: Number
    p50_ms: Ms | None
    p95_ms: Ms | None
    max_ms: Ms | None
    total_ms: Ms
    oldest_ms: Annotated[float, msgspec.Meta(description="of those that run, in milliseconds", ge=0)] | None
    wait_p95_ms: Ms | None
    errors: Number
    failures: dict[str, Number]
    route: Label | None
    threaded: Annotated[int, msgspec.Meta(description="took a thread of the pool of sync endpoints", ge=0)]
    held: Annotated[int, msgspec.Meta(description="held a response open", ge=0)]
    held_ms: Ms
    sql: Number
    sql_ms: Ms
    cache: Number
    cache_ms: Ms
    http: Number
    http_ms: Ms


class SnapshotDocument(TypedDict):
    """What `perftui snapshot --json` prints. Null is "no data", never zero."""

    schema: Literal[1]
    target: str
    service: str | None
    at: Moment
    window_s: Seconds
    coverage: CoverageDocument
    totals: TotalsDocument
    routes: list[RouteDocument]
    workers: list[WorkerDocument]
    queries: list[QueryDocument]
    transactions: list[QueryDocument]
    pools: list[PoolDocument]
    caches: list[CacheDocument]
    upstreams: list[UpstreamDocument]
    channels: list[ChannelDocument]
    background: list[BackgroundDocument]
    machine: list[MachineDocument]
    in_flight: list[InFlightDocument]
    slowest: list[SlowDocument]
    incidents: list[IncidentDocument]
    evidence: list[EvidenceDocument]
    findings: list[FindingDocument]
    slo: list[ScopedVerdictDocument]
    forgotten: dict[str, Number]
    notes: NotRequired[list[str]]
    filter: NotRequired[str]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the snapshot document. Further keys may be added to any object."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **msgspec.json.schema(SnapshotDocument),
    }
