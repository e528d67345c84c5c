"""Which findings begin and end as time goes on, by pictures of every second: live, or of a recording."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.faults import FAULTS
from perftui.findings.steady import LATELY_S, Steady
from perftui.findings.turns import Turn, Turns
from perftui.model.dashboard import Dashboard
from perftui.model.happenings import Finding, Severity
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.recording.looking import dashboard_at
from perftui.recording.reader import Recording

WINDOW_S = 22.0
"""What is judged: what is over is told as over within half a minute, the last requests that it held up
included. What has just begun would be most of it after 11 s: so `LATELY_S` is judged beside it."""

EVERY_S = 1.0


class Judging:
    """What stands so far, and since when."""

    def __init__(self, on: Severity) -> None:
        self._steady = Steady()
        self._turns = Turns(on)

    def next(self, dashboard: Dashboard, at: float) -> tuple[Summary, tuple[Finding, ...], tuple[Turn, ...]]:
        """Return the picture of a moment, what stands in it, and what of that has begun or ended."""
        summary = summarize(dashboard, at, WINDOW_S)
        self._steady, findings = self._steady.next(summary, summarize(dashboard, at, LATELY_S))
        self._turns, turns = self._turns.next(summary.at, findings)
        return summary, findings, turns

    @property
    def standing(self) -> int:
        """How many findings have begun and not ended."""
        return len(self._turns.known)


def turns_in(recording: Recording, judging: Judging) -> Iterator[tuple[Summary, tuple[Turn, ...]]]:
    """Yield for each second of a recording what began and ended, as who had watched would have been told."""
    at = recording.began_at
    dashboard = dashboard_at(recording, at)
    while at < recording.ended_at:
        until = min(at + EVERY_S, recording.ended_at)
        for event in recording.between(at, until):
            with FAULTS.spared(f"a {type(event).__name__}"):
                dashboard = merge(dashboard, event)
        at = until
        summary, _, turns = judging.next(dashboard, at)
        yield summary, turns
