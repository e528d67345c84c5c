"""Statements and connection pools as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perftui.model.happenings import Finding, Severity
from perftui.model.outside_summary import PoolSummary, QuerySummary
from perftui.present.picture import Picture
from perftui.present.tables.grid import LEAD, Column, Grid, RowKey, Sort, SortValue, chosen_columns, ordered
from perftui.present.text.cells import Cell, Style
from perftui.present.text.evidence import absence
from perftui.present.text.quantile import marked_cell, quantile_cell
from perftui.present.text.signs import RANK, sign
from perftui.present.text.statements import terse
from perftui.present.text.units import NO_DATA, count, ms, percent, short_count

STATEMENT_COLUMNS = (
    Column("statement", "", 0, "left"),
    Column("n", "n", 7),
    Column("p50", "p50", 8, at_least=100),
    Column("p95", "p95", 8),
    Column("max", "max", 8, at_least=132),
    Column("err", "err", 6),
    Column("total", "total", 8),
    Column("share", "share", 7, at_least=96),
    Column("route", "route", 24, "left", at_least=110, below=150),
    Column("route", "route", 34, "left", at_least=150),
    Column("site", "call site", 38, "left", at_least=150),
)
STATEMENT_SORTS = ("total", "n", "p95", "err")

POOL_COLUMNS = (
    Column("pool", "", 0, "left"),
    Column("out", "in use", 9),
    Column("overflow", "over", 6),
    Column("max", "max", 6),
    Column("waiting", "waiting", 9),
    Column("wait", "wait p95", 10),
    Column("timeouts", "time-outs", 11),
    Column("checkouts", "checkouts", 11, at_least=100),
    Column("kind", "kind", 28, "left", at_least=120),
)
POOL_SORTS = ("wait", "waiting", "timeouts", "out", "checkouts")

_STATEMENT_VALUES: dict[str, Callable[[QuerySummary], SortValue]] = {
    "total": lambda query: query.total_ms,
    "n": lambda query: float(query.count),
    "p95": lambda query: query.latency.p95_ms,
    "err": lambda query: float(query.errors),
}
_POOL_VALUES: dict[str, Callable[[PoolSummary], SortValue]] = {
    "wait": lambda pool: pool.wait_p95_ms,
    "waiting": lambda pool: pool.waiting,
    "timeouts": lambda pool: float(pool.timeouts),
    "out": lambda pool: pool.checked_out,
    "checkouts": lambda pool: float(pool.checkouts),
}


def statements_grid(picture: Picture, width: int, sort: Sort, before: Sequence[RowKey] = ()) -> Grid:
    """Return the statements that are wanted, the costliest first."""
    columns = chosen_columns(STATEMENT_COLUMNS, width)
    queries = picture.summary.asked
    rows = {query.fingerprint: query for query in picture.wanted.of(queries)}
    whole_ms = sum(query.total_ms for query in queries)
    severity = worst_of(picture.findings, lambda finding: finding.statement)
    return Grid(
        title="STATEMENTS",
        columns=columns,
        keys=ordered({key: _STATEMENT_VALUES[sort.by](row) for key, row in rows.items()}, sort, before),
        cells=lambda key: tuple(_statement_cell(column, rows[key], whole_ms) for column in columns),
        sign=lambda key: sign(severity.get(key, "low")),
        sort=sort,
        empty=absence(picture.summary, "no statement", "sqlalchemy"),
        out_of=picture.out_of(queries),
    )


def worst_of(findings: Sequence[Finding], subject: Callable[[Finding], str | None]) -> dict[str, Severity]:
    """Return the worst severity there is about each subject."""
    found: dict[str, Severity] = {}
    for finding in findings:
        key = subject(finding)
        if key is not None and RANK[finding.severity] < RANK[found.get(key, "low")]:
            found[key] = finding.severity
    return found


def _statement_cell(column: Column, query: QuerySummary, whole_ms: float) -> Cell:
    match column.key:
        case "statement":
            return Cell(terse(query.statement, column.width - LEAD) or query.fingerprint, "name")
        case "n":
            return Cell(short_count(query.count))
        case "p50":
            return Cell(ms(query.latency.p50_ms))
        case "p95":
            return quantile_cell(query.latency, "p95", "bright")
        case "max":
            return Cell(ms(query.latency.max_ms), "dim")
        case "err":
            return Cell(short_count(query.errors), "medium" if query.errors else "faint")
        case "total":
            return Cell(ms(query.total_ms))
        case "share":
            return Cell(percent(query.total_ms / whole_ms if whole_ms else None), "dim")
        case "route":
            more = f" +{len(query.routes) - 1}" if len(query.routes) > 1 else ""
            return Cell(f"{query.routes[0]}{more}" if query.routes else NO_DATA, "text")
        case _:
            return Cell(query.call_site or NO_DATA, "place")


def pools_grid(picture: Picture, width: int, sort: Sort, before: Sequence[RowKey] = ()) -> Grid:
    """Return the connection pools that are wanted, those that are waited for first."""
    columns = chosen_columns(POOL_COLUMNS, width)
    rows = {pool.name: pool for pool in picture.wanted.of(picture.summary.pools)}
    severity = worst_of(picture.findings, lambda finding: finding.pool)
    return Grid(
        title="POOLS",
        columns=columns,
        keys=ordered({key: _POOL_VALUES[sort.by](row) for key, row in rows.items()}, sort, before),
        cells=lambda key: tuple(_pool_cell(column, rows[key]) for column in columns),
        sign=lambda key: sign(severity.get(key, "low")),
        sort=sort,
        empty=absence(picture.summary, "no pool seen", "pools", "sqlalchemy"),
        out_of=picture.out_of(picture.summary.pools),
    )


def in_use(pool: PoolSummary) -> str:
    """Return how many connections are out of how many there may be: `15/15`; n/a without a size."""
    if pool.checked_out is None:
        return "n/a"
    return f"{pool.checked_out}/{pool.size}" if pool.size is not None else str(pool.checked_out)


def _pool_cell(column: Column, pool: PoolSummary) -> Cell:
    waits: Style = "medium" if pool.waiting else "faint"
    match column.key:
        case "pool":
            return Cell(pool.name, "name")
        case "out":
            return Cell(in_use(pool), "bright")
        case "overflow":
            return Cell(count(pool.overflow), "dim")
        case "max":
            return Cell(count(pool.max), "dim")
        case "waiting":
            return Cell(count(pool.waiting), waits)
        case "wait":
            return marked_cell(pool.wait_p95_ms, pool.waits, "p95", "bright")
        case "timeouts":
            return Cell(count(pool.timeouts), "high" if pool.timeouts else "faint")
        case "checkouts":
            return Cell(count(pool.checkouts), "dim")
        case _:
            return Cell(pool.kind, "dim")
