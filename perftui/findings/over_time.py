"""Findings over a stretch of time: which stood, from when to when, each as it was at its worst.

Takes pictures in order of time, gives each finding once. Those that are over are part of what happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from perftui.findings.rule import RANK
from perftui.findings.steady import Steady
from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui.record import Record


class Stood(Record, frozen=True):
    """One finding, and how long it stood; moments in seconds since the epoch."""

    finding: Finding
    """As it was at its worst: severity first, then impact."""
    since: float
    last: float
    """The last picture in which it stood."""
    is_over: bool
    """Whether a later picture was without it."""


def stood(pictures: Iterable[Summary]) -> tuple[Stood, ...]:
    """Return every finding of `pictures`: by severity, then by what each cost while it stood."""
    steady = Steady()
    known: dict[tuple[str, str], Stood] = {}
    at = 0.0
    for picture in pictures:
        at = picture.at
        steady, found = steady.next(picture)
        for finding in found:
            since = at if finding.since is None else finding.since
            before = known.get(finding.identity)
            if before is None:
                known[finding.identity] = Stood(finding, since, at, is_over=False)
                continue
            worst = min(before.finding, finding, key=_order)
            known[finding.identity] = Stood(worst, min(before.since, since), at, is_over=False)
    all_of_them = [replace(each, is_over=each.last < at) for each in known.values()]
    return tuple(sorted(all_of_them, key=_cost))


def _cost(each: Stood) -> tuple[int, float]:
    stood_s = max(each.last - each.since, 1.0)
    return RANK[each.finding.severity], -each.finding.impact * stood_s


def _order(finding: Finding) -> tuple[int, float]:
    return RANK[finding.severity], -finding.impact
