"""Since when findings stand that stood before anybody looked: judged from what the agents remember.

Who opens a dashboard sees what is wrong at once, and nothing of when it began. So pictures of the past are
judged, minute by minute and backwards, for as long as what stands now stood in them. Takes findings and
pictures, gives the same findings with earlier beginnings, and the next moment that is to be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from perftui.findings.find import find
from perftui.model.happenings import Finding, Severity
from perftui.model.steps import Steps
from perftui.model.summary import Summary

STEP_S = 60.0
"""Between two moments of the past: a finding takes most of a minute to stand out of one."""

MOST_MOMENTS = 1000
"""That are kept."""

Identity: TypeAlias = tuple[str, str]
"""Kind and key of a finding."""

Past: TypeAlias = Callable[[float, float], "Steps[Summary] | None"]
"""Gives the picture of so many seconds before a moment; None where the past does not reach so far."""


class _Judged:
    """What was asked of one moment, and what of it stood then, with when that picture says it began."""

    def __init__(self, asked: frozenset[Identity], stood: Mapping[Identity, float]) -> None:
        self.asked = asked
        self.stood = stood


class Beginnings:
    """Remembers what it has judged: a moment of the past is looked at once."""

    def __init__(self) -> None:
        self._judged: dict[tuple[float, float], _Judged] = {}

    def known(
        self, findings: Sequence[Finding], judged_since: float, window_s: float, past: Past
    ) -> tuple[tuple[Finding, ...], float | None]:
        """Return the findings since when they are known to stand, and the next moment to look at, if any.

        What began when pictures had been judged for a while, from `judged_since` on, began when it was seen.
        """
        window_s = max(window_s, STEP_S)
        found, open_at = [], []
        for finding in findings:
            since, ends_at = finding.since, None
            if since is not None and since < judged_since + window_s:
                since, ends_at = self._walk(finding.identity, since, window_s, past)
            found.append(replace(finding, since=since) if since != finding.since else finding)
            if ends_at is not None:
                open_at.append(ends_at)
        return tuple(found), max(open_at, default=None)

    def _walk(
        self, identity: Identity, since: float, window_s: float, past: Past
    ) -> tuple[float, float | None]:
        """Return since when it stands by what was judged, and the moment at which that is not known yet."""
        at = _before(since)
        while True:
            judged = self._judged.get((window_s, at))
            if judged is None or identity not in judged.asked:
                return since, at if past(window_s, at) is not None else None
            if identity not in judged.stood:
                return since, None
            since, at = min(since, judged.stood[identity]), _before(at)

    def look_steps(self, at: float, findings: Sequence[Finding], window_s: float, past: Past) -> Steps[None]:
        """Judge one moment of the past, in steps."""
        window_s = max(window_s, STEP_S)
        steps = past(window_s, at)
        if steps is None:
            return
        summary = yield from steps
        yield
        # What stands is held to the threshold at which it would be over, as it is from picture to picture.
        standing: dict[str, dict[str, Severity]] = {}
        for each in findings:
            standing.setdefault(each.kind, {})[each.identity[1]] = each.severity
        stood = {each.identity: min(each.since or at, at) for each in find(summary, standing)}
        if len(self._judged) >= MOST_MOMENTS:
            del self._judged[next(iter(self._judged))]
        self._judged[window_s, at] = _Judged(frozenset(each.identity for each in findings), stood)


def _before(at: float) -> float:
    """Return the last whole step before a moment."""
    return (math.ceil(at / STEP_S) - 1) * STEP_S
