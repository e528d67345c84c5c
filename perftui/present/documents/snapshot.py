"""A summary as the document that scripts read: the names, units and nulls are a promise.

Times in ms as float, sizes in bytes as int, ratios 0…1, null where there is no data. The type checker holds
what is made against its shape, and `json_schema` publishes that: what a script reads and what it was promised
can't part. Keys are added, never renamed.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NotRequired, TypedDict

import msgspec

from perftui.findings.find import find
from perftui.model.filter import EVERYTHING, Filter
from perftui.model.summary import Summary
from perftui.model.timeline import NOTED
from perftui.present.documents.rows.after import (
    BackgroundDocument,
    ChannelDocument,
    background_document,
    channel_document,
)
from perftui.present.documents.rows.happenings import (
    EvidenceDocument,
    FindingDocument,
    IncidentDocument,
    InFlightDocument,
    SlowDocument,
    evidence_document,
    finding_document,
    in_flight_document,
    incident_documents,
    slow_document,
)
from perftui.present.documents.rows.machines import MachineDocument, machines_document
from perftui.present.documents.rows.outside import (
    CacheDocument,
    PoolDocument,
    QueryDocument,
    UpstreamDocument,
    cache_document,
    pool_document,
    query_document,
    upstream_document,
)
from perftui.present.documents.rows.routes import (
    RouteDocument,
    VerdictDocument,
    route_document,
    verdict_document,
)
from perftui.present.documents.rows.units import (
    Moment,
    Ms,
    Number,
    PerSecond,
    Ratio,
    Seconds,
    moment,
    rounded,
)
from perftui.present.documents.rows.workers import WorkerDocument, worker_document

SCHEMA: Final = 1


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


class ScopedVerdictDocument(VerdictDocument):
    """A target, and whose it is: `all`, or a route's."""

    scope: str


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


def document(summary: Summary, wanted: Filter = EVERYTHING) -> SnapshotDocument:
    """Return the snapshot document of `summary`: of its lists of rows those that are `wanted`."""
    totals = summary.totals
    latency = totals.latency
    whole: SnapshotDocument = {
        "schema": SCHEMA,
        "target": summary.target,
        "service": summary.service,
        "at": moment(summary.at),
        "window_s": rounded(summary.window_s),
        "coverage": {
            "workers_seen": summary.coverage.workers_seen,
            "workers_known": summary.coverage.workers_known,
            "frames_dropped": summary.coverage.frames_dropped,
        },
        "totals": {
            "requests": totals.requests,
            "rps": rounded(totals.rps),
            "error_rate": rounded(totals.error_rate, 6),
            "p50_ms": rounded(latency.p50_ms),
            "p95_ms": rounded(latency.p95_ms),
            "p99_ms": rounded(latency.p99_ms),
            "max_ms": rounded(latency.max_ms),
            "queue_p95_ms": rounded(totals.queued.p95_ms),
            "queue_ms_per_request": rounded(totals.queued.ms_per_request),
            "in_flight": totals.in_flight,
            "open_websockets": totals.open_websockets,
            "open_streams": totals.open_streams,
            "transaction_ms_per_request": rounded(totals.transaction_ms_per_request),
            "http_per_request": rounded(totals.http_per_request),
            "http_ms_per_request": rounded(totals.http_ms_per_request),
        },
        "routes": [route_document(row, summary.slo) for row in wanted.of(summary.routes)],
        "workers": [worker_document(row) for row in wanted.of(summary.workers)],
        "queries": [query_document(row) for row in wanted.of(summary.queries)],
        "transactions": [query_document(row) for row in wanted.of(summary.transactions)],
        "pools": [pool_document(row) for row in wanted.of(summary.pools)],
        "caches": [cache_document(row) for row in wanted.of(summary.caches)],
        "upstreams": [upstream_document(row) for row in wanted.of(summary.upstreams)],
        "channels": [channel_document(row) for row in wanted.of(summary.channels)],
        "background": [background_document(row) for row in wanted.of(summary.background)],
        "machine": machines_document(summary.machines),
        "in_flight": [in_flight_document(row) for row in wanted.of(summary.in_flight)],
        "slowest": [slow_document(row) for row in wanted.of(summary.slowest)],
        "incidents": incident_documents(summary, wanted),
        "evidence": [evidence_document(row) for row in wanted.of(summary.evidence)],
        "findings": [finding_document(each) for each in find(summary)],
        "slo": [{**verdict_document(each), "scope": each.scope} for each in summary.slo],
        "forgotten": dict(summary.forgotten),
    }
    if notes := [event.sentence for event in summary.events if event.kind in NOTED]:
        whole["notes"] = notes
    if wanted:
        whole["filter"] = wanted.text
    return whole


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the snapshot document. Further keys may be added to any object."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **msgspec.json.schema(SnapshotDocument),
    }
