"""The routes as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.present.charts.drawing import Axis, spark
from perftui.present.picture import Picture
from perftui.present.tables.grid import Column, Grid, RowKey, Sort, SortValue, chosen_columns, ordered
from perftui.present.text.cells import Cell, Style
from perftui.present.text.delta import delta_cell
from perftui.present.text.quantile import marked_cell, quantile_cell
from perftui.present.text.signs import MANY_ERRORS, missed, route_severity, sign
from perftui.present.text.units import age, ms, percent, rate, short_count, size

ROUTE_COLUMNS = (
    Column("route", "", 0, "left"),
    Column("rps", "rps", 7),
    Column("load", "load", 6, at_least=100),
    Column("n", "n", 7, at_least=112),
    Column("err", "err", 7),
    Column("p50", "p50", 7),
    Column("p95", "p95", 7),
    Column("delta", "Δ p95", 7),
    Column("p99", "p99", 7),
    Column("max", "max", 7, at_least=106),
    Column("queued", "queued", 8, at_least=122),
    Column("size", "size p95", 9, at_least=132),
    Column("sql", "sql/req", 9, at_least=146),
    Column("trend", "p95 trend", 11, at_least=76, below=100),
    Column("trend", "p95 trend", 18, at_least=100, below=140),
    Column("trend", "p95 trend", 30, at_least=140),
)

ROUTE_SORTS = ("cost", "rps", "err", "p50", "p95", "p99", "queued", "route")
"""What `s` goes through; `cost` is the sum of all latencies of a route, `load` its share of all; `queued` is
p95 of the time before the app."""

_VALUES: dict[str, Callable[[RouteSummary], SortValue]] = {
    "cost": lambda route: 0.0 if route.long_poll else route.total_ms,
    "rps": lambda route: route.rps,
    "err": lambda route: route.error_rate,
    "p50": lambda route: route.latency.p50_ms,
    "p95": lambda route: route.latency.p95_ms,
    "p99": lambda route: route.latency.p99_ms,
    "queued": lambda route: route.queued.p95_ms,
    "route": lambda route: route.route.partition(" ")[2] or route.route,
}


def routes_grid(picture: Picture, width: int, sort: Sort, before: Sequence[RowKey] = ()) -> Grid:
    """Return the routes that are wanted, sorted, in the columns that fit.

    With a mark, each p95 has beside it how it stands against that of then.
    """
    summary, mark = picture.summary, picture.mark
    offered = ROUTE_COLUMNS if mark else [column for column in ROUTE_COLUMNS if column.key != "delta"]
    columns = chosen_columns(offered, width)
    routes = {route.route: route for route in picture.wanted.of(summary.routes)}
    value = _VALUES[sort.by]
    axis = trend_axis(summary, columns)
    cost_ms = sum(route.total_ms for route in summary.routes if not route.long_poll)

    def cells(key: RowKey) -> tuple[Cell, ...]:
        route = routes[key]
        misses = missed(summary, key)
        change = picture.change(route)
        return tuple(
            delta_cell(change, change.p95)
            if change and column.key == "delta"
            else _cell(column, route, misses, axis, cost_ms)
            for column in columns
        )

    return Grid(
        title="ROUTES",
        columns=columns,
        keys=ordered({label: value(route) for label, route in routes.items()}, sort, before),
        cells=cells,
        sign=lambda key: sign(route_severity(routes[key], missed(summary, key))),
        sort=sort,
        note=f"Δ {mark.shown}" if mark else "",
        empty=_empty(summary),
        out_of=picture.out_of(summary.routes),
    )


def trend_axis(summary: Summary, columns: Sequence[Column]) -> Axis:
    """Return the time axis of the trend column, two cells narrower than the column."""
    width = next((column.width - 2 for column in columns if column.key == "trend"), 0)
    return Axis.over([point.at for point in summary.points], summary.window_s, width)


def _cell(column: Column, route: RouteSummary, misses: frozenset[str], axis: Axis, cost_ms: float) -> Cell:
    match column.key:
        case "route":
            return Cell(f"{route.route} · waits" if route.long_poll else route.route, "name")
        case "rps":
            return Cell(rate(route.rps))
        case "load":
            share = route.total_ms / cost_ms if cost_ms and not route.long_poll else None
            return Cell(percent(share), "dim")
        case "n":
            return Cell(short_count(route.requests), "dim")
        case "err":
            return Cell(percent(route.error_rate), _error_style(route))
        case "p50":
            return Cell(ms(route.latency.p50_ms), "high" if "p50" in misses else "text")
        case "p95":
            return quantile_cell(route.latency, "p95", "high" if "p95" in misses else "bright")
        case "p99":
            return quantile_cell(route.latency, "p99", "high" if "p99" in misses else "text")
        case "max":
            return Cell(ms(route.latency.max_ms), "dim")
        case "queued":
            return marked_cell(route.queued.p95_ms, route.queued.known, "p95", "dim")
        case "size":
            return marked_cell(route.bytes_p95, route.bodies, "p95", "dim", size)
        case "sql":
            return Cell(rate(route.sql_per_request), "dim")
        case _:
            return Cell(spark(axis.highest(route.trend)), "chart-high" if misses else "chart")


def _error_style(route: RouteSummary) -> Style:
    if not route.errors:
        return "faint"
    return "high" if route.error_rate >= MANY_ERRORS else "medium"


def _empty(summary: Summary) -> str:
    if summary.link == "connecting":
        return "waiting for the first frame"
    return f"no request in the last {age(summary.window_s)}"
