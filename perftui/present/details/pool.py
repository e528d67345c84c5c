"""One connection pool: how full it is, who waits for it, and for how long."""

from __future__ import annotations

from perftui.findings.figures import times
from perftui.findings.pool_exhausted import held_by
from perftui.model.outside_summary import PoolSummary
from perftui.model.summary import Summary
from perftui.present.charts.drawing import bar
from perftui.present.picture import Picture
from perftui.present.tables.requests import mostly
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, fit, fit_line, fit_middle
from perftui.present.text.evidence import (
    Row,
    Subject,
    flight_keys,
    request_key,
    rows_of,
    stacked,
    verdict_rows,
)
from perftui.present.text.quantile import marked_cell
from perftui.present.text.units import count, ms, rate


def pool_rows(picture: Picture, name: str, width: int, height: int) -> list[Row]:
    """Return everything known of one pool."""
    pool = next((each for each in picture.summary.pools if each.name == name), None)
    if pool is None:
        return rows_of([BLANK, (Cell("  this pool was not seen in this window", "dim"),)])
    # Requests that fail for want of a connection are told by their routes.
    found = [each for each in picture.findings if each.pool == name and each.kind == "pool-exhausted"]
    summary = picture.summary
    return stacked(
        [
            rows_of(_figures(pool, width)),
            verdict_rows(found, width),
            _holders(summary, name, width),
            _routes(summary, width),
            _waiting(summary, name, width),
            _slow(summary, name, width),
        ],
        height,
    )


def _figures(pool: PoolSummary, width: int) -> list[Line]:
    items: list[tuple[str, str, Style]] = [
        ("in use", count(pool.checked_out) if pool.checked_out is not None else "n/a", "bright"),
        ("size", count(pool.size), "text"),
        ("overflow", count(pool.overflow), "text"),
        ("at most", count(pool.max), "text"),
        ("checkouts", count(pool.checkouts), "text"),
        ("wait p95", *marked_cell(pool.wait_p95_ms, pool.waits, "p95", "bright")),
        ("waiting now", count(pool.waiting), "medium" if pool.waiting else "text"),
        ("time-outs", count(pool.timeouts), "high" if pool.timeouts else "text"),
    ]
    if pool.longest_wait_ms:
        items.append(("longest wait", ms(pool.longest_wait_ms), "medium"))
    lines = [*pairs(items, width), fit_line((Cell("  "), Cell(clean(pool.kind), "dim")), width)]
    if pool.checked_out and pool.max:
        full = bar(pool.checked_out / pool.max, max(width - 6, 4))
        lines.append((Cell("  "), Cell(full, "chart-high" if pool.checked_out >= pool.max else "chart")))
    return lines


def _routes(summary: Summary, width: int) -> list[Row]:
    routes = [route for route in summary.routes if route.pool_wait_ms_per_request]
    routes.sort(key=lambda route: -(route.pool_wait_ms_per_request or 0.0) * route.requests)
    if not routes:
        return []
    # A wait is told by route, not by pool: with several pools it is the wait for any of them.
    note = "for any of the pools" if len(summary.pools) > 1 else "for a connection, of an average request"
    rows = [Row(section("ROUTES THAT WAIT", width, note))]
    for route in routes[:10]:
        line = (
            Cell("   "),
            Cell(fit_middle(clean(route.route), max(width - 36, 10)), "name"),
            Cell(fit(f"{rate(route.rps)}/s", 12, "right")),
            Cell(fit(ms(route.pool_wait_ms_per_request), 10, "right"), "bright"),
        )
        rows.append(Row(line, Subject("route", route.route)))
    return rows


def _holders(summary: Summary, name: str, width: int) -> list[Row]:
    """Return who has its connections while others wait, by where they are: what is to be mended."""
    rows = []
    for (route, place), number in held_by(summary, name)[:5]:
        line = (
            Cell(fit(times(number), 7, "right"), "bright"),
            Cell(f"  {clean(route)}", "name"),
            Cell(f"  {clean(place) or 'at no line of its own'}", "place"),
        )
        rows.append(Row(fit_line(line, width), Subject("route", route)))
    return [Row(section("WHO HOLDS ITS CONNECTIONS", width, "and where they are")), *rows] if rows else []


def _waiting(summary: Summary, name: str, width: int) -> list[Row]:
    rows = [
        Row(
            fit_line(
                (
                    Cell(fit(ms(row.request.age_ns / 1e6), 9, "right"), "bright"),
                    Cell(clean(f"  {row.request.method} {row.request.path}"), "name"),
                    Cell(clean(f"  {row.request.waiting_at}"), "place"),
                ),
                width,
            ),
            Subject("flight", key),
        )
        for key, row in flight_keys(summary).items()
        if row.request.waiting_at and row.request.holds != name
    ][:8]
    return [Row(section("IN FLIGHT, WAITING", width, "the oldest first")), *rows] if rows else []


def _slow(summary: Summary, name: str, width: int) -> list[Row]:
    rows: list[Row] = []
    for slow in summary.slowest:
        waits = sum(span.ns for span in slow.request.spans if span.kind == "pool" and span.name == name)
        if waits * 10 >= slow.request.total_ns and len(rows) < 8:
            line = (
                Cell(fit(ms(waits / 1e6), 9, "right"), "bright"),
                Cell(f" of {ms(slow.request.total_ns / 1e6)}  "),
                Cell(clean(f"{slow.request.method} {slow.request.path}"), "name"),
                Cell(f"  mostly {mostly(slow)}", "dim"),
            )
            rows.append(Row(fit_line(line, width), Subject("request", request_key(slow))))
    return [Row(section("SLOW REQUESTS THAT WAITED FOR IT", width)), *rows] if rows else []
