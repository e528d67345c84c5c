"""Work after the response: of one route, and one function's by itself."""

from __future__ import annotations

from perftui.model.after import BackgroundSummary
from perftui.model.summary import Summary
from perftui.present.picture import Picture
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, fit, fit_line, fit_middle
from perftui.present.text.evidence import Row, Subject, rows_of, short_place, stacked
from perftui.present.text.quantile import marked_cell, to_the_right
from perftui.present.text.units import NO_DATA, count, ms, rate

MOST = 6
"""Functions of one route."""

KINDS = {
    "background": "a background task",
    "task": "a task that outlives its request",
    "thread": "a job in a thread",
    "celery": "a job of Celery's",
    "taskiq": "a job of taskiq's",
    "arq": "a job of arq's",
}
"""In words, by the name on the wire."""


def after_response(summary: Summary, label: str, width: int) -> list[Row]:
    """Return what a route's requests have done after they were answered."""
    found = [row for row in summary.background if row.route == label]
    if not found:
        return []
    room = max(width - 45, 12)
    heading = f" {'AFTER THE RESPONSE':<{room + 1}}{'n':>8}{'running':>9}{'p95':>9}{'err':>7}{'SQL':>9}"
    rows = [Row((Cell(fit(heading, width), "section"),))]
    for row in found[:MOST]:
        line = (
            Cell("  "),
            Cell(fit_middle(clean(short_place(row.name)), room), "name"),
            Cell(f"{count(row.count):>8}"),
            Cell(f"{row.running or '':>9}", "bright"),
            to_the_right(marked_cell(row.p95_ms, row.count, "p95"), 9),
            Cell(f"{row.errors or '':>7}", "medium"),
            Cell(fit(rate(row.sql / row.count) if row.sql and row.count else "", 9, "right")),
        )
        rows.append(Row(fit_line(line, width), Subject("background", row.key)))
    if len(found) > MOST:
        rows.append(Row((Cell(f"  + {len(found) - MOST} more", "dim"),)))
    return rows


def background_rows(picture: Picture, key: str, width: int, height: int) -> list[Row]:
    """Return everything known of what one function does after the response."""
    row = next((each for each in picture.summary.background if each.key == key), None)
    if row is None:
        return rows_of([BLANK, (Cell("  it has not run in this window", "dim"),)])
    return stacked(
        [
            rows_of([fit_line((Cell(f"  {KINDS.get(row.kind, clean(row.kind))}", "dim"),), width)]),
            rows_of(_figures(row, width)),
            rows_of(_holds(row, width)),
            rows_of(_asks(row, width)),
            rows_of(_failures(row, width)),
            _given_by(picture.summary, row, width),
        ],
        height,
    )


def _figures(row: BackgroundSummary, width: int) -> list[Line]:
    items: list[tuple[str, str, Style]] = [
        ("p50", *marked_cell(row.p50_ms, row.count, "p50", "bright")),
        ("p95", *marked_cell(row.p95_ms, row.count, "p95", "bright")),
        ("max", ms(row.max_ms), "text"),
        ("n", count(row.count), "text"),
        ("errors", count(row.errors), "medium" if row.errors else "text"),
        ("running", count(row.running), "bright" if row.running else "text"),
    ]
    if row.oldest_ms is not None:
        items.append(("the oldest", ms(row.oldest_ms), "bright"))
    if row.waits:
        items.append(("waited p95", *marked_cell(row.wait_p95_ms, row.waits, "p95")))
    return pairs(items, width)


def _holds(row: BackgroundSummary, width: int) -> list[Line]:
    """Return what it keeps from others while it runs."""
    said = []
    if row.held:
        said.append(
            f"holds the response open: {count(row.held)} clients waited {ms(row.held_ms / row.held)} each "
            "for a middleware that sends it only then"
        )
    if row.threaded:
        said.append(f"takes a thread of the pool of sync endpoints, {count(row.threaded)} times")
    return [fit_line((Cell(f"  {line}", "medium" if row.held else "text"),), width) for line in said]


def _asks(row: BackgroundSummary, width: int) -> list[Line]:
    items: list[tuple[str, str, Style]] = [
        (name, f"{count(times)} in {ms(spent_ms)}", "text")
        for name, times, spent_ms in (
            ("statements", row.sql, row.sql_ms),
            ("lookups", row.cache, row.cache_ms),
            ("calls", row.calls, row.calls_ms),
        )
        if times or spent_ms
    ]
    return [section("ASKS, NO PART OF ITS ROUTE'S REQUESTS", width), *pairs(items, width)] if items else []


def _failures(row: BackgroundSummary, width: int) -> list[Line]:
    if not row.failures:
        return []
    most = sorted(row.failures.items(), key=lambda item: -item[1])
    items: list[tuple[str, str, Style]] = [(clean(name), count(times), "medium") for name, times in most]
    return [section("FAILED WITH", width), *pairs(items, width)]


def _given_by(summary: Summary, row: BackgroundSummary, width: int) -> list[Row]:
    known = summary.route(row.route) is not None
    name = clean(row.route) or f"{NO_DATA} nobody knows which request gave it"
    line = fit_line((Cell("  "), Cell(name, "name" if row.route else "dim")), width)
    return [Row(section("GIVEN BY", width)), Row(line, Subject("route", row.route) if known else None)]
