"""What happened: requests under way and slow ones, incidents, evidence, findings."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from perftui.model.evidence import TRIGGER, result_of, silences
from perftui.model.filter import Filter
from perftui.model.happenings import EvidenceRow, Finding, FlightRow, IncidentRow, Severity, SlowRow
from perftui.model.parts import pid_of
from perftui.model.summary import Summary
from perftui.present.documents.rows.units import Label, Moment, Ms, Number, Place, moment, rounded
from perftui_agent.wire.explain import PLAN_CHANGED
from perftui_agent.wire.incidents import Evidence


class InFlightDocument(TypedDict):
    """A request that has not ended; its path is without the query."""

    route: Label
    method: str
    path: str
    pid: Number
    age_ms: Ms
    waiting_at: Place | None
    holds: str | None
    """The pool that it has a connection of, while others wait for one."""
    on_purpose: bool


class SpanDocument(TypedDict):
    """A stretch of a request; repeats of one thing are one span."""

    kind: str
    name: str
    start_ms: Ms
    ms: Ms
    count: Number
    call_site: Place | None
    distinct_binds: Number | None


class SlowDocument(TypedDict):
    """One of the slowest requests, with its story."""

    route: Label
    method: str
    path: str
    status: Number
    pid: Number
    at: Moment
    total_ms: Ms
    spans_dropped: Number
    spans: list[SpanDocument]


class IncidentDocument(TypedDict):
    """The loop was held, a worker was silent, or a trigger fired."""

    kind: str
    pid: Number
    at: Moment
    ms: Ms
    where: Place | None
    route: Label | None
    stack: list[Place]
    ongoing: bool
    verdict: NotRequired[str]
    trigger: NotRequired[str]
    evidence: NotRequired[str]


class EvidenceDocument(TypedDict):
    """What an agent took of its own accord, without what was taken."""

    id: str
    kind: str
    pid: Number
    told_by: Number
    at: Moment
    ms: Ms
    verdict: str | None
    where: Place | None
    route: Label | None
    stack: list[Place]
    in_flight: list[InFlightDocument]
    text: str
    trigger: str | None
    result: str | None
    taken_at: Moment | None
    how: str | None
    outcome: str | None
    ended_by: str | None


class FindingDocument(TypedDict):
    """Something that is wrong: a judgement, the figures for it, and the next step."""

    kind: str
    severity: Severity
    subject: str
    sentence: str
    evidence: dict[str, Any]
    advice: str


_TOLD = frozenset({TRIGGER, PLAN_CHANGED})
"""Kinds of evidence that are incidents as well."""


def in_flight_document(row: FlightRow) -> InFlightDocument:
    """Return a request that has not ended."""
    request = row.request
    return {
        "route": request.route,
        "method": request.method,
        "path": request.path,
        "pid": row.pid,
        "age_ms": rounded(request.age_ns / 1e6),
        "waiting_at": request.waiting_at,
        "holds": request.holds or None,
        "on_purpose": request.on_purpose,
    }


def slow_document(row: SlowRow) -> SlowDocument:
    """Return a slow request with its story."""
    request = row.request
    return {
        "route": request.route,
        "method": request.method,
        "path": request.path,
        "status": request.status,
        "pid": row.pid,
        "at": moment(request.ended_at / 1e9),
        "total_ms": rounded(request.total_ns / 1e6),
        "spans_dropped": request.spans_dropped,
        "spans": [
            {
                "kind": span.kind,
                "name": span.name,
                "start_ms": rounded(span.start_ns / 1e6),
                "ms": rounded(span.ns / 1e6),
                "count": span.count,
                "call_site": span.call_site,
                "distinct_binds": span.distinct_binds,
            }
            for span in request.spans
        ],
    }


def incident_documents(summary: Summary, wanted: Filter) -> list[IncidentDocument]:
    """Return what held loops, silences, and what triggers and plans gave word of."""
    return [
        *(_incident(row) for row in wanted.of(_incidents(summary))),
        *(_fired(row) for row in wanted.of(summary.evidence) if row.evidence.kind in _TOLD),
    ]


def evidence_document(row: EvidenceRow) -> EvidenceDocument:
    """Return a piece of evidence, without what was taken."""
    each = row.evidence
    return {
        "id": each.id,
        "kind": each.kind,
        "pid": row.pid,
        "told_by": pid_of(row.told_by),
        "at": moment(each.at / 1e9),
        "ms": rounded(each.ns / 1e6),
        "verdict": each.verdict or None,
        "where": each.where or None,
        "route": each.route,
        "stack": list(each.stack),
        "in_flight": [
            in_flight_document(FlightRow(row.worker, row.pid, request)) for request in each.in_flight
        ],
        "text": each.text,
        "trigger": each.trigger or None,
        "result": _kind_of(each),
        "taken_at": None if each.taken_at is None else moment(each.taken_at / 1e9),
        "how": each.how or None,
        "outcome": each.outcome or None,
        "ended_by": each.ended_by or None,
    }


def finding_document(each: Finding) -> FindingDocument:
    """Return a finding."""
    return {
        "kind": each.kind,
        "severity": each.severity,
        "subject": each.subject,
        "sentence": each.sentence,
        "evidence": dict(each.evidence),
        "advice": each.advice,
    }


def _incidents(summary: Summary) -> list[IncidentRow]:
    """Return those of the window, and each silence that is known: it is kept for who comes later."""
    told = {(row.worker, row.incident.at) for row in summary.incidents}
    past = [
        row for row in silences(summary.evidence, summary.at) if (row.worker, row.incident.at) not in told
    ]
    return sorted([*past, *summary.incidents], key=lambda row: row.incident.at)


def _incident(row: IncidentRow) -> IncidentDocument:
    incident = row.incident
    told: IncidentDocument = {
        "kind": incident.kind,
        "pid": row.pid,
        "at": moment(incident.at / 1e9),
        "ms": rounded(incident.ns / 1e6),
        "where": incident.where,
        "route": incident.route,
        "stack": list(incident.stack),
        "ongoing": incident.ongoing,
    }
    if incident.verdict:
        told["verdict"] = incident.verdict
    return told


def _fired(row: EvidenceRow) -> IncidentDocument:
    """Return a trigger as an incident: what was over, and what was taken; or that a plan is another."""
    each = row.evidence
    return {
        "kind": each.kind,
        "pid": row.pid,
        "at": moment(each.at / 1e9),
        "ms": rounded(each.ns / 1e6),
        "where": each.where or None,
        "route": each.route,
        "stack": list(each.stack),
        "ongoing": not each.outcome,
        "trigger": each.trigger,
        "evidence": each.id,
    }


def _kind_of(each: Evidence) -> str | None:
    """Return what was taken: `profile`, `dump`."""
    taken = result_of(each)
    return type(taken).__name__.lower() if taken is not None else None
