"""What asks to be looked at, one line each: what is so now, then what the findings say, causes first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from perftui.findings.causes import CAUSES
from perftui.model.evidence import what_it_was
from perftui.model.happenings import Finding, Severity
from perftui.model.places import function_of
from perftui.model.summary import Summary
from perftui.model.waiting import PROBE
from perftui.present.text.cells import Cell, Line, clean, fit, fit_line, shortened, spread, width_of
from perftui.present.text.doubts import doubts_of
from perftui.present.text.evidence import Row, Subject, short_place, subject_of
from perftui.present.text.signs import LAG_MS, RANK, sign
from perftui.present.text.units import age, ms
from perftui.record import Record

_KIND = 14

_COLUMNS = re.compile(r"\bSELECT\b.{20,}?\bFROM\b")

_WITH_AGE = 100
"""From this width on a line ends with how long it has been so."""


class Notice(Record, frozen=True):
    """One thing to look at."""

    severity: Severity
    kind: str
    subject: str
    detail: str
    since: float | None = None
    leads_to: Subject | None = None
    """Where the evidence is seen."""


def notices(summary: Summary, findings: Sequence[Finding] = ()) -> list[Notice]:
    """Return all there is to say: what is so now, then causes, the worst first; missed targets after them."""
    said = {function_of(worker.blocked_at or "") for worker in summary.workers if worker.state == "blocked"}
    judged = [
        Notice(each.severity, each.kind, each.subject, each.sentence, each.since, subject_of(each))
        for each in _causes_first(findings)
        # A block that goes on now is told by the worker that is in it.
        if not (each.kind == "loop-blocked" and function_of(each.subject) in said)
    ]
    return [*sorted(_in_trouble(summary), key=lambda each: RANK[each.severity]), *judged, *_losses(summary)]


def _causes_first(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings by severity; of each kind the worst before the second of any other kind.

    Missed targets, which the header tells too, come after all that may be their cause. The order of kinds
    is fixed, so lines keep their places while figures change.
    """
    # A worker that is no more comes before what the others suffer from.
    ranks = {kind: place for place, kind in enumerate(("worker-lost", *CAUSES))}
    seen: Counter[tuple[Severity, str]] = Counter()
    placed = []
    for finding in findings:
        of_its_kind = seen[finding.severity, finding.kind]
        seen[finding.severity, finding.kind] += 1
        symptom = finding.kind == "slo-breach"
        severity = RANK["medium"] + 0.5 if symptom else RANK[finding.severity]
        placed.append((severity, of_its_kind, ranks.get(finding.kind, len(ranks)), finding))
    return [finding for *_, finding in sorted(placed, key=lambda each: each[:3])]


def attention_rows(found: Sequence[Notice], now: float | None, width: int) -> list[Row]:
    """Return a row for each notice; without `now`, as nobody knows yet for how long each has been so."""
    if not found:
        return [Row((Cell(" "), sign("low"), Cell(" nothing stands out", "faint")))]
    return [Row(_line(notice, now, width), notice.leads_to) for notice in found]


def _line(notice: Notice, now: float | None, width: int) -> Line:
    style = {"high": "high", "medium": "medium", "low": "dim"}[notice.severity]
    said = (
        Cell(" "),
        sign(notice.severity),
        Cell(" "),
        Cell(fit(notice.kind, max(_KIND, len(notice.kind))), style),
        Cell(" "),
        Cell(shortened(_brief(notice.subject), max(width * 2 // 5, 24)), "bright"),
        Cell("  "),
        Cell(_brief(notice.detail), "text"),
    )
    if now is None or notice.since is None or width < _WITH_AGE:
        return fit_line(said, width - 1)
    lasting = (Cell(f"  {age(max(now - notice.since, 0.0))} ", "dim"),)
    return spread(fit_line(said, width - width_of(lasting) - 1), lasting, width)


def _brief(text: str) -> str:
    """Return a text with the columns of its statements left out: the tables tell more."""
    return _COLUMNS.sub("SELECT … FROM", clean(text))


def _in_trouble(summary: Summary) -> Iterator[Notice]:
    """Yield the workers that don't work at this moment."""
    for worker in summary.workers:
        if worker.state == "blocked":
            where = worker.blocked_at or "an unknown place"
            held = age(worker.blocked_ms / 1000) if worker.blocked_ms is not None else "over 1 s"
            route = f" · {worker.blocked_route}" if worker.blocked_route else ""
            held_by = f"holds worker {worker.pid} for {held}{route}"
            yield Notice("high", "blocked", where, held_by, leads_to=Subject("worker", worker.identity.id))
        elif worker.state == "silent":
            quiet = f" for {age(summary.at - worker.last_seen)}" if worker.last_seen else ""
            detail = f"no word{quiet}: stopped, or its GIL is held"
            if (silence := worker.silence) is not None:
                # The line comes first: it is what has room.
                short = replace(silence, where=short_place(silence.where))
                detail = f"{what_it_was(short)}; no word{quiet}"
            leads_to = Subject("worker", worker.identity.id)
            yield Notice("high", "silent", f"worker {worker.pid}", detail, leads_to=leads_to)


def _losses(summary: Summary) -> Iterator[Notice]:
    """Yield what the picture lacks through the agents' own fault."""
    for worker in summary.workers:
        name, leads_to = f"worker {worker.pid}", Subject("worker", worker.identity.id)
        why = worker.probes.get(PROBE, "on")
        if why != "on" and worker.state != "gone" and (worker.loop_lag_p99_ms or 0.0) >= LAG_MS:
            late = f"its loop is {ms(worker.loop_lag_p99_ms)} late (p99), and waits before the app are not"
            yield Notice("low", "queue-unknown", name, f"{late} in its latencies: {why}", leads_to=leads_to)
        # The gravest of each: the worker's own screen tells all.
        for doubt in list(doubts_of(worker))[:1]:
            yield Notice("low", doubt.kind, name, doubt.sentence, leads_to=leads_to)
