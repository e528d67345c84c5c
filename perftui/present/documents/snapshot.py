"""A summary as the document that scripts read: the names, units and nulls are a promise.

Times in ms as float, sizes in bytes as int, ratios 0…1, null where there is no data.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload

from perftui.findings.find import find
from perftui.model.evidence import TRIGGER, result_of, silences
from perftui.model.filter import EVERYTHING, Filter
from perftui.model.happenings import EvidenceRow, Finding, FlightRow, IncidentRow, SloVerdict, SlowRow
from perftui.model.outside_summary import PoolSummary, QuerySummary, UpstreamSummary
from perftui.model.parts import pid_of
from perftui.model.route_summary import PathSummary, RouteSummary
from perftui.model.summary import Summary
from perftui.model.timeline import NOTED
from perftui.model.waiting import fullness
from perftui.model.worker_summary import WorkerSummary
from perftui.present.documents.after import background, channel
from perftui.present.documents.contention import (
    gil_document,
    machines_document,
    percent,
    pressure_document,
    throttled_document,
)
from perftui.present.documents.shape import (
    SCHEMA,
    BacklogDocument,
    CacheDocument,
    EvidenceDocument,
    FindingDocument,
    IncidentDocument,
    InFlightDocument,
    PathDocument,
    PoolDocument,
    QueryDocument,
    RouteDocument,
    SlowDocument,
    SnapshotDocument,
    UpstreamDocument,
    VerdictDocument,
    WorkerDocument,
)
from perftui_agent.wire.explain import PLAN_CHANGED
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.outside import CacheFrame
from perftui_agent.wire.process import Listener


def document(summary: Summary, wanted: Filter = EVERYTHING) -> SnapshotDocument:
    """Return the snapshot document of `summary`: of its lists of rows those that are `wanted`."""
    totals = summary.totals
    latency = totals.latency
    whole: SnapshotDocument = {
        "schema": SCHEMA,
        "target": summary.target,
        "service": summary.service,
        "at": moment(summary.at),
        "window_s": _rounded(summary.window_s),
        "coverage": {
            "workers_seen": summary.coverage.workers_seen,
            "workers_known": summary.coverage.workers_known,
            "frames_dropped": summary.coverage.frames_dropped,
        },
        "totals": {
            "requests": totals.requests,
            "rps": _rounded(totals.rps),
            "error_rate": _rounded(totals.error_rate, 6),
            "p50_ms": _rounded(latency.p50_ms),
            "p95_ms": _rounded(latency.p95_ms),
            "p99_ms": _rounded(latency.p99_ms),
            "max_ms": _rounded(latency.max_ms),
            "queue_p95_ms": _rounded(totals.queued.p95_ms),
            "queue_ms_per_request": _rounded(totals.queued.ms_per_request),
            "in_flight": totals.in_flight,
            "open_websockets": totals.open_websockets,
            "open_streams": totals.open_streams,
            "transaction_ms_per_request": _rounded(totals.transaction_ms_per_request),
            "http_per_request": _rounded(totals.http_per_request),
            "http_ms_per_request": _rounded(totals.http_ms_per_request),
        },
        "routes": [_route(row, summary.slo) for row in wanted.of(summary.routes)],
        "workers": [_worker(row) for row in wanted.of(summary.workers)],
        "queries": [_query(row) for row in wanted.of(summary.queries)],
        "transactions": [_query(row) for row in wanted.of(summary.transactions)],
        "pools": [_pool(row) for row in wanted.of(summary.pools)],
        "caches": [_cache(row) for row in wanted.of(summary.caches)],
        "upstreams": [_upstream(row) for row in wanted.of(summary.upstreams)],
        "channels": [channel(row) for row in wanted.of(summary.channels)],
        "background": [background(row) for row in wanted.of(summary.background)],
        "machine": machines_document(summary.machines),
        "in_flight": [_in_flight(row) for row in wanted.of(summary.in_flight)],
        "slowest": [_slow(row) for row in wanted.of(summary.slowest)],
        "incidents": [
            *(_incident(row) for row in wanted.of(_incidents(summary))),
            *(_fired(row) for row in wanted.of(summary.evidence) if row.evidence.kind in _TOLD),
        ],
        "evidence": [evidence_document(row) for row in wanted.of(summary.evidence)],
        "findings": [_finding(each) for each in find(summary)],
        "slo": [{**_verdict(each), "scope": each.scope} for each in summary.slo],
        "forgotten": dict(summary.forgotten),
    }
    if notes := [event.sentence for event in summary.events if event.kind in NOTED]:
        whole["notes"] = notes
    if wanted:
        whole["filter"] = wanted.text
    return whole


def moment(at: float) -> str:
    """Return a moment as ISO 8601 in UTC, to the millisecond."""
    stamp = datetime.fromtimestamp(at, UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z"


def _route(row: RouteSummary, verdicts: tuple[SloVerdict, ...]) -> RouteDocument:
    return {
        "route": row.route,
        "requests": row.requests,
        "rps": _rounded(row.rps),
        "errors": row.errors,
        "error_rate": _rounded(row.error_rate, 6),
        "status": dict(row.status),
        "p50_ms": _rounded(row.latency.p50_ms),
        "p95_ms": _rounded(row.latency.p95_ms),
        "p99_ms": _rounded(row.latency.p99_ms),
        "max_ms": _rounded(row.latency.max_ms),
        "queue_p95_ms": _rounded(row.queued.p95_ms),
        "queue_ms_per_request": _rounded(row.queued.ms_per_request),
        "ttfb_p95_ms": _rounded(row.ttfb_p95_ms),
        "background_p95_ms": _rounded(row.background_p95_ms),
        "bytes_p50": row.bytes_p50,
        "bytes_p95": row.bytes_p95,
        "sql_per_request": _rounded(row.sql_per_request),
        "sql_ms_per_request": _rounded(row.sql_ms_per_request),
        "transaction_ms_per_request": _rounded(row.transaction_ms_per_request),
        "lock_ms_per_request": _rounded(row.lock_ms_per_request),
        "cache_ms_per_request": _rounded(row.cache_ms_per_request),
        "serialize_ms_per_request": _rounded(row.serialize_ms_per_request),
        "pool_wait_ms_per_request": _rounded(row.pool_wait_ms_per_request),
        "threadpool_wait_ms_per_request": _rounded(row.threadpool_wait_ms_per_request),
        "loop_wait_ms_per_request": _rounded(row.loop_wait_ms_per_request),
        "background_ms_per_request": _rounded(row.background_ms_per_request),
        "http_per_request": _rounded(row.http_per_request),
        "http_ms_per_request": _rounded(row.http_ms_per_request),
        "http_held_ms_per_request": _rounded(row.http_held_ms_per_request),
        "streaming": row.streaming,
        "followed": row.requests if row.followed is None else row.followed,
        "long_poll": row.long_poll or None,
        "exceptions": [
            {"type": each.type, "place": each.place, "count": each.count} for each in row.exceptions
        ],
        "paths": [_path(each) for each in row.paths],
        "slo": [_verdict(each) for each in verdicts if each.scope == row.route],
    }


def _path(row: PathSummary) -> PathDocument:
    return {
        "path": row.path,
        "requests": row.requests,
        "errors": row.errors,
        "p95_ms": _rounded(row.latency.p95_ms),
    }


def _worker(row: WorkerSummary) -> WorkerDocument:
    pool, waited = row.threadpool, row.contention.waited_share
    return {
        "pid": row.pid,
        "host": row.identity.host,
        "version": row.identity.version or None,
        "state": row.state,
        "requests": row.requests,
        "rps": _rounded(row.rps),
        "p95_ms": _rounded(row.latency.p95_ms),
        "queue_p95_ms": _rounded(row.queued.p95_ms),
        "backlog": _backlog(row.listeners),
        "cpu_percent": _rounded(row.cpu_percent),
        "rss_bytes": row.rss_bytes,
        "threads": row.threads,
        "open_files": row.open_files,
        "open_files_limit": row.open_files_limit,
        "in_flight": row.in_flight,
        "loop_lag_p99_ms": _rounded(row.loop_lag_p99_ms),
        "blocked_ms": _rounded(row.blocked_ms),
        "blocked_at": row.blocked_at,
        "gc_pause_p99_ms": _rounded(row.gc_pause_p99_ms),
        "threadpool": None
        if pool is None
        else {"used": pool.used, "total": pool.total, "waiting": pool.waiting},
        "throttled": throttled_document(row.contention.quota),
        "cpu_wait_percent": None if waited is None else percent(waited),
        "pressure": pressure_document(row.contention.pressure),
        "gil": gil_document(row.gil),
        "uptime_s": _rounded(row.uptime_s),
        "gone_since": None if row.gone_since is None else moment(row.gone_since),
        "agent": {
            "cpu_percent": _rounded(row.agent_cpu_percent),
            "rss_bytes": row.agent_rss_bytes,
            "dropped": row.agent_dropped,
            "bounded": dict(row.agent_bounded),
            "clients": row.agent_clients,
            "faults": dict(row.agent_faults),
            "sampled": row.agent_sampled,
            "degraded": row.agent_degraded or None,
        },
        "probes": dict(row.probes),
    }


def _backlog(listeners: tuple[Listener, ...]) -> BacklogDocument | None:
    """Return the accept queue of the fullest of a worker's sockets."""
    fullest = max(listeners, key=fullness, default=None)
    return None if fullest is None else {"waiting": fullest.waiting, "limit": fullest.limit}


def _query(row: QuerySummary) -> QueryDocument:
    return {
        "statement": row.statement,
        "fingerprint": row.fingerprint,
        "count": row.count,
        "errors": row.errors,
        "slow": row.slow,
        "same_binds": row.same_binds,
        "database": row.database or None,
        "p50_ms": _rounded(row.latency.p50_ms),
        "p95_ms": _rounded(row.latency.p95_ms),
        "max_ms": _rounded(row.latency.max_ms),
        "total_ms": _rounded(row.total_ms),
        "routes": list(row.routes),
        "call_site": row.call_site,
        "followed": row.count if row.followed is None else row.followed,
    }


def _pool(row: PoolSummary) -> PoolDocument:
    return {
        "name": row.name,
        "kind": row.kind,
        "size": row.size,
        "checked_out": row.checked_out,
        "overflow": row.overflow,
        "max": row.max,
        "wait_p95_ms": _rounded(row.wait_p95_ms),
        "timeouts": row.timeouts,
        "checkouts": row.checkouts,
        "waiting": row.waiting,
        "longest_wait_ms": _rounded(row.longest_wait_ms),
    }


def _cache(row: CacheFrame) -> CacheDocument:
    lookups = row.hits + row.misses
    return {
        "name": row.name,
        "kind": row.kind,
        "hits": row.hits,
        "misses": row.misses,
        "hit_ratio": _rounded(row.hits / lookups, 6) if lookups else None,
        "evictions": row.evictions,
        "expirations": row.expirations,
        "stampedes": row.stampedes,
        "errors": row.errors,
        "filled": row.filled,
        "size": row.size,
        "maxsize": row.maxsize,
    }


def _upstream(row: UpstreamSummary) -> UpstreamDocument:
    return {
        "host": row.host,
        "method": row.method,
        "library": row.library,
        "count": row.count,
        "errors": row.errors,
        "timeouts": row.timeouts,
        "pool_timeouts": row.pool_timeouts,
        "cancelled": row.cancelled,
        "retries": row.retries,
        "failures": dict(row.failures),
        "p50_ms": _rounded(row.latency.p50_ms),
        "p95_ms": _rounded(row.latency.p95_ms),
        "max_ms": _rounded(row.latency.max_ms),
        "total_ms": _rounded(row.total_ms),
        "answer_p50_ms": _rounded(row.answer_p50_ms),
        "answer_p95_ms": _rounded(row.answer_p95_ms),
        "pool_wait_p95_ms": _rounded(row.pool_wait_p95_ms),
        "pool_wait_ms": _rounded(row.pool_wait_ms),
        "connect_p95_ms": _rounded(row.connect_p95_ms),
        "connect_ms": _rounded(row.connect_ms),
        "tls_ms": _rounded(row.tls_ms),
        "body_ms": _rounded(row.body_ms),
        "held_ms": _rounded(row.held_ms),
        "held_unknown": row.held_unknown,
        "received_bytes": row.received_bytes,
        "opened": row.opened,
        "reused": row.reused,
        "connections": row.connections,
        "idle": row.idle,
        "limit": row.limit,
        "clients": row.clients,
        "requests": row.requests,
        "under_way": row.under_way,
        "waiting": row.waiting,
        "longest_wait_ms": _rounded(row.longest_wait_ms),
        "routes": list(row.routes),
        "call_site": row.call_site,
        "repeats": [
            {
                "route": each.route,
                "call_site": each.call_site or None,
                "requests": each.requests,
                "calls": each.calls,
                "distinct": each.distinct,
                "most": each.most,
                "ms": _rounded(each.ns / 1e6),
            }
            for each in row.repeats
        ],
    }


def _in_flight(row: FlightRow) -> InFlightDocument:
    request = row.request
    return {
        "route": request.route,
        "method": request.method,
        "path": request.path,
        "pid": row.pid,
        "age_ms": _rounded(request.age_ns / 1e6),
        "waiting_at": request.waiting_at,
        "on_purpose": request.on_purpose,
    }


def _slow(row: SlowRow) -> SlowDocument:
    request = row.request
    return {
        "route": request.route,
        "method": request.method,
        "path": request.path,
        "status": request.status,
        "pid": row.pid,
        "at": moment(request.ended_at / 1e9),
        "total_ms": _rounded(request.total_ns / 1e6),
        "spans_dropped": request.spans_dropped,
        "spans": [
            {
                "kind": span.kind,
                "name": span.name,
                "start_ms": _rounded(span.start_ns / 1e6),
                "ms": _rounded(span.ns / 1e6),
                "count": span.count,
                "call_site": span.call_site,
                "distinct_binds": span.distinct_binds,
            }
            for span in request.spans
        ],
    }


def _incidents(summary: Summary) -> list[IncidentRow]:
    """Return those of the window, and each silence that is known: it is kept for who comes later."""
    told = {(row.worker, row.incident.at) for row in summary.incidents}
    past = [
        row for row in silences(summary.evidence, summary.at) if (row.worker, row.incident.at) not in told
    ]
    return sorted([*past, *summary.incidents], key=lambda row: row.incident.at)


def _incident(row: IncidentRow) -> IncidentDocument:
    incident = row.incident
    told: IncidentDocument = {
        "kind": incident.kind,
        "pid": row.pid,
        "at": moment(incident.at / 1e9),
        "ms": _rounded(incident.ns / 1e6),
        "where": incident.where,
        "route": incident.route,
        "stack": list(incident.stack),
        "ongoing": incident.ongoing,
    }
    if incident.verdict:
        told["verdict"] = incident.verdict
    return told


def _kind_of(each: Evidence) -> str | None:
    """Return what was taken: `profile`, `dump`."""
    taken = result_of(each)
    return type(taken).__name__.lower() if taken is not None else None


_TOLD = frozenset({TRIGGER, PLAN_CHANGED})
"""Kinds of evidence that are incidents as well."""


def _fired(row: EvidenceRow) -> IncidentDocument:
    """Return a trigger as an incident: what was over, and what was taken; or that a plan is another."""
    each = row.evidence
    return {
        "kind": each.kind,
        "pid": row.pid,
        "at": moment(each.at / 1e9),
        "ms": _rounded(each.ns / 1e6),
        "where": each.where or None,
        "route": each.route,
        "stack": list(each.stack),
        "ongoing": not each.outcome,
        "trigger": each.trigger,
        "evidence": each.id,
    }


def evidence_document(row: EvidenceRow) -> EvidenceDocument:
    """Return a piece of evidence, without what was taken."""
    each = row.evidence
    return {
        "id": each.id,
        "kind": each.kind,
        "pid": row.pid,
        "told_by": pid_of(row.told_by),
        "at": moment(each.at / 1e9),
        "ms": _rounded(each.ns / 1e6),
        "verdict": each.verdict or None,
        "where": each.where or None,
        "route": each.route,
        "stack": list(each.stack),
        "in_flight": [_in_flight(FlightRow(row.worker, row.pid, request)) for request in each.in_flight],
        "text": each.text,
        "trigger": each.trigger or None,
        "result": _kind_of(each),
        "taken_at": None if each.taken_at is None else moment(each.taken_at / 1e9),
        "how": each.how or None,
        "outcome": each.outcome or None,
        "ended_by": each.ended_by or None,
    }


def _finding(each: Finding) -> FindingDocument:
    return {
        "kind": each.kind,
        "severity": each.severity,
        "subject": each.subject,
        "sentence": each.sentence,
        "evidence": dict(each.evidence),
        "advice": each.advice,
    }


def _verdict(each: SloVerdict) -> VerdictDocument:
    return {"slo": each.slo, "value": _rounded(each.value, 6), "met": each.met}


@overload
def _rounded(value: float, digits: int = 3) -> float: ...


@overload
def _rounded(value: float | None, digits: int = 3) -> float | None: ...


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(float(value), digits)
