"""What requests wait for outside their process, as text: statements, pools, caches, other services."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.model.outside_summary import PoolSummary, QuerySummary, UpstreamSummary
from perftui.present.documents.table import Column, more, table
from perftui.present.text.quantile import marked, quantile
from perftui.present.text.units import NO_DATA, count, ms, percent
from perftui_agent.wire.outside import CacheFrame

MAX_QUERIES = 15
MAX_UPSTREAMS = 15


def queries(found: Sequence[QuerySummary], room: int) -> list[str]:
    """Return the statements, the costliest first."""
    columns = [Column(name, True) for name in ("count", "errors", "p50", "p95", "total")]
    columns += [Column("statement", shrinks=True), Column("from", shrinks=True)]
    rows = [
        (
            count(row.count),
            count(row.errors),
            ms(row.latency.p50_ms),
            quantile(row.latency, "p95"),
            ms(row.total_ms),
            row.statement or row.fingerprint,
            row.call_site or NO_DATA,
        )
        for row in found[:MAX_QUERIES]
    ]
    return table(columns, rows, room) + more(len(found) - MAX_QUERIES, "statements")


def pools(found: Sequence[PoolSummary], room: int) -> list[str]:
    """Return the pools of connections."""
    columns = [Column("pool", shrinks=True), Column("in use", True), Column("max", True)]
    columns += [Column("wait p95", True), Column("time-outs", True)]
    rows = [
        (
            row.name,
            count(row.checked_out),
            count(row.max),
            marked(row.wait_p95_ms, row.waits, "p95"),
            count(row.timeouts),
        )
        for row in found
    ]
    return table(columns, rows, room)


def caches(found: Sequence[CacheFrame], room: int) -> list[str]:
    """Return the caches."""
    columns = [Column("cache", shrinks=True), Column("kind", shrinks=True)]
    columns += [Column(name, True) for name in ("hits", "misses", "ratio", "evictions", "size", "of")]
    rows = []
    for row in found:
        lookups = row.hits + row.misses
        ratio = percent(row.hits / lookups if lookups else None)
        counts = (count(row.hits), count(row.misses), ratio, count(row.evictions))
        rows.append((row.name, row.kind, *counts, count(row.size), count(row.maxsize)))
    return table(columns, rows, room)


def upstreams(found: Sequence[UpstreamSummary], room: int) -> list[str]:
    """Return the other services, the costliest first; `answer` is an upstream's own time."""
    columns = [Column("upstream", shrinks=True)]
    names = ("calls", "errors", "time-outs", "p50", "p95", "answer", "wait", "total")
    columns += [*[Column(name, True) for name in names], Column("from", shrinks=True)]
    rows = [
        (
            f"{row.method} {row.host}".strip(),
            count(row.count),
            percent(row.errors / row.count if row.count else None),
            count(row.timeouts),
            ms(row.latency.p50_ms),
            quantile(row.latency, "p95"),
            marked(row.answer_p95_ms, row.answers, "p95"),
            marked(row.pool_wait_p95_ms, row.count, "p95"),
            ms(row.total_ms),
            row.call_site or NO_DATA,
        )
        for row in sorted(found, key=lambda row: -row.total_ms)[:MAX_UPSTREAMS]
    ]
    return table(columns, rows, room) + more(len(found) - MAX_UPSTREAMS, "upstreams")
