"""The functions that a route's requests call, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perftui.present.tables.grid import Column, Grid, RowKey, Sort, SortValue, chosen_columns, ordered
from perftui.present.text.cells import Cell, clean
from perftui.present.text.units import count, ms, percent
from perftui_agent.wire.actions import CalledFunction, Functions

FUNCTION_COLUMNS = (
    Column("function", "", 0, "left"),
    Column("own", "own", 10),
    Column("share", "", 7),
    Column("total", "total", 10),
    Column("calls", "calls", 9),
    Column("each", "own each", 10, at_least=100),
    Column("request", "a request", 11, at_least=110),
)
FUNCTION_SORTS = ("own", "total", "calls", "function")

_VALUES: dict[str, Callable[[CalledFunction], SortValue]] = {
    "own": lambda each: float(each.own_ns),
    "total": lambda each: float(each.total_ns),
    "calls": lambda each: float(each.calls),
    "function": lambda each: each.where,
}


def functions_grid(
    functions: Functions,
    width: int,
    sort: Sort,
    before: Sequence[RowKey] = (),
    empty: str = "none was called",
) -> Grid:
    """Return the functions, those with most time of their own first."""
    columns = chosen_columns(FUNCTION_COLUMNS, width)
    rows = {str(at): each for at, each in enumerate(functions.functions)}
    whole = max(functions.loop_ns + functions.threads_ns, 1)
    return Grid(
        title="FUNCTIONS",
        columns=columns,
        keys=ordered({key: _VALUES[sort.by](row) for key, row in rows.items()}, sort, before),
        cells=lambda key: tuple(
            _cell(column, rows[key], whole, max(functions.requests, 1)) for column in columns
        ),
        sort=sort,
        empty=empty,
    )


def _cell(column: Column, each: CalledFunction, whole_ns: int, requests: int) -> Cell:
    match column.key:
        case "function":
            return Cell(clean(each.where), "name" if each.file != "~" else "dim")
        case "own":
            return Cell(ms(each.own_ns / 1e6), "bright")
        case "share":
            return Cell(percent(each.own_ns / whole_ns), "text")
        case "total":
            return Cell(ms(each.total_ns / 1e6), "text")
        case "calls":
            return Cell(count(each.calls), "text")
        case "each":
            return Cell(ms(each.own_ns / max(each.calls, 1) / 1e6), "dim")
        case _:
            return Cell(count(round(each.calls / requests)), "dim")
