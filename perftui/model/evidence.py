"""What agents have seen of their own accord: of themselves, or of a sibling that could not tell any more.

It comes in the frames of whoever tells of it, and is told again as more becomes known: the latest is all
of it. A silence is an incident of the worker that was silent, whoever told of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import msgspec

from perftui.model.parts import pid_of
from perftui.model.summary import EvidenceRow, IncidentRow
from perftui.model.text import clean
from perftui_agent.wire.actions import Profile
from perftui_agent.wire.codec import WireError, decode_from_agent
from perftui_agent.wire.frames import Dump, Evidence, Incident, WorkerId

SILENT = "worker-silent"

TRIGGER = "trigger"

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
    """Return what was taken; None where nothing was, or there was no room for it."""
    try:
        result = clean(decode_from_agent(evidence.result)) if evidence.result else None
    except WireError:
        return None
    return result if isinstance(result, Dump | Profile) else None


def silences(rows: Iterable[EvidenceRow]) -> Iterator[IncidentRow]:
    """Yield the incidents that silent workers are."""
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
                ongoing=not each.outcome,
                verdict=each.verdict,
            )
            yield IncidentRow(row.worker, row.pid, incident)


def _age(evidence: Evidence) -> tuple[bool, int]:
    return bool(evidence.outcome), evidence.ns


def _as_at(row: EvidenceRow, at: float) -> EvidenceRow:
    if row.until <= at:
        return row
    evidence = row.evidence
    so_far_ns = max(0, int(at * 1e9) - evidence.at)
    return replace(row, evidence=msgspec.structs.replace(evidence, ns=so_far_ns, outcome="", ended_by=""))
