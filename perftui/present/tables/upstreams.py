"""Other services as a table: what they were asked, and who is to blame for the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perftui.model.outside_summary import UpstreamSummary
from perftui.model.upstreams import PROBES
from perftui.present.picture import Picture
from perftui.present.tables.grid import Column, Grid, RowKey, Sort, SortValue, chosen_columns, ordered
from perftui.present.tables.sql import worst_of
from perftui.present.text.cells import Cell
from perftui.present.text.evidence import absence
from perftui.present.text.quantile import marked_cell, quantile_cell
from perftui.present.text.signs import sign
from perftui.present.text.units import NO_DATA, ms, percent, short_count

UPSTREAM_COLUMNS = (
    Column("upstream", "", 0, "left"),
    Column("n", "n", 7),
    Column("p50", "p50", 8, at_least=100),
    Column("p95", "p95", 8),
    Column("answer", "answer", 8),
    Column("wait", "pool", 8),
    Column("err", "err", 7),
    Column("timeouts", "t/o", 5),
    Column("retries", "again", 7, at_least=110),
    Column("open", "opened", 8, at_least=96),
    Column("total", "total", 8, at_least=90),
    Column("route", "route", 24, "left", at_least=132, below=150),
    Column("route", "route", 30, "left", at_least=150),
    Column("site", "call site", 34, "left", at_least=150),
    Column("library", "by", 9, "left", at_least=170),
)
UPSTREAM_SORTS = ("total", "n", "p95", "err", "wait")


def error_rate(row: UpstreamSummary) -> float | None:
    """Return the share of the calls that failed."""
    return row.errors / row.count if row.count else None


_VALUES: dict[str, Callable[[UpstreamSummary], SortValue]] = {
    "total": lambda row: row.total_ms,
    "n": lambda row: float(row.count),
    "p95": lambda row: row.latency.p95_ms,
    "err": lambda row: float(row.errors),
    "wait": lambda row: row.pool_wait_p95_ms,
}


def upstreams_grid(picture: Picture, width: int, sort: Sort, before: Sequence[RowKey] = ()) -> Grid:
    """Return the upstreams that are wanted, the costliest first."""
    columns = chosen_columns(UPSTREAM_COLUMNS, width)
    rows = {row.key: row for row in picture.wanted.of(picture.summary.upstreams)}
    severity = worst_of(picture.findings, lambda finding: finding.upstream)
    return Grid(
        title="UPSTREAMS",
        columns=columns,
        keys=ordered({key: _VALUES[sort.by](row) for key, row in rows.items()}, sort, before),
        cells=lambda key: tuple(_cell(column, rows[key]) for column in columns),
        sign=lambda key: sign(severity.get(key, "low")),
        sort=sort,
        out_of=picture.out_of(picture.summary.upstreams),
        empty=absence(picture.summary, "no outgoing call", *PROBES),
    )


def _cell(column: Column, row: UpstreamSummary) -> Cell:
    match column.key:
        case "upstream":
            return Cell(f"{row.method} {row.host}".strip(), "name")
        case "n":
            return Cell(short_count(row.count))
        case "p50":
            return Cell(ms(row.latency.p50_ms))
        case "p95":
            return quantile_cell(row.latency, "p95", "bright")
        case "answer":
            return marked_cell(row.answer_p95_ms, row.answers, "p95")
        case "wait":
            return marked_cell(row.pool_wait_p95_ms, row.count, "p95", "medium" if row.waiting else "text")
        case "err":
            return Cell(percent(error_rate(row)), "medium" if row.errors else "faint")
        case "timeouts":
            return Cell(short_count(row.timeouts), "medium" if row.timeouts else "faint")
        case "retries":
            return Cell(short_count(row.retries), "text" if row.retries else "faint")
        case "open":
            return Cell(short_count(row.opened), "dim")
        case "total":
            return Cell(ms(row.total_ms))
        case "route":
            first = next(iter(row.routes), NO_DATA)
            return Cell(f"{first} +{len(row.routes) - 1}" if len(row.routes) > 1 else first)
        case "site":
            return Cell(row.call_site or NO_DATA, "place")
        case _:
            return Cell(row.library, "dim")
