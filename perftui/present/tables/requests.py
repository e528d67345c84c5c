"""Requests as tables: those in flight by age, and the slowest of the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perftui.model.happenings import FlightRow, SlowRow
from perftui.present.picture import Picture
from perftui.present.tables.grid import Column, Grid, RowKey, Sort, SortValue, chosen_columns, ordered
from perftui.present.text.cells import Cell, Style
from perftui.present.text.evidence import flight_keys, request_key, short_place
from perftui.present.text.signs import sign
from perftui.present.text.spans import KINDS
from perftui.present.text.units import age, clock, count, ms, size

FLIGHT_COLUMNS = (
    Column("request", "", 34, "left", below=100),
    Column("request", "", 48, "left", at_least=100),
    Column("age", "age", 8),
    Column("worker", "worker", 9),
    Column("waits", "waits at", 0, "left"),
)
FLIGHT_SORTS = ("age", "route", "worker")

SLOW_COLUMNS = (
    Column("request", "", 0, "left"),
    Column("took", "took", 8),
    Column("when", "when", 10),
    Column("status", "status", 8, at_least=96),
    Column("size", "size", 9, at_least=110),
    Column("most", "mostly", 28, "left", below=120),
    Column("most", "mostly", 40, "left", at_least=120),
    Column("worker", "worker", 9, at_least=76),
)
SLOW_SORTS = ("took", "when", "route")

_FLIGHT_VALUES: dict[str, Callable[[FlightRow], SortValue]] = {
    "age": lambda row: float(row.request.age_ns),
    "route": lambda row: row.request.route,
    "worker": lambda row: float(row.pid),
}
_SLOW_VALUES: dict[str, Callable[[SlowRow], SortValue]] = {
    "took": lambda row: float(row.request.total_ns),
    "when": lambda row: f"{row.request.ended_at:020d}",
    "route": lambda row: row.request.route,
}


def flights_grid(picture: Picture, width: int, sort: Sort, before: Sequence[RowKey] = ()) -> Grid:
    """Return the requests in flight that are wanted, the oldest first unless sorted otherwise."""
    columns = chosen_columns(FLIGHT_COLUMNS, width)
    rows = {key: row for key, row in flight_keys(picture.summary).items() if picture.wanted.wants(row)}
    total = picture.summary.totals.in_flight
    return Grid(
        title="IN FLIGHT",
        columns=columns,
        keys=ordered({key: _FLIGHT_VALUES[sort.by](row) for key, row in rows.items()}, sort, before),
        cells=lambda key: tuple(_flight_cell(column, rows[key]) for column in columns),
        sign=lambda key: sign("medium" if _is_late(picture, rows[key]) else "low"),
        sort=sort,
        note=f"{count(total)} in all" if total > len(picture.summary.in_flight) else "",
        empty=_empty(picture, "nothing is in flight"),
        out_of=picture.out_of(picture.summary.in_flight),
    )


def _is_late(picture: Picture, row: FlightRow) -> bool:
    if row.request.on_purpose:
        return False
    route = picture.summary.route(row.request.route)
    p99_ms = route.latency.p99_ms if route else None
    return p99_ms is not None and row.request.age_ns / 1e6 > p99_ms


def _flight_cell(column: Column, row: FlightRow) -> Cell:
    match column.key:
        case "request":
            return Cell(f"{row.request.method} {row.request.path}", "name")
        case "age":
            return Cell(ms(row.request.age_ns / 1e6), "bright")
        case "worker":
            return Cell(str(row.pid), "dim")
        case _:
            return Cell(short_place(row.request.waiting_at or ""), "place")


def slow_grid(picture: Picture, width: int, sort: Sort, before: Sequence[RowKey] = ()) -> Grid:
    """Return the slowest requests of the window that are wanted."""
    columns = chosen_columns(SLOW_COLUMNS, width)
    rows = {request_key(row): row for row in picture.wanted.of(picture.summary.slowest)}
    return Grid(
        title="SLOWEST",
        columns=columns,
        keys=ordered({key: _SLOW_VALUES[sort.by](row) for key, row in rows.items()}, sort, before),
        cells=lambda key: tuple(_slow_cell(column, rows[key]) for column in columns),
        sign=lambda key: sign("medium" if rows[key].request.status >= 500 else "low"),
        sort=sort,
        empty=_empty(picture, f"no request in the last {age(picture.summary.window_s)}"),
        out_of=picture.out_of(picture.summary.slowest),
    )


def _slow_cell(column: Column, row: SlowRow) -> Cell:
    request = row.request
    match column.key:
        case "request":
            return Cell(f"{request.method} {request.path}", "name")
        case "took":
            return Cell(ms(request.total_ns / 1e6), "bright")
        case "when":
            return Cell(clock(request.ended_at / 1e9), "dim")
        case "status":
            style: Style = "medium" if request.status >= 500 else "dim"
            return Cell(str(request.status or "–"), style)
        case "size":
            return Cell(size(request.body_bytes), "dim")
        case "most":
            return Cell(mostly(row), "text")
        case _:
            return Cell(str(row.pid), "dim")


def mostly(row: SlowRow) -> str:
    """Return what a request spent most of its time on: `51× SQL 1.02s`."""
    spans = row.request.spans
    span = max(spans, key=lambda span: span.ns, default=None)
    # It is a part of its statement's.
    lock = max((each for each in spans if each.kind == "lock"), key=lambda span: span.ns, default=None)
    if span is not None and lock is not None and 2 * lock.ns > span.ns:
        span = lock
    if span is None or span.ns * 5 < row.request.total_ns:
        return "its own code"
    times = f"{count(span.count)}× " if span.count > 1 else ""
    return f"{times}{KINDS.get(span.kind, span.kind)} {ms(span.ns / 1e6)}"


def _empty(picture: Picture, nothing: str) -> str:
    off = [
        line for worker in picture.summary.workers if (line := worker.probes.get("in flight", "on")) != "on"
    ]
    return f"{nothing}: {off[0]}" if off and nothing.endswith("in flight") else nothing
