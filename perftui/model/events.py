"""What a source tells: the only things that ever change a `Dashboard`.

Every source (local sockets, a remote endpoint, a recording) yields these, in the order in which it
learnt of them. Moments are seconds since the epoch on the client's axis, which goes on when its clock is set.
"""

from __future__ import annotations

from typing import TypeAlias

from perftui.model.summary import LinkState
from perftui.record import Record
from perftui_agent.wire.frames import Frame, Hello
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.parts import WorkerId


class WorkerFound(Record, frozen=True):
    """A worker of the target is registered; nothing has been heard from it yet."""

    identity: WorkerIdentity
    at: float


class WorkerJoined(Record, frozen=True):
    """A worker's agent has said hello; once for each connection to it."""

    hello: Hello
    at: float


class FrameReceived(Record, frozen=True):
    """A worker's agent has sent a frame."""

    worker: WorkerId
    frame: Frame
    received_at: float


class HistoryReceived(Record, frozen=True):
    """A worker's agent has sent frames from before the connection, oldest first."""

    worker: WorkerId
    frames: tuple[Frame, ...]
    received_at: float


class EvidenceKept(Record, frozen=True):
    """What a worker has kept of its own accord was found: it sent it, or left it behind."""

    worker: WorkerId
    evidence: tuple[Evidence, ...]
    received_at: float


class WorkerGone(Record, frozen=True):
    """A worker's process is no more."""

    worker: WorkerId
    at: float


class LinkChanged(Record, frozen=True):
    """The link to the whole target stands otherwise than before."""

    link: LinkState
    at: float


class ClockStepped(Record, frozen=True):
    """A wall clock was set; moments here go by another, and stay as far apart as they are."""

    by_s: float
    """Forward; backward is negative."""
    at: float
    worker: WorkerId | None = None
    """Whose: None for that of this host."""


class Marked(Record, frozen=True):
    """Somebody marked a moment, to compare with it later."""

    at: float
    label: str = ""


class Missing(Record, frozen=True):
    """A recording is damaged: of something from a moment on, nobody knows."""

    at: float
    sentence: str


SourceEvent: TypeAlias = (
    WorkerFound
    | WorkerJoined
    | FrameReceived
    | HistoryReceived
    | EvidenceKept
    | WorkerGone
    | LinkChanged
    | ClockStepped
    | Marked
    | Missing
)
"""Anything a source may yield."""
