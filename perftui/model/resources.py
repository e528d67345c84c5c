"""What the workers lean on over a window: statements, connection pools, caches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perftui.model.outside_summary import PoolSummary, QuerySummary
from perftui.model.packed import Packed
from perftui.model.quantiles import latency_of, quantile_ms
from perftui.model.tally import Tally
from perftui.model.usage import CachePart, PoolPart, StatementPart
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import CacheFrame, PoolFrame


def query_rows(statements: Mapping[str, StatementPart]) -> tuple[QuerySummary, ...]:
    """Return every statement shape, those that cost most in total first."""
    rows = [_query(*item) for item in statements.items()]
    rows.sort(key=lambda row: (-row.total_ms, row.fingerprint))
    return tuple(rows)


def pool_rows(tally: Tally, last_frames: Iterable[Frame]) -> tuple[PoolSummary, ...]:
    """Return every pool: waits over the window, gauges summed over the workers' last frames."""
    gauges: dict[str, list[PoolFrame]] = {}
    for frame in last_frames:
        for pool in frame.pools:
            gauges.setdefault(pool.name, []).append(pool)
    return tuple([_pool(name, pool, gauges.get(name, [])) for name, pool in sorted(tally.pools.items())])


def cache_rows(tally: Tally, last_frames: Iterable[Frame]) -> tuple[CacheFrame, ...]:
    """Return every cache: lookups over the window, sizes summed over the workers' last frames."""
    gauges: dict[tuple[str, str], list[CacheFrame]] = {}
    for frame in last_frames:
        for cache in frame.caches:
            gauges.setdefault((cache.name, cache.kind), []).append(cache)
    return tuple(
        [_cache(*key, counted, gauges.get(key, [])) for key, counted in sorted(tally.caches.items())]
    )


def _query(fingerprint: str, statement: StatementPart) -> QuerySummary:
    followed = statement.latency.count - statement.unfollowed
    routes = sorted(statement.routes, key=lambda route: (-statement.routes[route], route))
    return QuerySummary(
        statement=statement.statement,
        fingerprint=fingerprint,
        count=statement.latency.count,
        errors=statement.errors,
        latency=latency_of(statement.latency),
        total_ms=statement.latency.total / 1e6,
        routes=tuple(routes),
        executions={route: statement.routes[route] for route in routes},
        call_site=statement.call_site or None,
        scattered=statement.call_site == "",
        slow=statement.slow,
        same_binds=estimated(statement.same_binds, statement.latency.count, followed),
        followed=followed,
        database=statement.database,
    )


def estimated(seen: int, count: int, followed: int) -> int:
    """Return how many there are among `count` if `seen` are among those of them that were looked at."""
    return round(seen * count / followed) if followed else seen


def _pool(name: str, counted: PoolPart, gauges: list[PoolFrame]) -> PoolSummary:
    return PoolSummary(
        name=name,
        kind=counted.kind,
        size=_sum(pool.size for pool in gauges),
        checked_out=_sum(pool.checked_out for pool in gauges),
        overflow=_sum(pool.overflow for pool in gauges),
        max=_sum(pool.max for pool in gauges),
        wait_p95_ms=quantile_ms(counted.wait, 0.95),
        timeouts=counted.timeouts,
        checkouts=counted.checkouts,
        waits=counted.wait.count,
        third_wait_ms=_third_longest_ms(counted.wait),
        waiting=_sum(pool.waiting for pool in gauges),
        longest_wait_ms=max((pool.longest_wait_ns for pool in gauges), default=0) / 1e6 or None,
        processes=max(sum(pool.max is not None for pool in gauges), 1),
    )


def _third_longest_ms(waits: Packed) -> float | None:
    return quantile_ms(waits, (waits.count - 2.5) / waits.count) if waits.count >= 3 else None


def _cache(name: str, kind: str, counted: CachePart, gauges: list[CacheFrame]) -> CacheFrame:
    return CacheFrame(
        name=name,
        kind=kind,
        hits=counted.hits,
        misses=counted.misses,
        evictions=counted.evictions,
        expirations=counted.expirations,
        stampedes=counted.stampedes,
        errors=counted.errors,
        filled=counted.filled,
        latency=counted.latency.unpacked() if counted.latency else None,
        size=_sum(cache.size for cache in gauges),
        maxsize=_sum(cache.maxsize for cache in gauges),
    )


def _sum(values: Iterable[int | None]) -> int | None:
    """Return the sum of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
