"""What requests wait for outside their code: statements, pools, caches, other services."""

from __future__ import annotations

from typing import TypedDict

from perftui.model.outside_summary import PoolSummary, QuerySummary, UpstreamSummary
from perftui.present.documents.rows.units import Bytes, Label, Ms, Number, Place, Ratio, rounded
from perftui_agent.wire.outside import CacheFrame


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


class CalledDocument(TypedDict):
    """Calls of one upstream for paths of one shape, with ids and names as `{…}`."""

    path: str
    calls: Number
    errors: Number
    answer_p50_ms: Ms | None
    answer_p95_ms: Ms | None
    total_ms: Ms
    routes: list[Label]
    call_site: Place | None


class MadeDocument(TypedDict):
    """Clients that requests of one route have made for themselves, at one place."""

    route: Label
    call_site: Place | None
    clients: Number
    connect_ms: Ms


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
    paths: list[CalledDocument]
    made: list[MadeDocument]


def query_document(row: QuerySummary) -> QueryDocument:
    """Return a statement shape, or a step of transactions."""
    return {
        "statement": row.statement,
        "fingerprint": row.fingerprint,
        "count": row.count,
        "errors": row.errors,
        "slow": row.slow,
        "same_binds": row.same_binds,
        "database": row.database or None,
        "p50_ms": rounded(row.latency.p50_ms),
        "p95_ms": rounded(row.latency.p95_ms),
        "max_ms": rounded(row.latency.max_ms),
        "total_ms": rounded(row.total_ms),
        "routes": list(row.routes),
        "call_site": row.call_site,
        "followed": row.count if row.followed is None else row.followed,
    }


def pool_document(row: PoolSummary) -> PoolDocument:
    """Return a connection pool."""
    return {
        "name": row.name,
        "kind": row.kind,
        "size": row.size,
        "checked_out": row.checked_out,
        "overflow": row.overflow,
        "max": row.max,
        "wait_p95_ms": rounded(row.wait_p95_ms),
        "timeouts": row.timeouts,
        "checkouts": row.checkouts,
        "waiting": row.waiting,
        "longest_wait_ms": rounded(row.longest_wait_ms),
    }


def cache_document(row: CacheFrame) -> CacheDocument:
    """Return a cache."""
    lookups = row.hits + row.misses
    return {
        "name": row.name,
        "kind": row.kind,
        "hits": row.hits,
        "misses": row.misses,
        "hit_ratio": rounded(row.hits / lookups, 6) if lookups else None,
        "evictions": row.evictions,
        "expirations": row.expirations,
        "stampedes": row.stampedes,
        "errors": row.errors,
        "filled": row.filled,
        "size": row.size,
        "maxsize": row.maxsize,
    }


def upstream_document(row: UpstreamSummary) -> UpstreamDocument:
    """Return what a host was asked."""
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
        "p50_ms": rounded(row.latency.p50_ms),
        "p95_ms": rounded(row.latency.p95_ms),
        "max_ms": rounded(row.latency.max_ms),
        "total_ms": rounded(row.total_ms),
        "answer_p50_ms": rounded(row.answer_p50_ms),
        "answer_p95_ms": rounded(row.answer_p95_ms),
        "pool_wait_p95_ms": rounded(row.pool_wait_p95_ms),
        "pool_wait_ms": rounded(row.pool_wait_ms),
        "connect_p95_ms": rounded(row.connect_p95_ms),
        "connect_ms": rounded(row.connect_ms),
        "tls_ms": rounded(row.tls_ms),
        "body_ms": rounded(row.body_ms),
        "held_ms": rounded(row.held_ms),
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
        "longest_wait_ms": rounded(row.longest_wait_ms),
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
                "ms": rounded(each.ns / 1e6),
            }
            for each in row.repeats
        ],
        "paths": [
            {
                "path": each.path,
                "calls": each.calls,
                "errors": each.errors,
                "answer_p50_ms": rounded(each.answer_p50_ms),
                "answer_p95_ms": rounded(each.answer_p95_ms),
                "total_ms": rounded(each.total_ms),
                "routes": list(each.spent_ms),
                "call_site": each.call_site,
            }
            for each in row.paths
        ],
        "made": [
            {
                "route": each.route,
                "call_site": each.call_site or None,
                "clients": each.clients,
                "connect_ms": rounded(each.connect_ns / 1e6),
            }
            for each in row.made
        ],
    }
