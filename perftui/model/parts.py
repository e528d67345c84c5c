"""How each part of a frame adds up: over seconds, and over workers.

Counts are summed and sketches merged. Gauges (a pool's size, a cache's entries) belong to a moment
and don't add up over time; they are read from each worker's last frame instead.
"""

from __future__ import annotations

from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import (
    CacheFrame,
    CodePlace,
    ExceptionCount,
    PoolFrame,
    RepeatedShape,
    RouteFrame,
    RouteLabel,
    StatementFrame,
    StatusCounts,
)

MAX_EXCEPTIONS = 50
MAX_REPEATS = 50
MAX_ROUTES_OF_A_STATEMENT = 50


def new_route(like: RouteFrame, label: RouteLabel) -> RouteFrame:
    """Return a route of its own that has counted what `like` has.

    Copying a sketch is several times quicker than merging it into an empty one, and most of what is
    added up is a first.
    """
    into = RouteFrame(
        route=label,
        status=StatusCounts(),
        latency=copy_sketch(like.latency),
        ttfb=copy_sketch(like.ttfb),
        body_bytes=copy_sketch(like.body_bytes),
    )
    _add_the_rest(into, like)
    return into


def add_route(into: RouteFrame, other: RouteFrame) -> None:
    """Count in `into` what `other` has counted too."""
    into.latency.merge(other.latency)
    into.ttfb.merge(other.ttfb)
    into.body_bytes.merge(other.body_bytes)
    _add_the_rest(into, other)


def _add_the_rest(into: RouteFrame, other: RouteFrame) -> None:
    add_status(into.status, other.status)
    into.request_bytes = _add_sketch(into.request_bytes, other.request_bytes)
    into.background = _add_sketch(into.background, other.background)
    into.serialize = _add_sketch(into.serialize, other.serialize)
    into.streaming += other.streaming
    into.compressed += other.compressed
    into.sql_count += other.sql_count
    into.sql_ns += other.sql_ns
    into.cache_count += other.cache_count
    into.cache_ns += other.cache_ns
    into.pool_wait_ns += other.pool_wait_ns
    into.threadpool_wait_ns += other.threadpool_wait_ns
    into.loop_wait_ns += other.loop_wait_ns
    if other.exceptions:
        into.exceptions = _add_exceptions(into.exceptions, other.exceptions)
    if other.repeats:
        into.repeats = _add_repeats(into.repeats, other.repeats)


def add_status(into: StatusCounts, other: StatusCounts) -> None:
    """Count in `into` what `other` has counted too."""
    into.informational += other.informational
    into.success += other.success
    into.redirect += other.redirect
    into.client_error += other.client_error
    into.server_error += other.server_error
    into.disconnected += other.disconnected


def copy_sketch(sketch: LatencySketch) -> LatencySketch:
    """Return a sketch of its own that has counted what `sketch` has."""
    return LatencySketch(sketch.count, sketch.total, sketch.max, sketch.buckets.copy())


def new_statement(like: StatementFrame) -> StatementFrame:
    """Return a statement of the same shape as `like` that has counted nothing."""
    return StatementFrame(fingerprint=like.fingerprint, statement=like.statement, database=like.database)


def add_statement(into: StatementFrame, other: StatementFrame) -> None:
    """Count in `into` what `other` has counted too."""
    into.latency.merge(other.latency)
    into.errors += other.errors
    into.slow += other.slow
    into.same_binds += other.same_binds
    into.statement = into.statement or other.statement
    into.call_site = into.call_site or other.call_site
    for route, count in other.routes.items():
        if route in into.routes or len(into.routes) < MAX_ROUTES_OF_A_STATEMENT:
            into.routes[route] = into.routes.get(route, 0) + count


def new_pool(like: PoolFrame) -> PoolFrame:
    """Return a pool of the same name as `like` that has counted nothing."""
    return PoolFrame(name=like.name, kind=like.kind)


def add_pool(into: PoolFrame, other: PoolFrame) -> None:
    """Count in `into` what `other` has counted too; its gauges are left alone."""
    into.checkouts += other.checkouts
    into.timeouts += other.timeouts
    into.wait.merge(other.wait)


def new_cache(like: CacheFrame) -> CacheFrame:
    """Return a cache of the same name as `like` that has counted nothing."""
    return CacheFrame(name=like.name, kind=like.kind)


def add_cache(into: CacheFrame, other: CacheFrame) -> None:
    """Count in `into` what `other` has counted too; its gauges are left alone."""
    into.hits += other.hits
    into.misses += other.misses
    into.evictions += other.evictions
    into.expirations += other.expirations
    into.stampedes += other.stampedes
    into.errors += other.errors
    into.latency = _add_sketch(into.latency, other.latency)


def _add_sketch(into: LatencySketch | None, other: LatencySketch | None) -> LatencySketch | None:
    if other is None:
        return into
    if into is None:
        return copy_sketch(other)
    into.merge(other)
    return into


def _add_exceptions(into: list[ExceptionCount], other: list[ExceptionCount]) -> list[ExceptionCount]:
    counts: dict[tuple[str, CodePlace], int] = {(each.type, each.place): each.count for each in into}
    for each in other:
        counts[each.type, each.place] = counts.get((each.type, each.place), 0) + each.count
    most = sorted(counts.items(), key=lambda item: -item[1])[:MAX_EXCEPTIONS]
    return [ExceptionCount(type=kind, place=place, count=count) for (kind, place), count in most]


def _add_repeats(into: list[RepeatedShape], other: list[RepeatedShape]) -> list[RepeatedShape]:
    shapes: dict[tuple[str, CodePlace], RepeatedShape] = {}
    for each in (*into, *other):
        key = (each.fingerprint, each.call_site)
        have = shapes.get(key)
        if have is None:
            have = shapes[key] = RepeatedShape(fingerprint=each.fingerprint, call_site=each.call_site)
        have.requests += each.requests
        have.executions += each.executions
        have.distinct_binds += each.distinct_binds
        have.total_ns += each.total_ns
        have.most = max(have.most, each.most)
    return sorted(shapes.values(), key=lambda shape: -shape.executions)[:MAX_REPEATS]
