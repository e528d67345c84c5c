"""A route, what it raised, and its targets."""

from __future__ import annotations

from typing import TypedDict

from perftui.model.happenings import SloVerdict
from perftui.model.route_summary import PathSummary, RouteSummary
from perftui.present.documents.rows.units import Bytes, Label, Ms, Number, PerSecond, Place, Ratio, rounded


class VerdictDocument(TypedDict):
    """A target held against the window; `met` is null where there is nothing to judge."""

    slo: str
    value: float | None
    met: bool | None


class ExceptionDocument(TypedDict):
    """Unhandled exceptions of one type from one place."""

    type: str
    place: Place
    count: Number
    answered: bool


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


def route_document(row: RouteSummary, verdicts: tuple[SloVerdict, ...]) -> RouteDocument:
    """Return a route, with what became of its own targets."""
    return {
        "route": row.route,
        "requests": row.requests,
        "rps": rounded(row.rps),
        "errors": row.errors,
        "error_rate": rounded(row.error_rate, 6),
        "status": dict(row.status),
        "p50_ms": rounded(row.latency.p50_ms),
        "p95_ms": rounded(row.latency.p95_ms),
        "p99_ms": rounded(row.latency.p99_ms),
        "max_ms": rounded(row.latency.max_ms),
        "queue_p95_ms": rounded(row.queued.p95_ms),
        "queue_ms_per_request": rounded(row.queued.ms_per_request),
        "ttfb_p95_ms": rounded(row.ttfb_p95_ms),
        "background_p95_ms": rounded(row.background_p95_ms),
        "bytes_p50": row.bytes_p50,
        "bytes_p95": row.bytes_p95,
        "sql_per_request": rounded(row.sql_per_request),
        "sql_ms_per_request": rounded(row.sql_ms_per_request),
        "transaction_ms_per_request": rounded(row.transaction_ms_per_request),
        "lock_ms_per_request": rounded(row.lock_ms_per_request),
        "cache_ms_per_request": rounded(row.cache_ms_per_request),
        "serialize_ms_per_request": rounded(row.serialize_ms_per_request),
        "pool_wait_ms_per_request": rounded(row.pool_wait_ms_per_request),
        "threadpool_wait_ms_per_request": rounded(row.threadpool_wait_ms_per_request),
        "loop_wait_ms_per_request": rounded(row.loop_wait_ms_per_request),
        "background_ms_per_request": rounded(row.background_ms_per_request),
        "http_per_request": rounded(row.http_per_request),
        "http_ms_per_request": rounded(row.http_ms_per_request),
        "http_held_ms_per_request": rounded(row.http_held_ms_per_request),
        "streaming": row.streaming,
        "followed": row.requests if row.followed is None else row.followed,
        "long_poll": row.long_poll or None,
        "exceptions": [
            {"type": each.type, "place": each.place, "count": each.count, "answered": each.answered}
            for each in row.exceptions
        ],
        "paths": [_path_document(each) for each in row.paths],
        "slo": [verdict_document(each) for each in verdicts if each.scope == row.route],
    }


def verdict_document(each: SloVerdict) -> VerdictDocument:
    """Return a target held against the window."""
    return {"slo": each.slo, "value": rounded(each.value, 6), "met": each.met}


def _path_document(row: PathSummary) -> PathDocument:
    return {
        "path": row.path,
        "requests": row.requests,
        "errors": row.errors,
        "p95_ms": rounded(row.latency.p95_ms),
    }
