"""Everything that happened, the newest first: joins and deaths, held loops, findings since they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from perftui.model.evidence import SILENT
from perftui.model.filter import EVERYTHING, Filter
from perftui.model.happenings import Event, IncidentRow, Severity
from perftui.model.places import function_of
from perftui.model.summary import Summary
from perftui.present.picture import Picture
from perftui.present.tables.grid import Column, Grid, RowKey, Sort, SortValue, chosen_columns, ordered
from perftui.present.text.cells import Cell, shortened
from perftui.present.text.evidence import Subject, short_place, subject_of
from perftui.present.text.signs import RANK, sign
from perftui.present.text.statements import brief
from perftui.present.text.units import age, clock, ms, window
from perftui.record import Record

TIMELINE_COLUMNS = (
    Column("clock", "", 17, "left"),
    Column("when", "ago", 8),
    Column("kind", "what", 17, "left"),
    Column("both", "", 0, "left", below=110),
    Column("subject", "", 44, "left", at_least=110),
    Column("said", "", 0, "left", at_least=110),
)
TIMELINE_SORTS = ("when", "kind", "severity")

TOGETHER_S = 60.0
"""Blocks by one function in one worker that are no further apart are told in one line."""

_TOLD = {"loop-blocked", "worker-lost", "worker-restarted"}
"""Findings that blocks and events tell already."""

_SIGNS = {
    "mark": Cell("│", "accent"),
    "deploy": Cell("Δ", "bright"),
    "worker-joined": Cell("○", "text"),
    "worker-restarted": Cell("●", "text"),
    "worker-lost": Cell("✗", "medium"),
    "link-stale": Cell("✗", "medium"),
    "link-lost": Cell("✗", "medium"),
    "link-back": Cell("○", "text"),
    "clock-stepped": Cell("!", "medium"),
    "trigger": Cell("!", "accent"),
    "worker-silent": Cell("▲", "high"),
}
"""Of what says more than how bad it is."""

_BAD = {"worker-silent", "worker-lost", "link-stale", "link-lost", "loop-blocked"}


class Moment(Record, frozen=True):
    """One line of the timeline."""

    at: float
    kind: str
    subject: str
    said: str
    severity: Severity
    leads_to: Subject | None
    over_at: float
    """When all of it had happened: the moment to look at the service from."""
    stands: bool = False
    """Whether the picture holds the evidence of it."""


def moments(picture: Picture, wanted: Filter = EVERYTHING) -> dict[RowKey, Moment]:
    """Return everything that happened and is wanted, by what tells one from the other."""
    summary = picture.summary
    found: dict[RowKey, Moment] = {}
    begins_at = summary.at - summary.window_s
    for number, event in enumerate(summary.events):
        if event.kind == "loop-blocked" and (event.until or event.at) > begins_at:
            continue  # the blocks of the window tell of it, and more
        if wanted.wants(event):
            found[f"event {event.at} {event.kind} {event.subject} {number}"] = _of_event(summary, event)
    if mark := picture.mark:
        sentence = f"p95 is told against the {window(summary.window_s)} before it"
        if wanted.wants(Event(mark.at, "mark", mark.shown, sentence)):
            found["mark"] = Moment(mark.at, "mark", mark.shown, sentence, "low", None, mark.at)
    found |= dict(_blocks(wanted.of(summary.incidents)))
    for finding in wanted.of(picture.findings):
        if finding.kind not in _TOLD and finding.since is not None:
            found[" ".join(finding.identity)] = Moment(
                finding.since,
                finding.kind,
                finding.subject,
                finding.sentence,
                finding.severity,
                subject_of(finding),
                finding.since,
                stands=True,
            )
    return found


def moment_sign(moment: Moment) -> Cell:
    """Return the sign of a moment, on its line and on the time axis."""
    return _SIGNS.get(moment.kind) or sign(moment.severity)


def _of_event(summary: Summary, event: Event) -> Moment:
    severity: Severity = "medium" if event.kind in _BAD else "low"
    subject, leads_to = event.subject, None
    if event.kind == SILENT:
        subject = short_place(subject)
    if event.kind == "loop-blocked":
        subject, leads_to = short_place(subject), Subject("place", function_of(subject))
    elif event.evidence:
        leads_to = Subject("evidence", event.evidence)
    elif event.worker and summary.worker(event.worker):
        leads_to = Subject("worker", event.worker)
    over_at = event.until or event.at
    stands = bool(event.evidence)  # it was taken then, and is shown as it was
    return Moment(event.at, event.kind, subject, event.sentence, severity, leads_to, over_at, stands)


def _blocks(incidents: Sequence[IncidentRow]) -> Iterator[tuple[RowKey, Moment]]:
    """Yield the blocks of loops; those of one function and worker close to each other as one."""
    runs: dict[tuple[str, str], list[list[IncidentRow]]] = {}
    blocks = [row for row in incidents if row.incident.kind != SILENT]
    for row in sorted(blocks, key=lambda row: row.incident.at):
        groups = runs.setdefault((row.worker, function_of(row.incident.where)), [])
        if groups and (row.incident.at - groups[-1][-1].incident.at) / 1e9 <= TOGETHER_S:
            groups[-1].append(row)
        else:
            groups.append([row])
    for (worker, function), groups in runs.items():
        for rows in groups:
            first, last = rows[0], rows[-1]
            longest = max(row.incident.ns for row in rows)
            often = f"{len(rows)}×, the last for {ms(last.incident.ns / 1e6)}" if len(rows) > 1 else ""
            held = f"held worker {last.pid} {'up to ' if often else ''}{ms(longest / 1e6)}"
            said = ", ".join(filter(None, (held, often)))
            served = f" serving {last.incident.route}" if last.incident.route else ""
            yield (
                f"block {worker} {function} {first.incident.at}",
                Moment(
                    last.incident.at / 1e9,
                    last.incident.kind,
                    short_place(last.incident.where),
                    said + served,
                    "high" if longest >= 1e9 else "medium",
                    Subject("place", function),
                    (last.incident.at + last.incident.ns) / 1e9,
                    stands=True,
                ),
            )


_VALUES: dict[str, Callable[[Moment], SortValue]] = {
    "when": lambda moment: f"{moment.at:020.6f}",
    "kind": lambda moment: moment.kind,
    "severity": lambda moment: -float(RANK[moment.severity]),
}


def timeline_grid(picture: Picture, width: int, sort: Sort, before: Sequence[RowKey] = ()) -> Grid:
    """Return what happened and is wanted, the newest first."""
    columns = chosen_columns(TIMELINE_COLUMNS, width)
    every = moments(picture)
    rows = moments(picture, picture.wanted) if picture.wanted else every
    at = picture.summary.at
    return Grid(
        title="WHEN",
        columns=columns,
        keys=ordered({key: _VALUES[sort.by](row) for key, row in rows.items()}, sort, before),
        cells=lambda key: tuple(_cell(column, rows[key], at) for column in columns),
        sign=lambda key: moment_sign(rows[key]),
        sort=sort,
        empty=f"nothing has happened in the last {age(picture.summary.window_s)}",
        out_of=picture.out_of(every),
    )


def _cell(column: Column, moment: Moment, at: float) -> Cell:
    match column.key:
        case "clock":
            return Cell(clock(moment.at), "name")
        case "when":
            return Cell(age(max(at - moment.at, 0.0)), "dim")
        case "kind":
            return Cell(moment.kind, {"high": "high", "medium": "medium", "low": "dim"}[moment.severity])
        case "both":
            subject = shortened(brief(moment.subject), column.width - 12)
            return Cell(moment.said if moment.subject in moment.said else f"{subject}  {brief(moment.said)}")
        case "subject":
            return Cell(brief(moment.subject), "bright")
        case _:
            return Cell(brief(moment.said), "text")
