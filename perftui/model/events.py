"""What a source tells: the only things that ever change a `Dashboard`.

Every source (local sockets, a remote endpoint, a recording) yields these, in the order in which it
learnt of them. Moments are seconds since the epoch on the client's axis, which goes on when its clock is set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from perftui.model.summary import LinkState
from perftui_agent.wire.frames import Frame, Hello, WorkerId, WorkerIdentity


@dataclass(frozen=True, slots=True)
class WorkerFound:
    """A worker of the target is registered; nothing has been heard from it yet."""

    identity: WorkerIdentity
    at: float


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker's agent has said hello; once for each connection to it."""

    hello: Hello
    at: float


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """A worker's agent has sent a frame."""

    worker: WorkerId
    frame: Frame
    received_at: float


@dataclass(frozen=True, slots=True)
class HistoryReceived:
    """A worker's agent has sent frames from before the connection, oldest first."""

    worker: WorkerId
    frames: tuple[Frame, ...]
    received_at: float


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker's process is no more."""

    worker: WorkerId
    at: float


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The link to the whole target stands otherwise than before."""

    link: LinkState
    at: float


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """A wall clock was set; moments here go by another, and stay as far apart as they are."""

    by_s: float
    """Forward; backward is negative."""
    at: float
    worker: WorkerId | None = None
    """Whose: None for that of this host."""


@dataclass(frozen=True, slots=True)
class Marked:
    """Somebody marked a moment, to compare with it later."""

    at: float
    label: str = ""


SourceEvent: TypeAlias = (
    WorkerFound
    | WorkerJoined
    | FrameReceived
    | HistoryReceived
    | WorkerGone
    | LinkChanged
    | ClockStepped
    | Marked
)
"""Anything a source may yield."""
