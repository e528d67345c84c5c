"""A worker, its process, and what the agent costs in it."""

from __future__ import annotations

from typing import TypedDict

from perftui.model.waiting import fullness
from perftui.model.worker_summary import WorkerState, WorkerSummary
from perftui.present.documents.rows.machines import (
    GilDocument,
    PressureDocument,
    ThrottledDocument,
    gil_document,
    pressure_document,
    throttled_document,
)
from perftui.present.documents.rows.units import (
    Bytes,
    Moment,
    Ms,
    Number,
    Percent,
    Percentage,
    PerSecond,
    Place,
    Seconds,
    moment,
    percent,
    rounded,
)
from perftui_agent.wire.process import Listener


class BacklogDocument(TypedDict):
    """Connections that wait to be accepted at the fullest socket of a worker."""

    waiting: Number | None
    limit: Number | None


class ThreadpoolDocument(TypedDict):
    """The threads that sync endpoints run in."""

    used: Number
    total: Number
    waiting: Number


class AgentDocument(TypedDict):
    """What the agent of a worker costs, and what it could not keep up with."""

    cpu_percent: Percent | None
    rss_bytes: Bytes | None
    dropped: Number
    bounded: dict[str, Number]
    clients: Number | None
    faults: dict[str, Number]
    sampled: Number
    degraded: str | None


class WorkerDocument(TypedDict):
    """One worker, and its process as last seen."""

    pid: Number
    host: str
    version: str | None
    state: WorkerState
    requests: Number
    rps: PerSecond | None
    p95_ms: Ms | None
    queue_p95_ms: Ms | None
    backlog: BacklogDocument | None
    cpu_percent: Percent | None
    rss_bytes: Bytes | None
    threads: Number | None
    open_files: Number | None
    open_files_limit: Number | None
    in_flight: Number | None
    loop_lag_p99_ms: Ms | None
    blocked_ms: Ms | None
    blocked_at: Place | None
    gc_pause_p99_ms: Ms | None
    threadpool: ThreadpoolDocument | None
    throttled: ThrottledDocument | None
    cpu_wait_percent: Percentage | None
    pressure: dict[str, PressureDocument] | None
    gil: GilDocument | None
    uptime_s: Seconds | None
    gone_since: Moment | None
    agent: AgentDocument
    probes: dict[str, str]


def worker_document(row: WorkerSummary) -> WorkerDocument:
    """Return a worker, as last seen."""
    pool, waited = row.threadpool, row.contention.waited_share
    return {
        "pid": row.pid,
        "host": row.identity.host,
        "version": row.identity.version or None,
        "state": row.state,
        "requests": row.requests,
        "rps": rounded(row.rps),
        "p95_ms": rounded(row.latency.p95_ms),
        "queue_p95_ms": rounded(row.queued.p95_ms),
        "backlog": _backlog(row.listeners),
        "cpu_percent": rounded(row.cpu_percent),
        "rss_bytes": row.rss_bytes,
        "threads": row.threads,
        "open_files": row.open_files,
        "open_files_limit": row.open_files_limit,
        "in_flight": row.in_flight,
        "loop_lag_p99_ms": rounded(row.loop_lag_p99_ms),
        "blocked_ms": rounded(row.blocked_ms),
        "blocked_at": row.blocked_at,
        "gc_pause_p99_ms": rounded(row.gc_pause_p99_ms),
        "threadpool": None
        if pool is None
        else {"used": pool.used, "total": pool.total, "waiting": pool.waiting},
        "throttled": throttled_document(row.contention.quota),
        "cpu_wait_percent": None if waited is None else percent(waited),
        "pressure": pressure_document(row.contention.pressure),
        "gil": gil_document(row.gil),
        "uptime_s": rounded(row.uptime_s),
        "gone_since": None if row.gone_since is None else moment(row.gone_since),
        "agent": {
            "cpu_percent": rounded(row.agent_cpu_percent),
            "rss_bytes": row.agent_rss_bytes,
            "dropped": row.agent_dropped,
            "bounded": dict(row.agent_bounded),
            "clients": row.agent_clients,
            "faults": dict(row.agent_faults),
            "sampled": row.agent_sampled,
            "degraded": row.agent_degraded or None,
        },
        "probes": dict(row.probes),
    }


def _backlog(listeners: tuple[Listener, ...]) -> BacklogDocument | None:
    """Return the accept queue of the fullest of a worker's sockets."""
    fullest = max(listeners, key=fullness, default=None)
    return None if fullest is None else {"waiting": fullest.waiting, "limit": fullest.limit}
