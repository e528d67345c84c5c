"""A finding that began or ended, as `perftui watch` says it: a line for people, a document for hooks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from perftui.findings.figures import span
from perftui.findings.turns import Turn
from perftui.model.summary import Summary
from perftui.present.text.cells import clean


def turn_line(turn: Turn) -> str:
    """Return one line: when, what, how severe, and the sentence; of one that ended how long it lasted."""
    finding = turn.finding
    lasted = "" if turn.lasted_s is None else f" (lasted {span(turn.lasted_s)})"
    said = f"{finding.severity:<6} {finding.kind} {finding.subject}: {finding.sentence}{lasted}"
    return clean(f"{_moment(turn.at)} {turn.event:<5} {said}")


def turn_document(turn: Turn, summary: Summary) -> dict[str, Any]:
    """Return the same with all that is known of it."""
    finding = turn.finding
    return {
        "schema": 1,
        "event": turn.event,
        "at": _moment(turn.at),
        "since": _moment(turn.since),
        "lasted_s": None if turn.lasted_s is None else round(turn.lasted_s, 1),
        "target": summary.target,
        "service": summary.service,
        "finding": {
            "kind": finding.kind,
            "severity": finding.severity,
            "subject": clean(finding.subject),
            "sentence": clean(finding.sentence),
            "evidence": finding.evidence,
            "advice": clean(finding.advice),
        },
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
