"""Findings over time: each appears once, stays while it holds, and knows since when.

A state machine without a clock and without memory of its own: the state is handed in and given back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from perftui.findings.find import find
from perftui.model.happenings import Finding, Severity
from perftui.model.summary import Summary
from perftui.record import Record

LATELY_S = 10.0
"""A shorter window that is judged beside one's own: of a minute, what has just begun is little."""

GAP_S = 120.0
"""After so long without a picture, what stood before says nothing about now."""


class Stand(Record, frozen=True):
    """One finding that stands."""

    severity: Severity
    since: float


class Steady(Record, frozen=True):
    """Which findings stand, and since when; a new one knows of none."""

    at: float | None = None
    """The moment of the last picture."""
    stands: Mapping[tuple[str, str], Stand] = msgspec.field(default_factory=dict)

    def next(self, summary: Summary, lately: Summary | None = None) -> tuple[Steady, tuple[Finding, ...]]:
        """Return the state after `summary`, and the findings to show with it, or with `lately` (see `find`).

        A picture from before the last one (time was stepped back) or long after it is judged afresh.
        """
        at = summary.at
        afresh = self.at is None or not 0 <= at - self.at <= GAP_S
        stands = {} if afresh else self.stands
        by_kind: dict[str, dict[str, Severity]] = {}
        for (kind, key), stand in stands.items():
            by_kind.setdefault(kind, {})[key] = stand.severity
        found = tuple(_since(each, stands, at) for each in find(summary, by_kind, lately))
        after = {each.identity: Stand(each.severity, each.since or at) for each in reversed(found)}
        return Steady(at, after), found


def _since(finding: Finding, stands: Mapping[tuple[str, str], Stand], at: float) -> Finding:
    stand = stands.get(finding.identity)
    known = [moment for moment in (finding.since, stand.since if stand else None) if moment is not None]
    return replace(finding, since=min(known, default=at))
