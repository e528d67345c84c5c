"""One request in flight: for how long, where it waits, and how long others of its route take."""

from __future__ import annotations

from perftui.model.happenings import FlightRow
from perftui.model.places import function_of
from perftui.present.picture import Picture
from perftui.present.tables.workers import state_words
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import BLANK, Cell, Style, clean, fit_line
from perftui.present.text.evidence import Row, Subject, rows_of, stacked, verdict_rows
from perftui.present.text.quantile import quantile_cell
from perftui.present.text.units import ms


def flight_rows(picture: Picture, row: FlightRow, width: int, height: int) -> list[Row]:
    """Return what is known of a request that has not ended."""
    request, summary = row.request, picture.summary
    route = summary.route(request.route)
    p99_ms = route.latency.p99_ms if route else None
    late = p99_ms is not None and request.age_ns / 1e6 > p99_ms and not request.on_purpose
    items: list[tuple[str, str, Style]] = [
        ("in flight for", ms(request.age_ns / 1e6) + (" ▲" if late else ""), "high" if late else "bright")
    ]
    if route is not None:
        items += [(f"its route's {name}", *quantile_cell(route.latency, name)) for name in ("p50", "p99")]
    if request.on_purpose:
        gives_up = f", gives up at {ms(request.gives_up_ns / 1e6)}" if request.gives_up_ns else ""
        items.append(("on purpose", f"it waits for news{gives_up}", "text"))
    waits = clean(request.waiting_at) if request.waiting_at else "not known: only long waits are looked into"
    place = function_of(request.waiting_at or "")
    held = any(function_of(each.incident.where) == place for each in summary.incidents)
    worker = summary.worker(row.worker)
    state = f"  {state_words(worker, summary.at)}" if worker else ""
    found = [
        each for each in picture.findings if each.kind == "stuck-request" and each.route == request.route
    ]
    return stacked(
        [
            rows_of(pairs(items, width)),
            [
                Row(_pair("asked for", f"{request.method} {request.path}", width)),
                Row(_pair("waits at", waits, width), Subject("place", place) if held else None),
                Row(_pair("route", request.route, width), Subject("route", request.route)),
                Row(_pair("worker", f"{row.pid}{state}", width), Subject("worker", row.worker)),
            ],
            verdict_rows(found, width),
            rows_of([section("A dump tells more: ⏎ on the worker, then D", width)]),
        ],
        height,
    )


def ended_rows(picture: Picture, row: FlightRow | None, width: int, height: int) -> list[Row]:
    """Return what was last known of a request that has ended since."""
    if row is None:
        return rows_of([BLANK, (Cell("  this request has ended", "dim"),)])
    ended = (Cell("  it has ended; this is the last that was seen of it", "notice"),)
    return [*rows_of([ended, BLANK]), *flight_rows(picture, row, width, height)[:-1]]


def _pair(label: str, text: str, width: int) -> tuple[Cell, ...]:
    return fit_line((Cell(f"  {label:<12}", "label"), Cell(clean(text), "name")), width)
