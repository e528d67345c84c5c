"""A function that held the event loop: how long and how often, for whom, and how it came to be called."""

from __future__ import annotations

from perftui.model.happenings import IncidentRow
from perftui.model.places import function_of
from perftui.model.summary import Summary
from perftui.present.picture import Picture
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import BLANK, Cell, Style, clean, fit, fit_line, fit_middle
from perftui.present.text.evidence import (
    Row,
    Subject,
    rows_of,
    short_place,
    stacked,
    verdict_rows,
)
from perftui.present.text.quantile import quantile
from perftui.present.text.units import age, clock, count, ms

MOST_BLOCKS = 12


def block_rows(picture: Picture, function: str, width: int, height: int) -> list[Row]:
    """Return everything known of a function (`app/reports.py build`) that held the loop."""
    summary = picture.summary
    rows = [row for row in summary.incidents if function_of(row.incident.where) == function]
    if not rows:
        return rows_of([BLANK, (Cell("  it has not held a loop in this window", "dim"),)])
    rows.sort(key=lambda row: -row.incident.at)
    found = [
        each for each in picture.findings if each.kind == "loop-blocked" and each.identity[1] == function
    ]
    longest = max(rows, key=lambda row: row.incident.ns)
    return stacked(
        [
            rows_of(_figures(rows, longest, width)),
            verdict_rows(found, width),
            _stack(longest, width),
            _blamed(summary, rows, width),
            _blocks(summary, rows, width),
        ],
        height,
    )


def _figures(rows: list[IncidentRow], longest: IncidentRow, width: int) -> list[tuple[Cell, ...]]:
    items: list[tuple[str, str, Style]] = [
        ("held the loop", f"{count(len(rows))}×", "bright"),
        ("longest", ms(longest.incident.ns / 1e6), "high"),
        ("in sum", ms(sum(row.incident.ns for row in rows) / 1e6), "bright"),
        ("workers", count(len({row.worker for row in rows})), "text"),
    ]
    where = fit_line((Cell("  at "), Cell(clean(longest.incident.where), "place")), width)
    return [where, *pairs(items, width)]


def _stack(longest: IncidentRow, width: int) -> list[Row]:
    """Return how it was called: the service's own code in full, what it runs in folded."""
    stack = longest.incident.stack
    if not stack:
        return []
    rows = [Row(section("STACK OF THE LONGEST", width, "innermost first"))]
    own = _home(longest.incident.where)
    shown = max((place for place, frame in enumerate(stack) if _home(frame) == own), default=3) + 1
    for frame in stack[:shown]:
        ours = _home(frame) == own
        text = fit_middle(clean(frame), min(len(frame), width - 5))
        rows.append(Row((Cell("  → " if ours else "    ", "accent"), Cell(text, "own" if ours else "dim"))))
    if len(stack) > shown:
        rows.append(Row((Cell(f"    + {len(stack) - shown} frames of the server below", "faint"),)))
    return rows


def _home(place: str) -> str:
    """Return the folder a place lies in: the service's code is what lies where the loop was held."""
    return place.partition("/")[0] if "/" in place else place.partition(":")[0]


def _blamed(summary: Summary, rows: list[IncidentRow], width: int) -> list[Row]:
    routes = dict.fromkeys(row.incident.route for row in rows if row.incident.route)
    workers = dict.fromkeys(row.worker for row in rows)
    found: list[Row] = []
    for label in routes:
        route = summary.route(label)
        figures = f"p95 {quantile(route.latency, 'p95')}" if route else ""
        line = (Cell("   route   ", "label"), Cell(clean(label), "name"), Cell(f"  {figures}", "dim"))
        found.append(Row(fit_line(line, width), Subject("route", label) if route else None))
    for worker in workers:
        mine = [row for row in rows if row.worker == worker]
        line = (
            Cell("   worker  ", "label"),
            Cell(str(mine[0].pid), "name"),
            Cell(f"  {len(mine)}×, {ms(sum(row.incident.ns for row in mine) / 1e6)} in sum", "dim"),
        )
        found.append(Row(fit_line(line, width), Subject("worker", worker)))
    return [Row(section("WHILE SERVING, AND WHERE", width, "D on a worker dumps it")), *found]


def _blocks(summary: Summary, rows: list[IncidentRow], width: int) -> list[Row]:
    more = f"the latest {MOST_BLOCKS} of {len(rows)}" if len(rows) > MOST_BLOCKS else "the latest first"
    lines = [section("BLOCKS", width, more)]
    for row in rows[:MOST_BLOCKS]:
        at = row.incident.at / 1e9
        ago = "now" if row.incident.ongoing and row is rows[0] else f"{age(max(summary.at - at, 0.0))} ago"
        lines.append(
            fit_line(
                (
                    Cell(fit(ms(row.incident.ns / 1e6), 10, "right"), "bright"),
                    Cell(f"  {clock(at)}  ", "text"),
                    Cell(fit(ago, 12), "dim"),
                    Cell(fit(f"worker {row.pid}", 16)),
                    Cell(short_place(row.incident.where), "dim"),
                ),
                width,
            )
        )
    return rows_of(lines)
