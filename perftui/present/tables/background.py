"""Work after the response as a table: which functions, for whom, and what they hold up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perftui.model.after import BackgroundSummary
from perftui.present.picture import Picture
from perftui.present.tables.grid import Column, Grid, RowKey, Sort, SortValue, chosen_columns, ordered
from perftui.present.text.cells import Cell
from perftui.present.text.evidence import absence, short_place
from perftui.present.text.quantile import marked_cell
from perftui.present.text.signs import sign
from perftui.present.text.units import NO_DATA, ms, rate, short_count

BACKGROUND_COLUMNS = (
    Column("name", "", 0, "left"),
    Column("kind", "by", 11, "left"),
    Column("n", "n", 7),
    Column("running", "runs", 6),
    Column("p95", "p95", 8),
    Column("err", "err", 6),
    Column("oldest", "oldest", 8, at_least=96),
    Column("sql", "SQL", 7, at_least=104),
    Column("held", "held", 8, at_least=112),
    Column("total", "total", 8, at_least=90),
    Column("route", "route", 26, "left", at_least=120),
)
BACKGROUND_SORTS = ("total", "n", "p95", "running", "err")

_VALUES: dict[str, Callable[[BackgroundSummary], SortValue]] = {
    "total": lambda row: row.total_ms + (row.oldest_ms or 0.0),
    "n": lambda row: float(row.count),
    "p95": lambda row: row.p95_ms,
    "running": lambda row: float(row.running),
    "err": lambda row: float(row.errors),
}

PROBE = "background tasks"


def background_grid(picture: Picture, width: int, sort: Sort, before: Sequence[RowKey] = ()) -> Grid:
    """Return the work after responses that is wanted, the costliest first."""
    columns = chosen_columns(BACKGROUND_COLUMNS, width)
    rows = {row.key: row for row in picture.wanted.of(picture.summary.background)}
    return Grid(
        title="AFTER THE RESPONSE",
        columns=columns,
        keys=ordered({key: _VALUES[sort.by](row) for key, row in rows.items()}, sort, before),
        cells=lambda key: tuple(_cell(column, rows[key]) for column in columns),
        sign=lambda key: sign("medium" if rows[key].held else "low"),
        sort=sort,
        out_of=picture.out_of(picture.summary.background),
        empty=absence(picture.summary, "nothing goes on after a response", PROBE),
    )


def _cell(column: Column, row: BackgroundSummary) -> Cell:
    match column.key:
        case "name":
            return Cell(short_place(row.name), "name")
        case "kind":
            return Cell(row.kind, "dim")
        case "n":
            return Cell(short_count(row.count))
        case "running":
            return Cell(short_count(row.running), "bright" if row.running else "faint")
        case "p95":
            return marked_cell(row.p95_ms, row.count, "p95", "bright")
        case "err":
            return Cell(short_count(row.errors), "medium" if row.errors else "faint")
        case "oldest":
            return Cell(ms(row.oldest_ms))
        case "sql":
            return Cell(rate(row.sql / row.count) if row.count and row.sql else NO_DATA)
        case "held":
            return Cell(ms(row.held_ms / row.held) if row.held else NO_DATA, "medium" if row.held else "text")
        case "total":
            return Cell(ms(row.total_ms))
        case _:
            return Cell(row.route or NO_DATA)
