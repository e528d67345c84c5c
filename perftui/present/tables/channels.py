"""Connections as a table: WebSockets and streams, what goes over them, and how long a message takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perftui.model.after import ChannelSummary
from perftui.present.picture import Picture
from perftui.present.tables.grid import Column, Grid, RowKey, Sort, SortValue, chosen_columns, ordered
from perftui.present.tables.sql import worst_of
from perftui.present.text.cells import Cell
from perftui.present.text.quantile import marked_cell
from perftui.present.text.signs import sign
from perftui.present.text.units import rate, short_count, size

CHANNEL_COLUMNS = (
    Column("route", "", 0, "left"),
    Column("kind", "", 9, "left", at_least=96),
    Column("open", "open", 6),
    Column("in", "in/s", 7),
    Column("out", "out/s", 7),
    Column("bytes", "out B/s", 8, at_least=104),
    Column("p95", "handling", 9),
    Column("first", "first", 8, at_least=112),
    Column("blocked", "blocked", 8, at_least=90),
    Column("err", "err", 6),
)
CHANNEL_SORTS = ("handling", "open", "in", "out", "p95", "err")

_VALUES: dict[str, Callable[[ChannelSummary], SortValue]] = {
    "handling": lambda row: row.handling_ms,
    "open": lambda row: float(row.open),
    "in": lambda row: row.received_per_s,
    "out": lambda row: row.sent_per_s,
    "p95": lambda row: row.handling_p95_ms,
    "err": lambda row: float(row.errors),
}


def channels_grid(picture: Picture, width: int, sort: Sort, before: Sequence[RowKey] = ()) -> Grid:
    """Return the routes with connections that are wanted, those whose messages take most first."""
    columns = chosen_columns(CHANNEL_COLUMNS, width)
    rows = {row.key: row for row in picture.wanted.of(picture.summary.channels)}
    severity = worst_of(picture.findings, lambda finding: finding.channel)
    return Grid(
        title="CONNECTIONS",
        columns=columns,
        keys=ordered({key: _VALUES[sort.by](row) for key, row in rows.items()}, sort, before),
        cells=lambda key: tuple(_cell(column, rows[key]) for column in columns),
        sign=lambda key: sign(severity.get(key, "low")),
        sort=sort,
        out_of=picture.out_of(picture.summary.channels),
        empty="no WebSocket, no stream",
    )


def _cell(column: Column, row: ChannelSummary) -> Cell:
    match column.key:
        case "route":
            return Cell(row.route, "name")
        case "kind":
            return Cell(row.kind, "dim")
        case "open":
            return Cell(short_count(row.open), "bright" if row.open else "faint")
        case "in":
            return Cell(rate(row.received_per_s))
        case "out":
            return Cell(rate(row.sent_per_s))
        case "bytes":
            return Cell(size(row.sent_bytes_per_s))
        case "p95":
            return marked_cell(row.handling_p95_ms, row.handled, "p95", "bright")
        case "first":
            return marked_cell(row.first_p95_ms, row.firsts, "p95")
        case "blocked":
            return marked_cell(row.blocked_p95_ms, row.sent, "p95", "medium" if row.sending else "text")
        case _:
            return Cell(short_count(row.errors), "medium" if row.errors else "faint")
