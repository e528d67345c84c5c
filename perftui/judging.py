"""Which findings stand, told whenever that has changed: for a recording, that says what was said then.

A picture costs some tens of milliseconds, so it is judged every few seconds; in between a finding that comes
and goes is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from perftui.findings.steady import Steady
from perftui.model.dashboard import Dashboard
from perftui.model.summarize import summarize
from perftui.model.summary import Finding
from perftui.recording.entries import Judged

EVERY_S = 5.0

WINDOW_S = 60.0


class Judging:
    """What stood when it was last judged."""

    def __init__(self) -> None:
        self._steady = Steady()
        self._judged_at: float | None = None
        self._told: frozenset[tuple[str, str, str]] = frozenset()

    def due(self, dashboard: Dashboard, at: float) -> Judged | None:
        """Judge, if it is time to; return what stands if that has changed."""
        if self._judged_at is None:
            self._judged_at = at
        if at - self._judged_at < EVERY_S:
            return None
        self._judged_at = at
        self._steady, found = self._steady.next(summarize(dashboard, at, WINDOW_S))
        return self.changed(found, at)

    def changed(self, found: Sequence[Finding], at: float) -> Judged | None:
        """Return what stands if it is something else than was told last."""
        now = frozenset((each.kind, each.key or each.subject, each.severity) for each in found)
        if now == self._told:
            return None
        self._told = now
        return Judged(at, tuple(found))
