"""What agents have seen of their own accord: of themselves, or of a sibling that could not tell any more.

It comes in the frames of whoever tells of it, and is told again as more becomes known: the latest is all
of it. A silence is an incident of the worker that was silent, whoever told of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import msgspec

from perftui.model.happenings import EvidenceRow, IncidentRow
from perftui.model.parts import pid_of
from perftui.model.text import clean
from perftui_agent.wire.actions import Profile
from perftui_agent.wire.asked import ASKED
from perftui_agent.wire.codec import WireError, decode_from_agent
from perftui_agent.wire.dumps import Dump
from perftui_agent.wire.incidents import Evidence, Incident
from perftui_agent.wire.parts import WorkerId

SILENT = "worker-silent"

TRIGGER = "trigger"

TAKEN = frozenset({TRIGGER, ASKED})

STILL_NS = 35_000_000_000
"""What goes on is told of again every thirty seconds; longer unheard of, how it went is not known."""

MAX_EVIDENCE = 50
"""The latest; what is beyond is forgotten."""


def evidence_row(told_by: WorkerId, evidence: Evidence) -> EvidenceRow:
    """Return what a worker's frame tells of, and whose it is."""
    worker = evidence.worker or told_by
    return EvidenceRow(worker, pid_of(worker), evidence, told_by)


def latest_evidence(rows: Iterable[EvidenceRow]) -> tuple[EvidenceRow, ...]:
    """Return each piece once, as it lasted longest, oldest first.

    The past is told backwards: what is known of the later is what went on for longer.
    """
    latest: dict[str, EvidenceRow] = {}
    for row in rows:
        have = latest.get(row.evidence.id)
        if have is None or _age(row.evidence) >= _age(have.evidence):
            latest[row.evidence.id] = row
    return tuple(sorted(latest.values(), key=lambda row: row.evidence.at)[-MAX_EVIDENCE:])


def evidence_at(known: Iterable[EvidenceRow], at: float) -> tuple[EvidenceRow, ...]:
    """Return what there was at a moment; of what went on, no more than was to be known then."""
    return tuple(_as_at(row, at) for row in known if row.evidence.at <= at * 1e9)


def result_of(evidence: Evidence) -> Dump | Profile | None:
    """Return the stacks that were taken; None where none were, or there was no room for them."""
    try:
        result = clean(decode_from_agent(evidence.result)) if evidence.result else None
    except WireError:
        return None
    return result if isinstance(result, Dump | Profile) else None


def what_it_was(evidence: Evidence) -> str:
    """Return what a silence was, in a few words: `hung in app.py:7 match, serving GET /rx`."""
    at = f" in {evidence.where}" if evidence.where else ""
    serving = f", serving {evidence.route}" if evidence.route else ""
    match evidence.verdict:
        case "stopped":
            return "stopped by a signal or a debugger"
        case "starved":
            return f"starved{at}{serving}"
        case "hung":
            return f"hung{at or ' in a line that is not known'}{serving}"
        case _:
            return f"silent{at}{serving}"


MOST_SERVED = 3

UNLIKELY_OVER_NS = 100_000_000
"""What is known of the requests of a worker that ended is up to a second old: a younger one was over by then
more likely than not, and whoever reads its route would look for the cause there."""


def serving(evidence: Evidence) -> str:
    """Return which requests a worker had as it ended: `, serving GET /pay (1.2 s)`; empty for none."""
    rows = [row for row in evidence.in_flight if row.age_ns >= UNLIKELY_OVER_NS]
    told = ", ".join(f"{row.route} ({row.age_ns / 1e9:.1f} s)" for row in rows[:MOST_SERVED])
    more = f" and {len(rows) - MOST_SERVED} more" if len(rows) > MOST_SERVED else ""
    return f", serving {told}{more}" if told else ""


def how_it_ended(evidence: Evidence) -> str:
    """Return how a silent worker ended: `ended by uvicorn (pid 4100) after 5.3 s of silence`."""
    by = f"ended by {evidence.ended_by}" if evidence.ended_by else "ended, by whom is not known,"
    return f"{by} after {evidence.ns / 1e9:.1f} s of silence"


def advice_on(evidence: Evidence) -> str:
    """Return what to do about a silence."""
    option = "--timeout" if evidence.ended_by.startswith("gunicorn") else "--timeout-worker-healthcheck"
    match evidence.verdict:
        case "stopped":
            return "Whoever stopped it (kill -STOP, a debugger) lets it go on: kill -CONT."
        case "starved":
            return (
                f"It needed more time than its supervisor gives it: raise {option}, give it more CPU, or "
                "import at start what it imports while it serves."
            )
        case _:
            return (
                "C code there keeps the GIL, so that nothing else of the worker runs: bound its input, "
                "or run it in another process."
            )


def silences(rows: Iterable[EvidenceRow], at: float) -> Iterator[IncidentRow]:
    """Yield the incidents that silent workers are, as of a moment."""
    for row in rows:
        each = row.evidence
        if each.kind == SILENT:
            incident = Incident(
                kind=SILENT,
                at=each.at,
                ns=each.ns,
                where=each.where,
                route=each.route,
                stack=each.stack,
                ongoing=is_going_on(row, at),
                verdict=each.verdict,
            )
            yield IncidentRow(row.worker, row.pid, incident)


def _age(evidence: Evidence) -> tuple[bool, int]:
    return bool(evidence.outcome), evidence.ns


def _as_at(row: EvidenceRow, at: float) -> EvidenceRow:
    """Return it as it was at a moment: what went on then has lasted so far, and its outcome was not known."""
    each = row.evidence
    if each.kind != SILENT or (each.outcome and row.until <= at):
        return row
    lasted_ns = max(0, int(at * 1e9) - each.at)
    if not each.outcome:
        lasted_ns = min(lasted_ns, each.ns + STILL_NS)
    return replace(row, evidence=msgspec.structs.replace(each, ns=lasted_ns, outcome="", ended_by=""))


def is_going_on(row: EvidenceRow, at: float) -> bool:
    """Tell whether it went on at a moment, as far as was heard."""
    return not row.evidence.outcome and row.until >= at - 1.0
