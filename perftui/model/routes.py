"""What each route did over a window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from perftui.model.axis import Axis, Lazy
from perftui.model.measures import Share, Sketches
from perftui.model.packed import Packed
from perftui.model.parts import RouteCounts, RoutePart
from perftui.model.quantiles import latency_of, quantile_ms, quantiles
from perftui.model.route_summary import PathSummary, RouteSummary
from perftui.model.steps import EVERY, Steps
from perftui.model.tally import Tally
from perftui.model.upstreams import PROBES
from perftui.model.waiting import queued_of
from perftui.record import Record
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.parts import RouteLabel

SELDOM = 0.05
"""Of a route's requests: what follows the response of fewer is no habit of the route's, …"""

TIDYING_MS = 100.0
"""… if it is over so soon."""

_CACHE_PROBES = ("caches", "cachetools", "functools", "redis")


class Measured(Record, frozen=True):
    """What the agents can see: a count of what nobody looks at is no 0 but no data."""

    sql: bool
    locks: bool
    caches: bool
    threadpool: bool
    loop: bool
    calls: bool

    @classmethod
    def by(cls, frames: Iterable[Frame]) -> Measured:
        """Return what at least one of the workers measures."""
        known = tuple(frames)
        return cls(
            sql=any(frame.probes.get("sqlalchemy") == "on" for frame in known),
            locks=any(frame.probes.get("locks") == "on" for frame in known),
            caches=any(frame.probes.get(probe) == "on" for frame in known for probe in _CACHE_PROBES),
            threadpool=any(frame.threadpool is not None for frame in known),
            loop=any(frame.loop is not None for frame in known),
            calls=any(frame.probes.get(probe) == "on" for frame in known for probe in PROBES),
        )


def route_rows(
    tally: Tally, axis: Axis, shares: Callable[[RouteLabel], tuple[Share, ...]]
) -> Steps[tuple[RouteSummary, ...]]:
    """Return every route with a request, those with the highest total cost first."""
    measured = Measured.by(worker.last for worker in tally.workers.values())
    rows = []
    for place, (label, part) in enumerate(tally.routes.items()):
        if (counts := part.counts()).requests:
            shared = _lazily(shares, label)
            rows.append(_row(label, part, counts, tally.covered_s, measured, shared, axis))
        if not place % EVERY:
            yield
    # What waits on purpose costs nobody anything.
    rows.sort(key=lambda row: (bool(row.long_poll), -row.total_ms, row.route))
    return tuple(rows)


def _paths(part: RoutePart) -> Lazy[PathSummary]:
    return Lazy(
        lambda: tuple(
            [
                PathSummary(
                    row.path, row.requests, row.errors, latency_of(row.latency), row.latency.total / 1e6
                )
                for row in part.paths
            ]
        )
    )


def _lazily(shares: Callable[[RouteLabel], tuple[Share, ...]], label: RouteLabel) -> Lazy[Share]:
    return Lazy(lambda: shares(label))


def _background_p95_ms(background: Packed, requests: int) -> float | None:
    """Return the p95 of what went on after responses; None where it was short, and after hardly any.

    What frameworks tidy up takes longer now and then, on a processor that others have: that is no work.
    """
    p95_ms = quantile_ms(background, 0.95)
    is_habit = background.count > SELDOM * requests
    return p95_ms if is_habit or (p95_ms or 0.0) >= TIDYING_MS else None


def _status_by_name(counts: RouteCounts) -> dict[str, int]:
    """Return the counts under the names that people know, `1xx` only where there are any."""
    named = {
        "2xx": counts.success,
        "3xx": counts.redirect,
        "4xx": counts.client_error,
        "5xx": counts.server_error,
        "disconnected": counts.disconnected,
    }
    return {"1xx": counts.informational, **named} if counts.informational else named


def _row(
    label: RouteLabel,
    part: RoutePart,
    counts: RouteCounts,
    covered_s: float,
    measured: Measured,
    shares: Sequence[Share],
    axis: Axis,
) -> RouteSummary:
    requests = counts.requests
    bytes_p50, bytes_p95 = quantiles(part.body_bytes, (0.5, 0.95))

    def per_request_ms(ns: int, seen: bool) -> float | None:
        return ns / 1e6 / requests if seen or ns else None

    sql_seen = measured.sql or counts.sql_count > 0
    database_ns = counts.sql_ns + counts.transaction_ns
    locked_ns = counts.lock_ns + counts.transaction_lock_ns
    return RouteSummary(
        route=label,
        requests=requests,
        rps=requests / covered_s if covered_s else 0.0,
        errors=counts.server_error,
        error_rate=counts.server_error / requests,
        status=_status_by_name(counts),
        latency=latency_of(part.latency),
        sketch=part.latency,
        total_ms=part.latency.total / 1e6,
        sketches=Sketches(part.queue, part.ttfb, part.background, part.body_bytes),
        queued=queued_of(part.queue, counts.queue_known),
        ttfb_p95_ms=quantile_ms(part.ttfb, 0.95),
        first_bytes=part.ttfb.count,
        background_p95_ms=_background_p95_ms(part.background, requests),
        backgrounds=part.background.count,
        serialize_ms_per_request=counts.serialize_ns / 1e6 / requests if counts.serialized else None,
        bytes_p50=None if bytes_p50 is None else round(bytes_p50),
        bytes_p95=None if bytes_p95 is None else round(bytes_p95),
        streaming=counts.streaming > 0,
        long_poll=part.long_poll,
        sql_per_request=counts.sql_count / requests if sql_seen else None,
        sql_ms_per_request=per_request_ms(database_ns, sql_seen),
        transaction_ms_per_request=per_request_ms(counts.transaction_ns, sql_seen),
        lock_ms_per_request=per_request_ms(locked_ns, sql_seen and measured.locks),
        transaction_lock_ms_per_request=counts.transaction_lock_ns / 1e6 / requests,
        cache_ms_per_request=per_request_ms(counts.cache_ns, measured.caches),
        pool_wait_ms_per_request=per_request_ms(counts.pool_wait_ns, sql_seen),
        threadpool_wait_ms_per_request=per_request_ms(counts.threadpool_wait_ns, measured.threadpool),
        loop_wait_ms_per_request=per_request_ms(counts.loop_wait_ns, measured.loop),
        background_ms_per_request=per_request_ms(counts.background_ns, False),
        http_per_request=counts.http_count / requests if measured.calls or counts.http_count else None,
        http_ms_per_request=per_request_ms(counts.http_ns, measured.calls or counts.http_count > 0),
        http_held_ms_per_request=per_request_ms(counts.http_held_ns, measured.calls or counts.http_count > 0),
        shares=shares,
        exceptions=part.exceptions,
        repeats=part.repeats,
        paths=_paths(part) if part.paths else (),
        bodies=part.body_bytes.count,
        compressed=counts.compressed,
        files=counts.files,
        followed=requests - counts.unfollowed,
        trend=axis.route(label),
        steps=axis.steps(label),
    )
