"""A summary as plain text: what `perftui snapshot` prints for people."""

from __future__ import annotations

from perftui.model.summary import RouteSummary, Summary, WorkerSummary
from perftui.present.snapshot import moment
from perftui.present.table import Column, section, table
from perftui.present.units import NO_DATA, age, count, ms, percent, rate, size

MAX_ROUTES = 40
MAX_QUERIES = 15
MAX_ROWS = 10


def report(summary: Summary) -> list[str]:
    """Return the lines of a report."""
    return [
        *_head(summary),
        *section("targets", _slo(summary)),
        *section("routes", _routes(summary)),
        *section("workers", _workers(summary)),
        *section("queries", _queries(summary)),
        *section("pools", _pools(summary)),
        *section("caches", _caches(summary)),
        *section("incidents", _incidents(summary)),
        *section("in flight", _in_flight(summary)),
    ]


def _head(summary: Summary) -> list[str]:
    totals, coverage = summary.totals, summary.coverage
    name = summary.service or NO_DATA
    seen = f"workers {coverage.workers_seen}/{coverage.workers_known}"
    dropped = f", {coverage.frames_dropped} frames lost" if coverage.frames_dropped else ""
    latency = totals.latency
    figures = (
        f"{count(totals.requests)} requests",
        f"{rate(totals.rps)}/s",
        f"errors {percent(totals.error_rate)}",
        f"p50 {ms(latency.p50_ms)}",
        f"p95 {ms(latency.p95_ms)}",
        f"p99 {ms(latency.p99_ms)}",
        f"max {ms(latency.max_ms)}",
        f"in flight {totals.in_flight}",
    )
    return [
        f"{name} · {summary.target} · {moment(summary.at)} · {summary.window_s:.1f} s · {seen}{dropped}",
        " · ".join(figures),
    ]


def _slo(summary: Summary) -> list[str]:
    words = {True: "met", False: "MISSED", None: "no traffic to judge by"}
    rows = [(each.scope, each.slo, _value(each.slo, each.value), words[each.met]) for each in summary.slo]
    return table((Column("scope"), Column("target"), Column("value", True), Column("")), rows)


def _value(slo: str, value: float | None) -> str:
    if slo.startswith("errors"):
        return percent(value)
    return rate(value) if slo.startswith("rps") else ms(value)


def _routes(summary: Summary) -> list[str]:
    columns = [Column("route")]
    columns += [
        Column(name, True) for name in ("requests", "rps", "errors", "p50", "p95", "p99", "max", "sql/req")
    ]
    lines = table(columns, [_route(row) for row in summary.routes[:MAX_ROUTES]])
    return lines + _more(len(summary.routes) - MAX_ROUTES, "routes")


def _route(row: RouteSummary) -> tuple[str, ...]:
    latency = row.latency
    return (
        row.route,
        count(row.requests),
        rate(row.rps),
        percent(row.error_rate),
        ms(latency.p50_ms),
        ms(latency.p95_ms),
        ms(latency.p99_ms),
        ms(latency.max_ms),
        rate(row.sql_per_request),
    )


def _workers(summary: Summary) -> list[str]:
    columns = [Column("pid", True), Column("state")]
    names = ("requests", "rps", "p95", "cpu", "rss", "threads", "in flight", "lag p99", "up")
    columns += [Column(name, True) for name in names]
    return table(columns, [_worker(row) for row in summary.workers])


def _worker(row: WorkerSummary) -> tuple[str, ...]:
    state: str = row.state
    if row.state == "blocked":
        state = f"blocked {ms(row.blocked_ms)} at {row.blocked_at or '?'}"
    return (
        str(row.pid),
        state,
        count(row.requests),
        rate(row.rps),
        ms(row.latency.p95_ms),
        percent(None if row.cpu_percent is None else row.cpu_percent / 100),
        size(row.rss_bytes),
        count(row.threads),
        count(row.in_flight),
        ms(row.loop_lag_p99_ms),
        age(row.uptime_s),
    )


def _queries(summary: Summary) -> list[str]:
    columns = [Column(name, True) for name in ("count", "errors", "p50", "p95", "total")]
    columns += [Column("statement"), Column("from")]
    rows = [
        (
            count(row.count),
            count(row.errors),
            ms(row.latency.p50_ms),
            ms(row.latency.p95_ms),
            ms(row.total_ms),
            row.statement or row.fingerprint,
            row.call_site or NO_DATA,
        )
        for row in summary.queries[:MAX_QUERIES]
    ]
    return table(columns, rows) + _more(len(summary.queries) - MAX_QUERIES, "statements")


def _pools(summary: Summary) -> list[str]:
    columns = [Column("pool"), Column("in use", True), Column("max", True)]
    columns += [Column("wait p95", True), Column("time-outs", True)]
    rows = [
        (row.name, count(row.checked_out), count(row.max), ms(row.wait_p95_ms), count(row.timeouts))
        for row in summary.pools
    ]
    return table(columns, rows)


def _caches(summary: Summary) -> list[str]:
    columns = [Column("cache"), Column("kind")]
    columns += [Column(name, True) for name in ("hits", "misses", "ratio", "evictions", "size", "of")]
    rows = []
    for row in summary.caches:
        lookups = row.hits + row.misses
        ratio = percent(row.hits / lookups if lookups else None)
        counts = (count(row.hits), count(row.misses), ratio, count(row.evictions))
        rows.append((row.name, row.kind, *counts, count(row.size), count(row.maxsize)))
    return table(columns, rows)


def _incidents(summary: Summary) -> list[str]:
    columns = [Column("at"), Column("pid", True), Column("kind"), Column("for", True)]
    columns += [Column("where"), Column("route")]
    rows = [
        (
            moment(row.incident.at / 1e9),
            str(row.pid),
            row.incident.kind,
            ms(row.incident.ns / 1e6),
            row.incident.where,
            row.incident.route or NO_DATA,
        )
        for row in summary.incidents[-MAX_ROWS:]
    ]
    return table(columns, rows)


def _in_flight(summary: Summary) -> list[str]:
    columns = [Column("age", True), Column("pid", True), Column("request"), Column("waiting at")]
    rows = [
        (
            ms(row.request.age_ns / 1e6),
            str(row.pid),
            f"{row.request.method} {row.request.path}",
            row.request.waiting_at or NO_DATA,
        )
        for row in summary.in_flight[:MAX_ROWS]
    ]
    return table(columns, rows) + _more(len(summary.in_flight) - MAX_ROWS, "requests")


def _more(hidden: int, what: str) -> list[str]:
    return [f"… and {hidden} {what} more: see --json"] if hidden > 0 else []
