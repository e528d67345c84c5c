"""When findings begin and end, each told once: a state machine without a clock.

What goes and comes again within seconds has not gone; what was less severe begins when it is severe enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from perftui.findings.rule import RANK
from perftui.model.happenings import Finding, Severity
from perftui.record import Record

ENDS_AFTER_S = 10.0
"""A finding that was not there for so long is over."""


class Turn(Record, frozen=True):
    """A finding that began or ended."""

    event: Literal["begin", "end"]
    at: float
    finding: Finding
    """As it was last seen."""
    since: float
    """When it was first seen."""

    @property
    def lasted_s(self) -> float | None:
        """For how long it was there; None while it is."""
        return self.at - self.since if self.event == "end" else None


class _Known(Record, frozen=True):
    finding: Finding
    since: float
    seen_at: float


class Turns(Record, frozen=True):
    """What is known of findings so far; a new one knows of none."""

    on: Severity = "high"
    known: Mapping[tuple[str, str], _Known] = msgspec.field(default_factory=dict)

    def next(self, at: float, findings: Iterable[Finding]) -> tuple[Turns, tuple[Turn, ...]]:
        """Return the state after a picture, and what began and ended with it."""
        known = dict(self.known)
        turns: list[Turn] = []
        for finding in findings:
            if RANK[finding.severity] > RANK[self.on]:
                continue
            before = known.get(finding.identity)
            since = before.since if before else min(finding.since or at, at)
            known[finding.identity] = _Known(finding, since, at)
            if before is None:
                turns.append(Turn("begin", at, finding, since))
        for identity, each in list(known.items()):
            if at - each.seen_at >= ENDS_AFTER_S:
                del known[identity]
                turns.append(Turn("end", each.seen_at, each.finding, each.since))
        return Turns(self.on, known), tuple(turns)
