"""One worker: how it stands, what held its loop, what it serves right now."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.model.summary import Summary, WorkerSummary
from perftui.present.cells import BLANK, Cell, Line, Style, clean, fit, fit_line, fit_middle
from perftui.present.charts import Axis, area, round_up
from perftui.present.evidence import Row, Subject, flight_keys, function_of, rows_of, stacked, verdict_rows
from perftui.present.picture import Picture
from perftui.present.quantile import quantile
from perftui.present.route_detail import section
from perftui.present.units import age, clock, ms, percent, size
from perftui.present.worker_detail import agent, process, state
from perftui.present.workers import lag_cell

MOST_BLOCKS = 8
MOST_FLIGHTS = 8
MOST_FRAMES = 4


def worker_rows(picture: Picture, worker_id: str, width: int, height: int) -> list[Row]:
    """Return everything known of one worker, its state first."""
    summary = picture.summary
    worker = summary.worker(worker_id)
    if worker is None:
        return rows_of([BLANK, (Cell("  this worker is not known any more", "dim"),)])
    found = [each for each in picture.findings if each.worker == worker_id and each.kind != "loop-blocked"]
    return stacked(
        [
            rows_of(state(worker, summary.at, width)),
            rows_of(process(worker, width)),
            verdict_rows(found[:3], width, advice=height >= 30 or len(found) == 1),
            rows_of(over_time(summary, worker, width, 1 if height < 30 else 2)),
            incidents(summary, worker, width),
            flights(summary, worker, width),
            rows_of(agent(worker, width)),
        ],
        height,
    )


def over_time(summary: Summary, worker: WorkerSummary, width: int, height: int, note: str = "") -> list[Line]:
    """Return a chart of each figure that is known over time."""
    moments = [point.at for point in summary.points]
    memory = _on(moments, worker.memory)
    charts: list[tuple[str, str, Sequence[float | None], Style]] = [
        ("cpu", percent(_part(worker.cpu_percent)), worker.cpu_trend, "chart"),
        ("memory", size(worker.rss_bytes), memory, "chart"),
        ("lag p99", lag_cell(worker).text, worker.lag_trend, "chart"),
        ("p95", quantile(worker.latency, "p95"), worker.trend, "chart"),
    ]
    axis = Axis.over(moments, summary.window_s, width - 20)
    lines: list[Line] = []
    for label, value, history, style in charts:
        columns = axis.highest(history) if history else []
        known = [each for each in columns if each is not None]
        if not known:
            continue
        drawing = area(columns, height, round_up(max(known)))
        head = (Cell(fit(f"  {label}", 10), "label"), Cell(fit(value, 8, "right"), "bright"))
        blank = (Cell(" " * 10), Cell(" " * 8))
        lines += [
            (*(blank if row else head), Cell("  "), Cell(text, style)) for row, text in enumerate(drawing)
        ]
    return [section("OVER TIME", width, note), *lines] if lines else []


def _on(moments: Sequence[float], known: Sequence[tuple[float, int]]) -> list[float | None]:
    """Return what was known last at each of the moments."""
    values: list[float | None] = []
    place, last = 0, None
    for moment in moments:
        while place < len(known) and known[place][0] <= moment:
            last = float(known[place][1])
            place += 1
        values.append(last)
    return values


def _part(value: float | None) -> float | None:
    return None if value is None else value / 100


def flights(summary: Summary, worker: WorkerSummary, width: int) -> list[Row]:
    """Return the oldest requests it has in flight."""
    found = [(key, row) for key, row in flight_keys(summary).items() if row.worker == worker.identity.id]
    room = max((width - 14) // 2, 10)
    rows = [
        Row(
            (
                Cell(fit(ms(row.request.age_ns / 1e6), 10, "right"), "bright"),
                Cell("  "),
                Cell(fit_middle(clean(f"{row.request.method} {row.request.path}"), room), "name"),
                Cell("  "),
                Cell(fit(clean(row.request.waiting_at or ""), max(width - room - 14, 0)), "place"),
            ),
            Subject("flight", key),
        )
        for key, row in found[:MOST_FLIGHTS]
    ]
    return [Row(section("IN FLIGHT", width, "the oldest first")), *rows] if rows else []


def incidents(summary: Summary, worker: WorkerSummary, width: int) -> list[Row]:
    """Return what held its loop, the latest first, with the stack of the latest."""
    found = [row.incident for row in summary.incidents if row.worker == worker.identity.id]
    if not found:
        return []
    found.sort(key=lambda incident: -incident.at)
    note = f"the latest {MOST_BLOCKS} of {len(found)}" if len(found) > MOST_BLOCKS else "the latest first"
    rows = [Row(section("HELD THE LOOP", width, note))]
    for number, incident in enumerate(found[:MOST_BLOCKS]):
        at = incident.at / 1e9
        ago = "now" if incident.ongoing else f"{age(max(summary.at - at, 0.0))} ago"
        served = f"  {incident.route}" if incident.route else ""
        line = (
            Cell(fit(ms(incident.ns / 1e6), 10, "right"), "bright"),
            Cell(f"  {clock(at)}"),
            Cell(fit(f"  {ago}", 14), "dim"),
            Cell(clean(incident.where), "name"),
            Cell(clean(served), "dim"),
        )
        rows.append(Row(fit_line(line, width), Subject("place", function_of(incident.where))))
        if number == 0:
            rows += [
                Row(fit_line((Cell(" " * 20), Cell(f"called from {clean(frame)}", "faint")), width))
                for frame in incident.stack[1:MOST_FRAMES]
            ]
    return rows
