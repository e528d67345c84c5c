"""The messages between an agent and its clients, and nothing else.

The same `Frame` goes over the WebSocket, into the black box and into a recording. Durations are
integer nanoseconds, sizes bytes, moments wall-clock nanoseconds since the epoch. A field that is
absent was not measured: None and 0 are different things. Everything in a frame that counts is the
count of this frame's span alone (a delta); a gap in `seq` says that frames were lost.

Growing it: add fields with defaults. Removing or re-typing one needs a new `WIRE_VERSION`.
"""

from __future__ import annotations

import msgspec

from perftui_agent.sketch import Count
from perftui_agent.wire.after import BackgroundFrame
from perftui_agent.wire.channels import ChannelFrame
from perftui_agent.wire.database import DatabaseNews
from perftui_agent.wire.explain import PlanNote
from perftui_agent.wire.gil import GilStats
from perftui_agent.wire.identity import SloTarget, WorkerIdentity
from perftui_agent.wire.incidents import Evidence, Incident
from perftui_agent.wire.machine import Machine
from perftui_agent.wire.outside import CacheFrame, PoolFrame, StatementFrame, UpstreamFrame
from perftui_agent.wire.parts import Nanoseconds, Part
from perftui_agent.wire.process import AgentStats, GcStats, Listener, LoopStats, ProcessStats, ThreadpoolStats
from perftui_agent.wire.requests import InFlight, RouteFrame, SlowRequest

WIRE_VERSION = 1

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""No message is larger; a peer that announces more is cut off."""


class Frame(Part, tag="frame"):
    """One worker, one second."""

    seq: Count
    """1, 2, 3 … for this worker's life."""
    ended_at: Nanoseconds
    span_ns: Nanoseconds
    steady_ns: Nanoseconds = 0
    """When it ended on the clock that nobody sets, `wire.clock`; 0 from who has none."""
    thinned: bool = False
    """Whether a black box has made it of several. That of a worker that was silent is as long, and is one."""
    routes: list[RouteFrame] = msgspec.field(default_factory=list)
    in_flight: Count = 0
    in_flight_rows: list[InFlight] = msgspec.field(default_factory=list)
    """The oldest first, at most 50; `in_flight` is the true count."""
    open_websockets: Count = 0
    open_streams: Count = 0
    listeners: list[Listener] = msgspec.field(default_factory=list)
    listen_overflows: Count | None = None
    """Connections that this host (its network namespace) refused in this span because a listening socket's
    queue was full; None where the system does not tell."""
    process: ProcessStats = msgspec.field(default_factory=ProcessStats)
    loop: LoopStats | None = None
    threadpool: ThreadpoolStats | None = None
    gc: GcStats | None = None
    gil: GilStats | None = None
    machine: Machine | None = None
    statements: list[StatementFrame] = msgspec.field(default_factory=list)
    transactions: list[StatementFrame] = msgspec.field(default_factory=list)
    """What begins, ends and divides transactions, and keeps up connections: `COMMIT`, `ROLLBACK`,
    `SAVEPOINT …`, `RESET` (as a connection goes back to its pool), `PING`, `CLOSE`, `CHECKOUT` and `CHECKIN`
    (an app's own listeners)."""
    pools: list[PoolFrame] = msgspec.field(default_factory=list)
    caches: list[CacheFrame] = msgspec.field(default_factory=list)
    upstreams: list[UpstreamFrame] = msgspec.field(default_factory=list)
    channels: list[ChannelFrame] = msgspec.field(default_factory=list)
    """What went over WebSockets and streams."""
    background: list[BackgroundFrame] = msgspec.field(default_factory=list)
    """What functions did after the response."""
    slowest: list[SlowRequest] = msgspec.field(default_factory=list)
    texts: dict[str, str] = msgspec.field(default_factory=dict)
    """By fingerprint, those of statements that `slowest` tells of and `statements` does not."""
    incidents: list[Incident] = msgspec.field(default_factory=list)
    evidence: list[Evidence] = msgspec.field(default_factory=list)
    database: DatabaseNews | None = None
    """What a database itself said, while there is a reason to ask."""
    plans: list[PlanNote] = msgspec.field(default_factory=list)
    """Of statements that were slow in this span, those whose plans are known."""
    agent: AgentStats = msgspec.field(default_factory=AgentStats)
    probes: dict[str, str] = msgspec.field(default_factory=dict)
    """Each probe and `on`, or `off: why`."""

    @property
    def moment_ns(self) -> Nanoseconds:
        """When it ended, by the clock that is not set, if there is one: frames of one agent go by it."""
        return self.steady_ns or self.ended_at


class Hello(Part, tag="hello"):
    """The first message of every agent on every connection."""

    wire: int
    worker: WorkerIdentity
    slo: list[SloTarget] = msgspec.field(default_factory=list)
    actions: bool = True
    """Whether dumps and profiles are allowed here."""
    keeps: bool = False
    """Whether a `Keep` is understood, and there is a black box to keep anything in."""
    shares: bool = False
    """Whether a `Listen` is understood."""
    said_at: Nanoseconds = 0
    """The worker's wall clock as this was said: set before the next frame, it has been set from here."""
    steady_ns: Nanoseconds = 0
    """Its clock that nobody sets, in the same moment."""


class History(Part, tag="history"):
    """Earlier frames of this worker, oldest first: sent in chunks after `Hello`, between live frames.

    The latest chunk comes first, so that a picture of the present need not wait for the past. Older frames
    are thinned: their `span_ns` is ten seconds instead of one.
    """

    frames: list[Frame] = msgspec.field(default_factory=list)
    last: bool = False
    """Whether this chunk ends the history."""
    evidence: list[Evidence] = msgspec.field(default_factory=list)
    """What was kept from before the oldest frame, and since: a message of its own, without frames."""
