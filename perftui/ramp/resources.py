"""The resources that can give: how full each was, and where an average request spent its time.

Takes a summary of one step. What nobody knows is left out, and never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.record import Record

Kind: TypeAlias = Literal[
    "loop", "gil", "cpu", "quota", "threadpool", "pool", "database", "lock", "upstream", "client-pool",
    "memory", "accept-queue", "imbalance", "generator", "none",
]  # fmt: skip
"""What can give."""

FULL = 0.85
"""From here on a resource counts as used up."""

MOST_FACTOR = 4.0
"""No mend is promised to give more than that: what lies beyond was never seen."""


class Parts(Record, frozen=True):
    """Where an average request spent its time, in ms, over all routes that were sent to."""

    queued: float = 0.0
    loop: float = 0.0
    threadpool: float = 0.0
    pool: float = 0.0
    sql: float = 0.0
    http: float = 0.0
    http_pool: float = 0.0
    """Of `http`, waiting for the client's own connections."""
    rest: float = 0.0
    lock: float = 0.0
    """Of `sql`, waiting for the database's locks, as far as agents saw it: a tenth of a second and more."""

    def grown_from(self, before: Parts) -> Parts:
        """Return by how much each has grown."""
        return Parts(
            *(
                max(after - earlier, 0.0)
                for after, earlier in zip(
                    msgspec.structs.astuple(self), msgspec.structs.astuple(before), strict=True
                )
            )
        )


def least(several: Iterable[Parts]) -> Parts:
    """Return of each part the least that it has taken in any of several steps."""
    return Parts(*map(min, zip(*map(msgspec.structs.astuple, several), strict=True)))


def parts_of(summary: Summary) -> Parts:
    """Return where an average request spends its time."""
    routes = [row for row in summary.routes if row.requests and not row.long_poll]
    requests = sum(row.requests for row in routes)
    if not requests:
        return Parts()

    def mean(of: Callable[[RouteSummary], float | None]) -> float:
        return sum((of(row) or 0.0) * row.requests for row in routes) / requests

    whole = mean(lambda row: row.latency.mean_ms)
    queued = mean(lambda row: row.queued.ms_per_request)
    loop = mean(lambda row: row.loop_wait_ms_per_request)
    threads = mean(lambda row: row.threadpool_wait_ms_per_request)
    pool = mean(lambda row: row.pool_wait_ms_per_request)
    sql = mean(lambda row: row.sql_ms_per_request)
    http = mean(lambda row: row.http_ms_per_request)
    lock = mean(lambda row: row.lock_ms_per_request)
    waited = sum(each.pool_wait_ms for each in summary.upstreams) / requests
    rest = max(whole - queued - loop - threads - pool - sql - http, 0.0)
    return Parts(queued, loop, threads, pool, sql, http, min(waited, http), rest, min(lock, sql))


def saturation(summary: Summary) -> dict[Kind, float]:
    """Return how full each resource was, 0…1; what nobody knows is not there."""
    workers = [row for row in summary.workers if row.state != "gone" and row.cpu_mean_percent is not None]
    found: dict[Kind, float] = {}
    if workers:
        found["loop"] = min(max(row.cpu_mean_percent or 0.0 for row in workers) / 100, 1.0)
    held = [row.gil.share for row in workers if row.gil is not None]
    if held:
        found["gil"] = min(max(held), 1.0)
    hosts = [row.contention.host for row in workers if row.contention.host is not None]
    busy = [host.busy for host in hosts if host.busy is not None]
    if busy:
        found["cpu"] = min(max(busy), 1.0)
    quotas: dict[str, float] = {}
    for row in workers:
        if (quota := row.contention.quota) is not None:
            share = (row.cpu_mean_percent or 0.0) / 100 / max(quota.cores, 0.001)
            quotas[quota.group] = quotas.get(quota.group, 0.0) + share
    if quotas:
        found["quota"] = min(max(quotas.values()), 1.0)
    threads = [row.threadpool for row in workers if row.threadpool and row.threadpool.total]
    if threads:
        found["threadpool"] = max(min(each.used / each.total, 1.0) for each in threads)
    pools = [each for each in summary.pools if each.max]
    if pools:
        found["pool"] = max(min((each.checked_out or 0) / (each.max or 1), 1.0) for each in pools)
    clients = [each for each in summary.upstreams if each.limit]
    if clients:
        found["client-pool"] = max(
            min(((each.connections or 0) - (each.idle or 0)) / (each.limit or 1), 1.0) for each in clients
        )
    backlogs = [each for row in workers for each in row.backlogs if each.limit]
    if backlogs:
        found["accept-queue"] = max(
            min((each.most or each.waiting or 0) / (each.limit or 1), 1.0) for each in backlogs
        )
    left = [
        row.memory_left_bytes / row.memory_limit_bytes
        for row in workers
        if row.memory_left_bytes is not None and row.memory_limit_bytes
    ]
    if left:
        found["memory"] = 1.0 - min(left)
    return found


EXPLAINS: Mapping[Kind, frozenset[Kind]] = MappingProxyType(
    {
        "quota": frozenset(
            {"loop", "gil", "cpu", "threadpool", "pool", "client-pool", "database", "upstream"}
        ),
        "lock": frozenset({"pool", "database", "threadpool"}),
        "pool": frozenset({"threadpool", "database"}),
        "client-pool": frozenset({"upstream", "threadpool"}),
        "upstream": frozenset({"threadpool", "pool", "client-pool"}),
        "database": frozenset({"pool", "threadpool"}),
        "gil": frozenset({"loop", "threadpool", "pool", "database"}),
        "loop": frozenset({"pool", "client-pool", "database", "upstream", "imbalance", "accept-queue"}),
        "cpu": frozenset({"loop", "gil", "pool", "database", "threadpool", "accept-queue"}),
        "memory": frozenset(),
    }
)
"""What each brings about, once it is used up: a cause comes before its effects, whatever time those took."""
