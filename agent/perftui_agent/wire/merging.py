"""Merges frames of one worker into one that covers them all: how older history gets smaller.

What counts is added, sketches are merged, what is read is that of the latest. Nothing is copied: the
first frame grows, and the others are given up.
"""

from __future__ import annotations

import msgspec

from perftui_agent.wire.adding import OTHER, add, added_counts, merge_optional, merge_parts
from perftui_agent.wire.after import BackgroundFrame
from perftui_agent.wire.channels import ChannelFrame
from perftui_agent.wire.explain import PlanNote
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.gil import merged_gil
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.machine import merged_machine
from perftui_agent.wire.merging_upstreams import merge_upstream
from perftui_agent.wire.outside import CacheFrame, PoolFrame, StatementFrame
from perftui_agent.wire.process import Listener
from perftui_agent.wire.requests import ExceptionCount, PathFrame, RepeatedShape, RouteFrame

KEPT_SLOWEST = 30
KEPT_INCIDENTS = 20
KEPT_EVIDENCE = 5
KEPT_PLANS = 20
KEPT_PATHS = 50

_ROUTE_SUMS = (
    "streaming",
    "serialized",
    "serialize_ns",
    "compressed",
    "files",
    "sql_count",
    "sql_ns",
    "transaction_count",
    "transaction_ns",
    "lock_ns",
    "transaction_lock_ns",
    "cache_count",
    "cache_ns",
    "pool_wait_ns",
    "threadpool_wait_ns",
    "loop_wait_ns",
    "background_ns",
    "http_count",
    "http_ns",
    "http_held_ns",
    "unfollowed",
    "queue_known",
)
_STATUS_SUMS = ("informational", "success", "redirect", "client_error", "server_error", "disconnected")
_STATEMENT_SUMS = ("errors", "slow", "same_binds", "unfollowed")
BACKGROUND_SUMS = (
    "errors",
    "threaded",
    "held",
    "held_ns",
    "sql_count",
    "sql_ns",
    "transaction_ns",
    "cache_count",
    "cache_ns",
    "http_count",
    "http_ns",
)
"""What adds up, by its name."""
CHANNEL_SUMS = (
    "opened",
    "closed",
    "received",
    "received_bytes",
    "sent",
    "sent_bytes",
    "unjudged",
    "replies",
    "queued",
    "held_ns",
    "news_ns",
    "blocked_ns",
    "errors",
    "sql_count",
    "sql_ns",
    "transaction_ns",
    "cache_count",
    "cache_ns",
    "http_count",
    "http_ns",
)
"""What adds up, by its name."""
_CHANNEL_GAUGES = ("open", "under_way", "longest_ns", "sending", "sending_longest_ns")
_CACHE_SUMS = ("hits", "misses", "expirations", "stampedes", "errors")


def merge_into(older: Frame, newer: Frame) -> None:
    """Make `older` cover what `newer` covers too."""
    merge_parts(older.routes, newer.routes, lambda route: route.route, merge_route)
    merge_parts(older.statements, newer.statements, lambda row: row.fingerprint, merge_statement)
    merge_parts(older.transactions, newer.transactions, lambda row: row.fingerprint, merge_statement)
    merge_parts(older.pools, newer.pools, lambda pool: pool.name, _merge_pool)
    merge_parts(older.caches, newer.caches, lambda cache: (cache.kind, cache.name), merge_cache)
    merge_parts(
        older.upstreams, newer.upstreams, lambda row: (row.host, row.method, row.library), merge_upstream
    )
    merge_parts(older.channels, newer.channels, channel_key, merge_channel)
    merge_parts(older.background, newer.background, background_key, merge_background)
    if older.loop is not None and newer.loop is not None:
        newer.loop.lag.merge(older.loop.lag)
    if older.gc is not None and newer.gc is not None:
        newer.gc.pauses.merge(older.gc.pauses)
        for generation, count in older.gc.collections.items():
            newer.gc.collections[generation] = newer.gc.collections.get(generation, 0) + count
    if older.threadpool is not None and newer.threadpool is not None:
        newer.threadpool.wait.merge(older.threadpool.wait)
    slowest = sorted([*older.slowest, *newer.slowest], key=lambda slow: slow.total_ns, reverse=True)
    older.slowest = slowest[:KEPT_SLOWEST]
    told = {span.fingerprint for slow in older.slowest for span in slow.spans}
    known = {row.fingerprint for row in older.statements}
    texts = {**newer.texts, **older.texts}
    older.texts = {key: text for key, text in texts.items() if key in told and key not in known}
    ended = [incident for incident in [*older.incidents, *newer.incidents] if not incident.ongoing]
    older.incidents = sorted(ended, key=lambda incident: incident.ns, reverse=True)[:KEPT_INCIDENTS]
    older.plans = latest_plans([*older.plans, *newer.plans])
    older.evidence = latest_evidence([*older.evidence, *newer.evidence])[-KEPT_EVIDENCE:]
    if newer.listen_overflows is not None:
        older.listen_overflows = (older.listen_overflows or 0) + newer.listen_overflows
    older.listeners = _merged_listeners(older.listeners, newer.listeners)
    older.gil = merged_gil(older.gil, newer.gil)
    older.machine = merged_machine(older.machine, newer.machine)
    older.span_ns += newer.span_ns
    for field in (
        "seq",
        "ended_at",
        "steady_ns",
        "in_flight",
        "in_flight_rows",
        "open_websockets",
        "open_streams",
        "process",
        "loop",
        "threadpool",
        "gc",
        "database",
        "agent",
        "probes",
    ):
        setattr(older, field, getattr(newer, field))


def latest_plans(told: list[PlanNote]) -> list[PlanNote]:
    """Return what is known of each plan, as it was found last."""
    latest: dict[str, PlanNote] = {}
    for each in told:
        have = latest.get(each.fingerprint)
        if have is None or each.taken_at >= have.taken_at:
            latest[each.fingerprint] = each
    return list(latest.values())[-KEPT_PLANS:]


def latest_evidence(told: list[Evidence]) -> list[Evidence]:
    """Return each piece of evidence once, as it was told of last, in the order in which they were."""
    latest: dict[str, Evidence] = {}
    for each in told:
        latest.pop(each.id, None)
        latest[each.id] = each
    return list(latest.values())


def _merged_listeners(older: list[Listener], newer: list[Listener]) -> list[Listener]:
    """Return the sockets as they are now, each with the most that waited in either span."""
    most = {listener.address: listener.most for listener in older}
    return [
        listener
        if (before := most.get(listener.address)) is None or before <= (listener.most or 0)
        else msgspec.structs.replace(listener, most=before)
        for listener in newer
    ]


def merge_route(older: RouteFrame, newer: RouteFrame) -> None:
    """Add what `newer` has counted to `older`."""
    add(older.status, newer.status, _STATUS_SUMS)
    older.latency.merge(newer.latency)
    older.queue.merge(newer.queue)
    older.ttfb.merge(newer.ttfb)
    older.body_bytes.merge(newer.body_bytes)
    older.background = merge_optional(older.background, newer.background)
    older.long_poll = newer.long_poll or older.long_poll
    add(older, newer, _ROUTE_SUMS)
    exceptions = {(each.type, each.place, each.answered): each.count for each in older.exceptions}
    for each in newer.exceptions:
        key = (each.type, each.place, each.answered)
        exceptions[key] = exceptions.get(key, 0) + each.count
    older.exceptions = [
        ExceptionCount(type=kind, place=place, count=count, answered=answered)
        for (kind, place, answered), count in exceptions.items()
    ]
    merge_parts(older.repeats, newer.repeats, lambda row: (row.fingerprint, row.call_site), _merge_repeats)
    if newer.paths:
        _merge_paths(older, newer)


def _merge_repeats(older: RepeatedShape, newer: RepeatedShape) -> None:
    add(older, newer, ("requests", "executions", "distinct_binds", "total_ns"))
    older.most = max(older.most, newer.most)


def merge_path(older: PathFrame, newer: PathFrame) -> None:
    """Add what `newer` has counted to `older`."""
    add(older, newer, ("requests", "errors"))
    older.latency.merge(newer.latency)


def _merge_paths(older: RouteFrame, newer: RouteFrame) -> None:
    """Add the paths below a route, the costliest of which are kept apart."""
    merge_parts(older.paths, newer.paths, lambda row: row.path, merge_path)
    if len(older.paths) > KEPT_PATHS + 1:
        older.paths.sort(key=lambda row: (row.path != OTHER, row.latency.total), reverse=True)
        other = PathFrame(path=OTHER)
        for row in older.paths[KEPT_PATHS:]:
            merge_path(other, row)
        older.paths[KEPT_PATHS:] = [other]


def merge_statement(older: StatementFrame, newer: StatementFrame) -> None:
    """Add what `newer` has counted to `older`."""
    older.latency.merge(newer.latency)
    add(older, newer, _STATEMENT_SUMS)
    for route, count in newer.routes.items():
        older.routes[route] = older.routes.get(route, 0) + count
    if older.fingerprint == newer.fingerprint:
        older.statement = max(older.statement, newer.statement, key=len)
    older.call_site = older.call_site if newer.call_site is None else newer.call_site


def _merge_pool(older: PoolFrame, newer: PoolFrame) -> None:
    older.wait.merge(newer.wait)
    add(older, newer, ("checkouts", "timeouts"))
    for field in ("size", "checked_out", "overflow", "max", "waiting", "longest_wait_ns"):
        setattr(older, field, getattr(newer, field))


def merge_cache(older: CacheFrame, newer: CacheFrame) -> None:
    """Add what `newer` has counted to `older`, which takes its sizes."""
    add(older, newer, _CACHE_SUMS)
    if newer.evictions is not None:
        older.evictions = (older.evictions or 0) + newer.evictions
    if newer.filled is not None:
        older.filled = (older.filled or 0) + newer.filled
    older.latency = merge_optional(older.latency, newer.latency)
    older.size, older.maxsize = newer.size, newer.maxsize


def background_key(row: BackgroundFrame) -> tuple[str, str, str]:
    """Return what tells work after the response from other such work."""
    return row.kind, row.name, row.route


def merge_background(older: BackgroundFrame, newer: BackgroundFrame) -> None:
    """Add what `newer` has counted to `older`, which takes what runs of it."""
    older.latency.merge(newer.latency)
    older.wait = merge_optional(older.wait, newer.wait)
    add(older, newer, BACKGROUND_SUMS)
    older.failures = added_counts(older.failures, newer.failures)
    older.running, older.oldest_ns = newer.running, newer.oldest_ns


def channel_key(row: ChannelFrame) -> tuple[str, str]:
    """Return what tells connections from others."""
    return row.kind, row.route


def merge_channel(older: ChannelFrame, newer: ChannelFrame) -> None:
    """Add what `newer` has counted to `older`, which takes its gauges."""
    for field in ("first", "lasted", "handling", "blocked"):
        getattr(older, field).merge(getattr(newer, field))
    add(older, newer, CHANNEL_SUMS)
    for field in _CHANNEL_GAUGES:
        setattr(older, field, getattr(newer, field))
    older.failures = added_counts(older.failures, newer.failures)
    older.codes = added_counts(older.codes, newer.codes)
