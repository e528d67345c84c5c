"""One worker: how it stands, what held its loop, what it serves right now."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.model.evidence import SILENT, how_it_ended, what_it_was
from perftui.model.places import function_of
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui.present.details.contention import gil, machine
from perftui.present.details.worker_blocks import agent, process, state
from perftui.present.details.worker_charts import over_time
from perftui.present.picture import Picture
from perftui.present.text.blocks import section
from perftui.present.text.cells import BLANK, Cell, Line, clean, fit, fit_line, fit_middle
from perftui.present.text.evidence import (
    Row,
    Subject,
    flight_keys,
    rows_of,
    stacked,
    verdict_rows,
)
from perftui.present.text.units import age, clock, ms
from perftui_agent.wire.incidents import Evidence

MOST_BLOCKS = 8
MOST_FLIGHTS = 8
MOST_SILENCES = 4
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
            rows_of(state(summary, worker, width)),
            rows_of(process(summary, worker, width)),
            verdict_rows(found[:3], width, advice=height >= 30 or len(found) == 1),
            silences(summary, worker, width),
            rows_of(over_time(summary, worker, width, 1 if height < 30 else 2 if height < 45 else 4)),
            incidents(summary, worker, width),
            rows_of(gil(worker, width)),
            flights(summary, worker, width),
            rows_of(machine(worker, width)),
            rows_of(agent(worker, width)),
        ],
        height,
    )


def silences(summary: Summary, worker: WorkerSummary, width: int) -> list[Row]:
    """Return when it was silent and what that was, the latest first; each opens the dump of then."""
    found = [
        row
        for row in reversed(summary.evidence)
        if row.worker == worker.identity.id and row.evidence.kind == SILENT
    ]
    if not found:
        return []
    rows = [Row(section("SILENT", width, "told by a sibling, or by the worker itself afterwards"))]
    for number, row in enumerate(found[:MOST_SILENCES]):
        each = row.evidence
        outcome = {"ended": how_it_ended(each), "went on": "went on"}.get(each.outcome, "goes on")
        line = (
            Cell(fit(ms(each.ns / 1e6), 10, "right"), "bright"),
            Cell(f"  {clock(each.at / 1e9)}"),
            Cell(fit(f"  {age(max(summary.at - row.until, 0.0))} ago", 14), "dim"),
            Cell(clean(what_it_was(each)), "name"),
            Cell(clean(f"  {outcome}"), "dim"),
        )
        leads_to = Subject("evidence", each.id) if each.result else None
        rows.append(Row(fit_line(line, width), leads_to))
        if number == 0:
            rows += rows_of(_account(each, width))
    return rows


def _account(evidence: Evidence, width: int) -> Iterator[Line]:
    """Yield how it was seen, with the lines that called the one it hung in."""
    indent = Cell(" " * 12)
    if evidence.how or evidence.text:
        said = ": ".join(filter(None, (evidence.how, evidence.text)))
        yield fit_line((indent, Cell(clean(said), "dim")), width)
    for flight in evidence.in_flight[:MOST_FRAMES]:
        had = f"it had {flight.method} {flight.path} in flight for {ms(flight.age_ns / 1e6)}"
        yield fit_line((indent, Cell(clean(had), "dim")), width)
    for frame in evidence.stack[1:MOST_FRAMES]:
        yield fit_line((indent, Cell(f"called from {clean(frame)}", "faint")), width)


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
    found = [
        row.incident
        for row in summary.incidents
        if row.worker == worker.identity.id and row.incident.kind != SILENT
    ]
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
