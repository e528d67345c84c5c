"""A summary as plain text: what `perftui snapshot` prints for people, at most as wide as asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from perftui.findings.figures import plural
from perftui.findings.find import find
from perftui.model.figures import Row
from perftui.model.filter import EVERYTHING, Filter
from perftui.model.happenings import FlightRow, IncidentRow, SloVerdict
from perftui.model.route_summary import RouteSummary
from perftui.model.slo import left_out
from perftui.model.summary import Summary
from perftui.model.waiting import fullness, not_asked
from perftui.model.worker_summary import WorkerSummary
from perftui.present.documents.report_after import background, channels
from perftui.present.documents.report_outside import caches, pools, queries, upstreams
from perftui.present.documents.rows.units import moment
from perftui.present.documents.table import Column, more, section, table
from perftui.present.text.cells import clean
from perftui.present.text.doubts import doubts_of, probes_off
from perftui.present.text.evidence import short_place
from perftui.present.text.quantile import marked, quantile
from perftui.present.text.statements import wrapped
from perftui.present.text.units import NO_DATA, age, count, ms, percent, rate, size

MAX_ROUTES = 40
MAX_ROWS = 10


WIDTH = 100
"""Where it goes to no terminal."""

_INDENT = 2

_HANGING = 4
"""Cells by which the further lines of a sentence are indented."""

_LEAST = 20
"""Cells of a sentence in a line, however narrow the terminal is."""

_BEFORE_S = 2.0
"""What led to the first frame of a window began before it."""

R = TypeVar("R", bound=Row)


def report(summary: Summary, wanted: Filter = EVERYTHING, width: int = WIDTH) -> list[str]:
    """Return the lines of a report: of its tables the rows that are `wanted`."""
    room = width - _INDENT

    def rows(title: str, found: Sequence[R], draw: Callable[[Sequence[R], int], list[str]]) -> list[str]:
        kept = wanted.of(found)
        if not wanted or not found:
            return section(title, draw(kept, room))
        lines = draw(kept, room) or ["none of them is wanted"]
        return section(f"{title}, {len(kept)} of {len(found)}: {wanted.text}", lines)

    return [
        *_head(summary),
        *section("targets", _slo(summary, room)),
        *section("findings", _findings(summary, room)),
        *rows("routes", summary.routes, _routes),
        *rows("workers", summary.workers, _workers),
        *section("queued", _unknown_queue(summary, room)),
        *rows("queries", summary.asked, queries),
        *rows("pools", summary.pools, pools),
        *rows("caches", summary.caches, caches),
        *rows("upstreams", summary.upstreams, upstreams),
        *rows("after the response", summary.background, background),
        *rows("connections", summary.channels, channels),
        *rows("incidents", summary.incidents, _incidents),
        *rows("in flight", summary.in_flight, _in_flight),
        *section("events", _events(summary, room)),
        *section("to bear in mind", _doubts(summary, room)),
    ]


def _head(summary: Summary) -> list[str]:
    totals, coverage = summary.totals, summary.coverage
    name = summary.service or NO_DATA
    seen = f"workers {coverage.workers_seen}/{coverage.workers_known}"
    dropped = f", {coverage.frames_dropped} frames lost" if coverage.frames_dropped else ""
    latency, queued = totals.latency, totals.queued
    figures = (
        plural(totals.requests, "request"),
        f"{rate(totals.rps)}/s",
        f"errors {percent(totals.error_rate)}",
        f"p50 {ms(latency.p50_ms)}",
        f"p95 {quantile(latency, 'p95')}",
        f"p99 {quantile(latency, 'p99')}",
        f"max {ms(latency.max_ms)}",
        *([f"queued p95 {marked(queued.p95_ms, queued.known, 'p95')}"] if queued.known else []),
        f"in flight {totals.in_flight}",
    )
    return [
        f"{name} · {summary.target} · {moment(summary.at)} · {summary.window_s:.1f} s · {seen}{dropped}",
        " · ".join(figures),
    ]


def _slo(summary: Summary, room: int) -> list[str]:
    words = {True: "met", False: "MISSED", None: "no traffic to judge by"}
    rows = [
        (_scope(each, summary.slo), each.slo, _value(each.slo, each.value), words[each.met])
        for each in summary.slo
    ]
    columns = (Column("scope", shrinks=True), Column("target"), Column("value", True), Column(""))
    return table(columns, rows, room)


def _scope(verdict: SloVerdict, verdicts: Sequence[SloVerdict]) -> str:
    """Return what a target is held against: everyone's leaves out who has one of his own."""
    if not (out := left_out(verdict, verdicts)):
        return verdict.scope
    return f"all but {out[0]}" if len(out) == 1 else f"all but {len(out)} routes with their own"


def _value(slo: str, value: float | None) -> str:
    if slo.startswith("errors"):
        return percent(value)
    return rate(value) if slo.startswith("rps") else ms(value)


def _findings(summary: Summary, room: int) -> list[str]:
    return _wrapped(
        (f"{each.severity}: {each.kind} {each.subject}: {each.sentence}" for each in find(summary)), room
    )


def _events(summary: Summary, room: int) -> list[str]:
    since = summary.at - summary.window_s - _BEFORE_S
    # What was taken then is there to be opened, however long ago that was.
    told = [event for event in summary.events if event.at >= since or event.evidence]
    happened = [event for event in told if not event.part_of]
    return _wrapped((f"{moment(event.at)}  {event.sentence}" for event in happened[-MAX_ROWS:]), room)


def _doubts(summary: Summary, room: int) -> list[str]:
    """Return what the figures above do not hold, and why."""
    said = [
        f"worker {worker.pid}: {doubt}"
        for worker in summary.workers
        for doubt in (*(each.sentence for each in doubts_of(worker)), *probes_off(worker))
    ]
    return _wrapped(said[:MAX_ROWS], room) + more(len(said) - MAX_ROWS, "doubts")


def _wrapped(texts: Iterable[str], room: int) -> list[str]:
    lines: list[str] = []
    for text in texts:
        first, *others = wrapped(clean(text), max(room - _HANGING, _LEAST))
        lines += [first, *(" " * _HANGING + line for line in others)]
    return lines


def _routes(rows: Sequence[RouteSummary], room: int) -> list[str]:
    queued = any(row.queued.known for row in rows)
    names = ("requests", "rps", "errors", "p50", "p95", "p99", "max", "sql/req")
    columns = [Column("route", shrinks=True), *[Column(name, True) for name in names]]
    columns += [Column("queued", True)] if queued else []
    lines = table(columns, [_route(row, queued) for row in rows[:MAX_ROUTES]], room)
    return lines + more(len(rows) - MAX_ROUTES, "routes")


def _route(row: RouteSummary, queued: bool) -> tuple[str, ...]:
    latency = row.latency
    return (
        f"{row.route} (waits on purpose)" if row.long_poll else row.route,
        count(row.requests),
        rate(row.rps),
        percent(row.error_rate),
        ms(latency.p50_ms),
        quantile(latency, "p95"),
        quantile(latency, "p99"),
        ms(latency.max_ms),
        rate(row.sql_per_request),
        *([marked(row.queued.p95_ms, row.queued.known, "p95")] if queued else []),
    )


def _workers(rows: Sequence[WorkerSummary], room: int) -> list[str]:
    columns = [Column("pid", True), Column("state", shrinks=True)]
    accepts = any(row.listeners for row in rows)
    names = ("requests", "rps", "p95", "cpu", "rss", "threads", "in flight", "lag p99", "up")
    columns += [Column(name, True) for name in names]
    columns += [Column("to accept", True)] if accepts else []
    return table(columns, [_worker(row, accepts) for row in rows], room)


def _worker(row: WorkerSummary, accepts: bool) -> tuple[str, ...]:
    state: str = row.state
    if row.state == "blocked":
        state = f"blocked {ms(row.blocked_ms)} at {row.blocked_at or '?'}"
    return (
        str(row.pid),
        state,
        count(row.requests),
        rate(row.rps),
        quantile(row.latency, "p95"),
        percent(None if row.cpu_percent is None else row.cpu_percent / 100),
        size(row.rss_bytes),
        count(row.threads),
        count(row.in_flight),
        marked(row.loop_lag_p99_ms, row.loop_lags, "p99"),
        age(row.uptime_s),
        *([_to_accept(row)] if accepts else []),
    )


def _to_accept(row: WorkerSummary) -> str:
    """Return how many connections wait at its fullest socket, of how many that may: `3/2048`."""
    fullest = max(row.listeners, key=fullness, default=None)
    if fullest is None or fullest.waiting is None:
        return NO_DATA
    return f"{fullest.waiting}/{fullest.limit}" if fullest.limit else str(fullest.waiting)


def _unknown_queue(summary: Summary, room: int) -> list[str]:
    return _wrapped(
        (
            f"not known of worker {', '.join(map(str, pids))}: queue is {why}"
            for why, pids in not_asked(summary.workers).items()
        ),
        room,
    )


def _incidents(found: Sequence[IncidentRow], room: int) -> list[str]:
    columns = [Column("at"), Column("pid", True), Column("kind"), Column("for", True)]
    columns += [Column("where", shrinks=True), Column("route", shrinks=True)]
    rows = [
        (
            moment(row.incident.at / 1e9)[11:],  # the day stands above
            str(row.pid),
            row.incident.kind,
            ms(row.incident.ns / 1e6),
            short_place(row.incident.where),
            row.incident.route or NO_DATA,
        )
        for row in found[-MAX_ROWS:]
    ]
    return table(columns, rows, room)


def _in_flight(found: Sequence[FlightRow], room: int) -> list[str]:
    columns = [Column("age", True), Column("pid", True)]
    columns += [Column("request", shrinks=True), Column("waiting at", shrinks=True)]
    rows = [
        (
            ms(row.request.age_ns / 1e6),
            str(row.pid),
            f"{row.request.method} {row.request.path}",
            row.request.waiting_at or NO_DATA,
        )
        for row in found[:MAX_ROWS]
    ]
    return table(columns, rows, room) + more(len(found) - MAX_ROWS, "requests")
