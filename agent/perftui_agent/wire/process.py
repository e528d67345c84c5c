"""What a frame says of the worker's process: its CPU and memory, its loop, its threads, its agent."""

from __future__ import annotations

import msgspec

from perftui_agent.sketch import Count, LatencySketch
from perftui_agent.wire.parts import Bytes, CodePlace, Nanoseconds, Part, RouteLabel, Value


class Listener(Value, frozen=True):
    """A listening socket of the worker at the end of the span."""

    address: str
    """`127.0.0.1:8000`, `[::]:8000`, or the path of a Unix socket."""
    waiting: Count | None = None
    """Connections that wait to be accepted; workers that share the socket tell of the same ones."""
    most: Count | None = None
    """The most that were seen to wait within the span."""
    limit: Count | None = None
    """How many may."""


class ProcessStats(Value, frozen=True):
    """The worker's process at the end of the span, as the system tells it."""

    cpu_percent: float | None = None
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    rss_bytes: Bytes | None = None
    threads: int | None = None
    open_files: int | None = None
    open_files_limit: int | None = None
    uptime_s: float | None = None
    cpu_limit: float | None = None
    """Cores the container may use."""
    memory_limit_bytes: Bytes | None = None
    memory_left_bytes: Bytes | None = None
    """How much more there is before something is ended for it: to the container's limit, for all that is in
    it together, or what the host has available, whichever is less."""
    memory_left_in: str = ""
    """Of which of the two that is: `container` or `host`."""


class LoopStats(Part):
    """The app's event loop: how late it answered the beats of this span."""

    lag: LatencySketch = msgspec.field(default_factory=LatencySketch)
    blocked_ns: Nanoseconds = 0
    """For how long the loop has not turned, at the end of the span; 0 while it turns."""
    blocked_at: CodePlace | None = None
    blocked_route: RouteLabel | None = None
    kind: str = ""
    """`asyncio` or `uvloop`."""


class ThreadpoolStats(Part):
    """The anyio threadpool that sync endpoints run in."""

    used: int
    total: int
    waiting: int
    wait: LatencySketch = msgspec.field(default_factory=LatencySketch)


class GcStats(Part):
    """Garbage collections of this span."""

    pauses: LatencySketch = msgspec.field(default_factory=LatencySketch)
    collections: dict[int, Count] = msgspec.field(default_factory=dict)
    """Collections by generation."""


class AgentStats(Value, frozen=True):
    """What the agent itself costs, and what it could not keep up with."""

    cpu_percent: float = 0.0
    rss_bytes: Bytes | None = None
    """An estimate of its share of the process's: what importing it added, and the size of its tables."""
    records_dropped: Count = 0
    clients: Count = 0
    bytes_sent: Bytes = 0
    """To clients, since it started."""
    faults: dict[str, Count] = msgspec.field(default_factory=dict)
    """Faults by the place in the agent that had them, since it started."""
    bounded: dict[str, Count] = msgspec.field(default_factory=dict)
    """What each bound folded away in this span."""
    forgotten: dict[str, Count] = msgspec.field(default_factory=dict)
    """How many names each table has forgotten since the agent started, so as to make room for others:
    `statements`, `routes`, `commands`, `caches`, `upstreams`; and how many executions had a text (`texts`)
    that nobody had the time to read. What comes back is known again."""
    sampled: Count = 1
    """One request in so many is followed in full; of the others there are exact counts and times."""
    degraded: str = ""
