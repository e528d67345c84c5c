"""Lines that lead somewhere: what a line is about, so that ⏎ can open it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from perftui.model.happenings import Finding, FlightRow, SlowRow
from perftui.model.places import around
from perftui.model.summary import Summary
from perftui.present.text.cells import BLANK, Cell, Line, clean, fit_line
from perftui.present.text.signs import sign
from perftui.present.text.statements import brief, wrapped
from perftui.record import Record

SubjectKind: TypeAlias = Literal[
    "view",
    "route",
    "worker",
    "request",
    "flight",
    "statement",
    "database",
    "pool",
    "cache",
    "upstream",
    "background",
    "channel",
    "place",
    "evidence",
]
"""`background`: a function that works after the response. `channel`: the connections of a route. `place`: a
function that held the loop. `flight`: a request that has not ended. `view`: by its digit. `database`: what it
says itself, asked as it is opened. `evidence`: what was taken of its own accord, by its id."""

SPACED = 30
"""From this height on empty lines part the blocks of a detail screen."""


class Subject(Record, frozen=True):
    """Something that has a screen of its own."""

    kind: SubjectKind
    key: str
    """A route's label, a worker's id, a fingerprint, a name … as the summary has it."""


class Row(Record, frozen=True):
    """A line, and what it leads to."""

    line: Line
    subject: Subject | None = None


def rows_of(lines: Iterable[Line]) -> list[Row]:
    """Return lines that lead nowhere."""
    return [Row(line) for line in lines]


def stacked(blocks: Iterable[Sequence[Row]], height: int) -> list[Row]:
    """Return the blocks one below the other, parted by empty lines where there is room."""
    rows: list[Row] = []
    for block in blocks:
        if block and rows and height >= SPACED:
            rows.append(Row(BLANK))
        rows += block
    return rows


_OF_DATABASES = frozenset({"db-lock", "idle-in-transaction", "db-connections"})


def subject_of(finding: Finding) -> Subject:
    """Return where the evidence of a finding is seen."""
    if finding.kind in _OF_DATABASES:
        return Subject("database", str(finding.evidence.get("database", "")))
    if finding.kind == "loop-blocked":
        return Subject("place", finding.key or finding.subject)
    if finding.pool:
        return Subject("pool", finding.pool)
    if finding.cache:
        return Subject("cache", finding.cache)
    if finding.channel:
        return Subject("channel", finding.channel)
    if finding.upstream:
        return Subject("upstream", finding.upstream)
    if finding.worker:
        return Subject("worker", finding.worker)
    if finding.statement and finding.kind != "n-plus-one":
        return Subject("statement", finding.statement)
    if finding.route:
        return Subject("route", finding.route)
    return Subject("view", "2")


def short_place(place: str) -> str:
    """Return a place as short as it is still known by: `reports.py:42 build`, without folders."""
    text = clean(place)
    path, _, function = text.partition(" ")
    return " ".join(filter(None, (path.rpartition("/")[2] or path, around(function))))


def verdict_rows(
    findings: Iterable[Finding], width: int, *, advice: bool = True, own: Subject | None = None
) -> list[Row]:
    """Return what is wrong with the subject of a screen: what, and what to do about it.

    A finding about something else than the screen's `own` subject names that, and leads to it.
    """
    rows: list[Row] = []
    for finding in findings:
        style = {"high": "high", "medium": "medium", "low": "dim"}[finding.severity]
        said = (Cell(" "), sign(finding.severity), Cell(" "), Cell(finding.kind, style), Cell("  "))
        told, leads_to = brief(finding.sentence), None
        if own is not None and finding.subject != own.key:
            told = f"{brief(short_place(finding.subject))}  {told}"
            leads_to = subject_of(finding)
        lines = wrapped(told, max(width - len(finding.kind) - 7, 20))
        rows.append(
            Row(fit_line((*said, Cell(lines[0], "bright")), width), None if leads_to == own else leads_to)
        )
        rows += [
            Row(fit_line((Cell(" " * (len(finding.kind) + 5)), Cell(line, "bright")), width))
            for line in lines[1:]
        ]
        if advice:
            rows += [
                Row((Cell("   "), Cell(line, "dim")))
                for line in wrapped(clean(finding.advice), max(width - 5, 20))
            ]
    return rows


def request_key(row: SlowRow) -> str:
    """Return what tells one ended request from all others."""
    return f"{row.worker}#{row.request.id}"


def flight_keys(summary: Summary) -> dict[str, FlightRow]:
    """Return the requests in flight, each under what tells it from the others."""
    found: dict[str, FlightRow] = {}
    for row in summary.in_flight:
        nth = 0
        while (key := f"{row.worker} {row.request.method} {row.request.path} {nth}") in found:
            nth += 1
        found[key] = row
    return found


def probe_lines(summary: Summary, has_rows: bool, *probes: str) -> list[Line]:
    """Return which of the probes are off in some worker, a line for each reason.

    None if all of them are and there are no rows: the table says so in their place, by `absence`.
    """
    states = _states(summary, probes)
    if not has_rows and not any(state == "on" for _, state in states):
        return []
    return [(Cell(f" · {told}", "faint"),) for told in _off(states)]


def absence(summary: Summary, nothing: str, *probes: str) -> str:
    """Return why there is nothing to show: no probe saw it, or there was none to see."""
    if summary.link == "connecting":
        return "waiting for the first frame"
    states = _states(summary, probes)
    if any(state == "on" for _, state in states):
        return f"{nothing} in this window"
    if not states:
        return f"{nothing}: no worker has told of its probes yet" if probes else nothing
    return f"{nothing}: {'; '.join(_off(states))}"


def _states(summary: Summary, probes: Sequence[str]) -> set[tuple[str, str]]:
    """Return what workers say of these probes."""
    return {
        (probe, state)
        for worker in summary.workers
        for probe, state in worker.probes.items()
        if probe in probes
    }


def _off(states: set[tuple[str, str]]) -> list[str]:
    """Return a phrase for each reason why probes are off, with those it is the reason of."""
    reasons: dict[str, list[str]] = {}
    for probe, state in sorted(states):
        if state != "on":
            reasons.setdefault(state, []).append(probe)
    return [
        clean(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {state}")
        for state, names in reasons.items()
    ]
