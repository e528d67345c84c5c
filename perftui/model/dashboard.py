"""All that is known of a target: the one value that every event makes anew and every screen reads."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from perftui.model.happenings import Event, EvidenceRow
from perftui.model.history import NO_HISTORY, History
from perftui.model.received import NOTHING, Received
from perftui.model.shares import NO_RECENT, Recent
from perftui.model.summary import LinkState
from perftui.record import Record
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import SloTarget, WorkerIdentity
from perftui_agent.wire.parts import WorkerId

MAX_WORKERS = 500
"""Lives of workers remembered, the gone among them."""

MAX_EVENTS = 300


class WorkerTrack(Record, frozen=True):
    """One worker's life as seen from here."""

    identity: WorkerIdentity
    found_at: float
    joined_at: float | None = None
    """When its agent first said hello."""
    last_heard_at: float | None = None
    """When its agent last sent anything, on the clock of the client."""
    last_frame: Frame | None = None
    """Without what is counted elsewhere: gauges, and who is in flight."""
    received: Received = NOTHING
    """The frames that came live."""
    remembered: Received = NOTHING
    """The frames that came as history."""
    recent: Recent = NO_RECENT
    """What it did for each route in the last minute."""
    last_ended_at: int = 0
    """When the latest of all its frames ended, in nanoseconds on its own clock."""
    actions: bool = True
    """Whether dumps and profiles are allowed there."""
    gone_at: float | None = None
    replaced_by: WorkerId | None = None
    replaces: WorkerId | None = None


class Dashboard(Record, frozen=True):
    """A target, its workers and its history."""

    target: str = ""
    began_at: float | None = None
    """When the first event came."""
    workers: Mapping[WorkerId, WorkerTrack] = msgspec.field(default_factory=dict)
    history: History = NO_HISTORY
    slo: tuple[SloTarget, ...] = ()
    events: tuple[Event, ...] = ()
    """What happened to workers and the link, and marks; `timeline.events_until` adds what frames tell."""
    evidence: tuple[EvidenceRow, ...] = ()
    """What agents have seen of their own accord, however long ago, oldest first."""
    link: LinkState = "connecting"
    last_heard_at: float | None = None
    """When any agent last sent a frame."""

    @property
    def alive(self) -> tuple[WorkerTrack, ...]:
        """The workers whose processes are there, as far as is known."""
        return tuple(track for track in self.workers.values() if track.gone_at is None)
