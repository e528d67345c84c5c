"""What each route did over a window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perftui.model.axis import Axis
from perftui.model.quantiles import latency_of, quantile_ms, quantiles
from perftui.model.shares import Shares
from perftui.model.splits import Splits
from perftui.model.summary import RouteSummary
from perftui.model.tally import Tally
from perftui_agent.wire.frames import Frame, RouteFrame, StatusCounts

_CACHE_PROBES = ("caches", "cachetools", "functools", "redis")


@dataclass(frozen=True, slots=True)
class Measured:
    """What the agents can see: a count of what nobody looks at is no 0 but no data."""

    sql: bool
    caches: bool
    threadpool: bool
    loop: bool

    @classmethod
    def by(cls, frames: Iterable[Frame]) -> Measured:
        """Return what at least one of the workers measures."""
        known = tuple(frames)
        return cls(
            sql=any(frame.probes.get("sqlalchemy") == "on" for frame in known),
            caches=any(frame.probes.get(probe) == "on" for frame in known for probe in _CACHE_PROBES),
            threadpool=any(frame.threadpool is not None for frame in known),
            loop=any(frame.loop is not None for frame in known),
        )


def route_rows(tally: Tally, splits: Sequence[Splits], axis: Axis) -> tuple[RouteSummary, ...]:
    """Return every route with a request, those with the highest total cost first."""
    measured = Measured.by(worker.last for worker in tally.workers.values())
    rows = [
        _row(route, tally.covered_s, measured, Shares(splits, route.route), axis.route(route.route))
        for route in tally.routes.values()
        if route.status.total()
    ]
    rows.sort(key=lambda row: (-row.total_ms, row.route))
    return tuple(rows)


def status_by_name(status: StatusCounts) -> dict[str, int]:
    """Return the counts under the names that people know, `1xx` only where there are any."""
    named = {
        "2xx": status.success,
        "3xx": status.redirect,
        "4xx": status.client_error,
        "5xx": status.server_error,
        "disconnected": status.disconnected,
    }
    return {"1xx": status.informational, **named} if status.informational else named


def _row(
    route: RouteFrame,
    covered_s: float,
    measured: Measured,
    shares: Shares,
    trend: tuple[float | None, ...],
) -> RouteSummary:
    requests = route.status.total()
    bytes_p50, bytes_p95 = quantiles(route.body_bytes, (0.5, 0.95))

    def per_request_ms(ns: int, seen: bool) -> float | None:
        return ns / 1e6 / requests if seen or ns else None

    sql_seen = measured.sql or route.sql_count > 0
    return RouteSummary(
        route=route.route,
        requests=requests,
        rps=requests / covered_s if covered_s else 0.0,
        errors=route.status.server_error,
        error_rate=route.status.server_error / requests,
        status=status_by_name(route.status),
        latency=latency_of(route.latency),
        sketch=route.latency,
        total_ms=route.latency.total / 1e6,
        ttfb_p95_ms=quantile_ms(route.ttfb, 0.95),
        background_p95_ms=quantile_ms(route.background, 0.95),
        serialize_ms_per_request=None if route.serialize is None else route.serialize.total / 1e6 / requests,
        bytes_p50=None if bytes_p50 is None else round(bytes_p50),
        bytes_p95=None if bytes_p95 is None else round(bytes_p95),
        streaming=route.streaming > 0,
        sql_per_request=route.sql_count / requests if sql_seen else None,
        sql_ms_per_request=per_request_ms(route.sql_ns, sql_seen),
        cache_ms_per_request=per_request_ms(route.cache_ns, measured.caches),
        pool_wait_ms_per_request=per_request_ms(route.pool_wait_ns, sql_seen),
        threadpool_wait_ms_per_request=per_request_ms(route.threadpool_wait_ns, measured.threadpool),
        loop_wait_ms_per_request=per_request_ms(route.loop_wait_ns, measured.loop),
        shares=shares,
        exceptions=tuple(sorted(route.exceptions, key=lambda each: -each.count)),
        repeats=tuple(sorted(route.repeats, key=lambda each: -each.executions)),
        bodies=route.body_bytes.count,
        compressed=route.compressed,
        trend=trend,
    )
