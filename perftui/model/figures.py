"""What rows can be chosen by: their figures, in the units people write, their routes and their texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from perftui.model.after import BackgroundSummary, ChannelSummary
from perftui.model.happenings import Event, EvidenceRow, Finding, FlightRow, IncidentRow, SlowRow
from perftui.model.outside_summary import PoolSummary, QuerySummary, UpstreamSummary
from perftui.model.route_summary import RouteSummary
from perftui.model.worker_summary import WorkerSummary
from perftui.record import Record
from perftui_agent.wire.outside import CacheFrame
from perftui_agent.wire.parts import WorkerId

Row: TypeAlias = (
    RouteSummary
    | WorkerSummary
    | QuerySummary
    | PoolSummary
    | CacheFrame
    | UpstreamSummary
    | BackgroundSummary
    | ChannelSummary
    | FlightRow
    | SlowRow
    | IncidentRow
    | EvidenceRow
    | Event
    | Finding
)
"""What can be filtered."""

_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([a-zµ%]*)", re.IGNORECASE | re.ASCII)


class Unit(Record, frozen=True):
    """What a figure is counted in."""

    name: str
    factors: Mapping[str, float]
    """What each unit that may be written is worth; the one of the figure itself is 1."""
    example: str

    def parse(self, text: str) -> float | None:
        """Return the number that `text` stands for; None if it stands for none."""
        match = _NUMBER.fullmatch(text.strip())
        factor = self.factors.get(match[2].lower()) if match else None
        return float(match[1]) * factor if match and factor is not None else None


_TIME = Unit("a time", {"": 1, "ms": 1, "s": 1000, "m": 60_000, "us": 0.001, "µs": 0.001}, "200ms or 1.5s")
_SHARE = Unit("a share", {"%": 0.01}, "1%")
_PERCENT = Unit("a percentage", {"": 1, "%": 1}, "80%")
_COUNT = Unit("a number", {"": 1, "k": 1e3}, "10 or 2.5k")
_SIZE = Unit(
    "a size",
    {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30},
    "50kB or 200MB",
)

Getters: TypeAlias = Mapping[type, Callable[..., float | None]]


class Figure(Record, frozen=True):
    """A number that rows have."""

    unit: Unit
    of: Getters


def _latency(name: str, others: Getters = MappingProxyType({})) -> Figure:
    def get(row: RouteSummary | WorkerSummary | QuerySummary | UpstreamSummary) -> float | None:
        value: float | None = getattr(row.latency, name)
        return value

    rows = (RouteSummary, WorkerSummary, QuerySummary, UpstreamSummary)
    return Figure(_TIME, {**dict.fromkeys(rows, get), **others})


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "p50": _latency("p50_ms", {BackgroundSummary: lambda row: row.p50_ms}),
        "p95": _latency(
            "p95_ms",
            {
                BackgroundSummary: lambda row: row.p95_ms,
                ChannelSummary: lambda row: row.handling_p95_ms,
            },
        ),
        "p99": _latency("p99_ms"),
        "max": _latency("max_ms", {BackgroundSummary: lambda row: row.max_ms}),
        "queued": Figure(
            _TIME,
            {
                RouteSummary: lambda row: row.queued.p95_ms,
                WorkerSummary: lambda row: row.queued.p95_ms,
            },
        ),
        "rps": Figure(_COUNT, {RouteSummary: lambda row: row.rps, WorkerSummary: lambda row: row.rps}),
        "n": Figure(
            _COUNT,
            {
                BackgroundSummary: lambda row: row.count,
                ChannelSummary: lambda row: row.received + row.sent,
                RouteSummary: lambda row: row.requests,
                WorkerSummary: lambda row: row.requests,
                QuerySummary: lambda row: row.count,
                UpstreamSummary: lambda row: row.count,
            },
        ),
        "errors": Figure(
            _SHARE,
            {
                BackgroundSummary: lambda row: row.errors / row.count if row.count else None,
                RouteSummary: lambda row: row.error_rate,
                WorkerSummary: lambda row: row.errors / row.requests if row.requests else None,
                QuerySummary: lambda row: row.errors / row.count if row.count else None,
                UpstreamSummary: lambda row: row.errors / row.count if row.count else None,
            },
        ),
        "total": Figure(
            _TIME,
            {
                BackgroundSummary: lambda row: row.total_ms,
                RouteSummary: lambda row: row.total_ms,
                QuerySummary: lambda row: row.total_ms,
                UpstreamSummary: lambda row: row.total_ms,
            },
        ),
        "sql": Figure(_COUNT, {RouteSummary: lambda row: row.sql_per_request}),
        "calls": Figure(_COUNT, {RouteSummary: lambda row: row.http_per_request}),
        "size": Figure(_SIZE, {RouteSummary: lambda row: row.bytes_p95}),
        "cpu": Figure(_PERCENT, {WorkerSummary: lambda row: row.cpu_percent}),
        "memory": Figure(_SIZE, {WorkerSummary: lambda row: row.rss_bytes}),
        "lag": Figure(_TIME, {WorkerSummary: lambda row: row.loop_lag_p99_ms}),
        "threads": Figure(_COUNT, {WorkerSummary: lambda row: row.threads}),
        "open": Figure(_COUNT, {WorkerSummary: lambda row: row.in_flight}),
        "wait": Figure(
            _TIME,
            {
                PoolSummary: lambda row: row.wait_p95_ms,
                UpstreamSummary: lambda row: row.pool_wait_p95_ms,
            },
        ),
        "age": Figure(_TIME, {FlightRow: lambda row: row.request.age_ns / 1e6}),
        "took": Figure(
            _TIME,
            {
                SlowRow: lambda row: row.request.total_ns / 1e6,
                IncidentRow: lambda row: row.incident.ns / 1e6,
                EvidenceRow: lambda row: row.evidence.ns / 1e6,
            },
        ),
    }
)
"""The figures that may be bounded, and which rows have them."""


def routes_of(row: Row) -> tuple[str | None, ...] | None:
    """Return the routes that a row is about; None if it is about none."""
    match row:
        case RouteSummary():
            return (row.route,)
        case QuerySummary():
            return row.routes
        case UpstreamSummary():
            return tuple(row.routes)
        case BackgroundSummary() | ChannelSummary():
            return (row.route,)
        case FlightRow() | SlowRow():
            return (row.request.route,)
        case IncidentRow():
            return (row.incident.route,)
        case EvidenceRow():
            return (row.evidence.route,)
        case Event() | Finding():
            return (row.route,)
        case _:
            return None


def pids_of(row: Row) -> tuple[str, ...] | None:
    """Return the pids of the workers that a row is about; None if such rows are about none."""
    match row:
        case WorkerSummary() | FlightRow() | SlowRow() | IncidentRow() | EvidenceRow():
            return (str(row.pid),)
        case Event():
            return (row.subject, *_pid_in(row.worker))
        case Finding():
            return _pid_in(row.worker)
        case _:
            return None


def _pid_in(worker: WorkerId | None) -> tuple[str, ...]:
    """Return the pid in `host/pid/started at`."""
    return tuple(worker.split("/")[-2:-1]) if worker else ()


def texts_of(row: Row) -> tuple[str | None, ...]:
    """Return everything in a row that people may look for."""
    match row:
        case RouteSummary():
            return (row.route, *(each.type for each in row.exceptions), *(each.path for each in row.paths))
        case WorkerSummary():
            return (str(row.pid), row.state, row.identity.host, row.blocked_at, row.blocked_route)
        case QuerySummary():
            return (row.statement, row.fingerprint, row.call_site, row.database, *row.routes)
        case UpstreamSummary():
            return (row.host, row.method, row.library, *row.call_sites, *row.failures, *row.routes)
        case BackgroundSummary():
            return (row.name, row.kind, row.route, *row.failures)
        case ChannelSummary():
            return (row.route, row.kind, *row.failures)
        case PoolSummary() | CacheFrame():
            return (row.name, row.kind)
        case FlightRow():
            return (row.request.route, row.request.path, row.request.waiting_at, str(row.pid))
        case SlowRow():
            spans = (text for span in row.request.spans for text in (span.name, span.call_site))
            return (row.request.route, row.request.path, str(row.pid), *spans)
        case IncidentRow():
            return (row.incident.kind, row.incident.where, row.incident.route, str(row.pid))
        case EvidenceRow():
            each = row.evidence
            return (each.kind, each.verdict, each.where, each.route, each.text, str(row.pid))
        case Event() | Finding():
            return (row.kind, row.subject, row.sentence, row.route, *(pids_of(row) or ()))
