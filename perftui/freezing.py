"""Having workers keep what is around the beginning of a grave finding, before newer seconds overwrite it.

Takes the findings of each picture of the present, asks the workers concerned once as one of high severity
begins. A finding of a route, or of a worker that is gone, concerns all that are there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from perftui.findings.turns import Turns
from perftui.model.happenings import Finding
from perftui_agent.wire.parts import WorkerId
from perftui_agent.wire.registration import Registration


class Keepers(Protocol):
    """Workers that can be asked to keep something: a live source."""

    def workers(self) -> Sequence[Registration]:
        """Return the workers that aren't gone."""

    def keep(self, workers: Collection[WorkerId], kind: str) -> None:
        """Have them keep the seconds around now; those that can't do nothing."""


class Freezing:
    """Which grave findings stand, and whom to ask as one begins."""

    def __init__(self, source: Keepers) -> None:
        self._source = source
        self._turns = Turns("high")

    def judged(self, at: float, findings: Iterable[Finding]) -> None:
        """Take the findings of a picture."""
        self._turns, turns = self._turns.next(at, findings)
        begun = [turn.finding for turn in turns if turn.event == "begin"]
        if not begun:
            return
        alive = {each.worker.id for each in self._source.workers()}
        for finding in begun:
            named = {finding.worker, *finding.workers} & alive
            self._source.keep(sorted(filter(None, named)) or sorted(alive), finding.kind)
