"""A worker of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from perftui.model.gil import Gil
from perftui.model.machine import NO_CONTENTION, Contention
from perftui.model.measures import Latency, Queued
from perftui.record import Record
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.parts import RouteLabel
from perftui_agent.wire.process import Listener, ThreadpoolStats

WorkerState: TypeAlias = Literal["ok", "blocked", "silent", "gone"]
"""`blocked`: its loop has not turned for over 1 s. `silent`: its agent does not answer although the
process is there. `gone`: the process is no more."""


class WorkerTrends(Record, frozen=True):
    """How one worker's figures go: each at every one of `Summary.points`, added up when first looked at."""

    cpu_percent: Sequence[float | None] = ()
    lag_ms: Sequence[float | None] = ()
    """The loop's p99 lag, as `gc_ms`: p99 of the collector's pauses."""
    gc_ms: Sequence[float | None] = ()
    rps: Sequence[float | None] = ()
    in_flight: Sequence[float | None] = ()
    """At the end of each step, as `threads`: those of the threadpool that were used."""
    threads: Sequence[float | None] = ()


class WorkerSummary(Record, frozen=True):
    """One worker over the window, and its process as last seen."""

    identity: WorkerIdentity
    state: WorkerState
    requests: int = 0
    rps: float | None = None
    errors: int = 0
    latency: Latency = Latency()
    queued: Queued = Queued()
    listeners: tuple[Listener, ...] = ()
    """Its listening sockets as last seen …"""
    backlogs: tuple[Listener, ...] = ()
    """… and each with the most connections that were seen to wait in the window."""
    listen_overflows: int | None = None
    """Connections that its host refused over the window, at whatever socket."""
    cpu_percent: float | None = None
    cpu_mean_percent: float | None = None
    """Over the window; `cpu_percent` is that of the last second."""
    cpu_limit: float | None = None
    """Cores the container may use."""
    memory_limit_bytes: int | None = None
    memory_left_bytes: int | None = None
    """How much more there is before something is ended for it …"""
    memory_left_in: str = ""
    """… in the `container`, or on the `host`."""
    memory_lately: Sequence[tuple[float, int]] = ()
    """As `memory`, second by second, of the last half minute."""
    memory: Sequence[tuple[float, int]] = ()
    """Moments and RSS, evenly spaced, from as far back as is known."""
    rss_bytes: int | None = None
    threads: int | None = None
    open_files: int | None = None
    open_files_limit: int | None = None
    uptime_s: float | None = None
    in_flight: int | None = None
    loop_lag_p99_ms: float | None = None
    loop_lags: int | None = None
    """How many beats that rests on, if that is known."""
    blocked_ms: float | None = None
    """For how long its loop has not turned; None while it turns."""
    blocked_at: str | None = None
    blocked_route: RouteLabel | None = None
    silence: Evidence | None = None
    """What siblings say of it while it is silent, or said of its end."""
    gc_pause_p99_ms: float | None = None
    gc_pauses: LatencySketch | None = None
    """In nanoseconds, as `threadpool_wait`: how long it took to get a thread when none was free."""
    threadpool_wait: LatencySketch | None = None
    gil: Gil | None = None
    contention: Contention = NO_CONTENTION
    """What its threads competed with for CPU and memory."""
    covered_s: float = 0.0
    """How much of the window its frames cover."""
    threadpool: ThreadpoolStats | None = None
    agent_cpu_percent: float | None = None
    agent_rss_bytes: int | None = None
    agent_dropped: int = 0
    agent_bounded: Mapping[str, int] = msgspec.field(default_factory=dict)
    """What each of the agent's bounds folded away in the window: `statements`, `routes`, `spans` …"""
    agent_clients: int | None = None
    agent_bytes_sent: int | None = None
    """To all its clients, in the last second."""
    agent_faults: Mapping[str, int] = msgspec.field(default_factory=dict)
    agent_sampled: int = 1
    """One request in so many is followed in full."""
    agent_degraded: str = ""
    """What the agent gives up for now, so as to cost the app less."""
    agent_forgotten: Mapping[str, int] = msgspec.field(default_factory=dict)
    """How many names each of its tables has forgotten so far, to make room for others."""
    probes: Mapping[str, str] = msgspec.field(default_factory=dict)
    last_seen: float | None = None
    told_until: float | None = None
    """When its latest frame ended, which may come late, on its host's clock."""
    gone_since: float | None = None
    lost_in_flight: int | None = None
    """Requests that were in flight when one that is gone was last heard."""
    trend: Sequence[float | None] = ()
    """p95 in ms for each of `Summary.points`."""
    trends: WorkerTrends = WorkerTrends()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self.identity.pid
