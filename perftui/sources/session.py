"""How the link to a target stands: a state machine without I/O.

Takes what happened and when (on a clock that nobody sets), gives the new state. The laws are the two tables.
A worker: hello makes it live, two and a half seconds without a word make it silent, the end of its
process makes it gone, and gone is for ever: its pid may come again, its life can't.
The link: live while anyone talks, stale when nobody does, lost when nobody is left who could.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

from perftui.model.summary import LinkState
from perftui.model.workers import SILENT_AFTER_S
from perftui.record import Record
from perftui_agent.wire.parts import WorkerId

Phase: TypeAlias = Literal["connecting", "live", "silent", "gone"]
"""How a worker stands as seen from its connection."""

Sign: TypeAlias = Literal["heard", "quiet", "dropped", "died"]
"""`heard`: hello or a frame. `quiet`: nothing for `SILENT_AFTER_S`. `dropped`: its connection ended,
its process did not. `died`: its process ended."""

WORKER: Mapping[tuple[Phase, Sign], Phase] = MappingProxyType(
    {
        ("connecting", "heard"): "live",
        ("connecting", "quiet"): "silent",
        ("connecting", "dropped"): "connecting",
        ("connecting", "died"): "gone",
        ("live", "heard"): "live",
        ("live", "quiet"): "silent",
        ("live", "dropped"): "connecting",
        ("live", "died"): "gone",
        ("silent", "heard"): "live",
        ("silent", "quiet"): "silent",
        ("silent", "dropped"): "silent",  # it did not answer before, and does no better now
        ("silent", "died"): "gone",
        ("gone", "heard"): "gone",
        ("gone", "quiet"): "gone",
        ("gone", "dropped"): "gone",
        ("gone", "died"): "gone",
    }
)

Voices: TypeAlias = Literal["some", "none", "nobody"]
"""`some`: a worker is live. `none`: workers are there, and none is. `nobody`: no worker is there."""

LINK: Mapping[tuple[LinkState, Voices], LinkState] = MappingProxyType(
    {
        ("connecting", "some"): "live",
        ("connecting", "none"): "connecting",
        ("connecting", "nobody"): "lost",
        ("live", "some"): "live",
        ("live", "none"): "stale",
        ("live", "nobody"): "lost",
        ("stale", "some"): "live",
        ("stale", "none"): "stale",
        ("stale", "nobody"): "lost",
        ("lost", "some"): "live",
        ("lost", "none"): "lost",  # a newcomer makes it live when it speaks, not before
        ("lost", "nobody"): "lost",
    }
)

FIRST_RETRY_S = 0.05
SLOWEST_RETRY_S = 2.0


class WorkerLink(Record, frozen=True):
    """One worker's side of the link."""

    phase: Phase
    heard_at: float
    """When it was last heard; when it was found, if never."""
    drops: int = 0
    """Connections that ended since it was last heard."""


class Session(Record, frozen=True):
    """The link to a target: every worker's side of it, and the whole."""

    workers: Mapping[WorkerId, WorkerLink] = msgspec.field(default_factory=dict)
    link: LinkState = "connecting"

    def phase(self, worker: WorkerId) -> Phase | None:
        """Return how a worker stands; None if it was never found."""
        known = self.workers.get(worker)
        return known.phase if known else None

    def found(self, worker: WorkerId, at: float) -> Session:
        """Return it with a worker that is to be connected to."""
        if worker in self.workers:
            return self
        return self._with({**self.workers, worker: WorkerLink("connecting", at)})

    def seen(self, worker: WorkerId, sign: Sign, at: float) -> Session:
        """Return it after a sign of a worker; of an unknown one it means nothing."""
        known = self.workers.get(worker)
        if known is None:
            return self
        phase = WORKER[known.phase, sign]
        changed = replace(known, phase=phase)
        if sign == "heard":
            changed = WorkerLink(phase, at)
        elif sign == "dropped":
            changed = replace(changed, drops=known.drops + 1)
        return self if changed == known else self._with({**self.workers, worker: changed})

    def at(self, now: float) -> Session:
        """Return it when it is `now`: whoever hasn't been heard for long is silent."""
        session = self
        for worker, known in self.workers.items():
            if now - known.heard_at > SILENT_AFTER_S:
                session = session.seen(worker, "quiet", now)
        return session

    def _with(self, workers: Mapping[WorkerId, WorkerLink]) -> Session:
        phases = {each.phase for each in workers.values()}
        voices: Voices = "some" if "live" in phases else "none" if phases - {"gone"} else "nobody"
        return Session(workers, LINK[self.link, voices])


def retry_after_s(drops: int, chance: float) -> float:
    """Return how long to wait before connecting again, after `drops` in a row.

    It doubles up to a cap; `chance` (0…1) spreads it over the upper half, so that many clients of
    many workers don't knock together.
    """
    longest = min(SLOWEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(max(drops - 1, 0), 10))
    return longest * (0.5 + chance / 2)
