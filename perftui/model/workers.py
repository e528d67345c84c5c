"""Each worker over a window: how it stands, what it did, and its process as last seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perftui.model.axis import Axis
from perftui.model.dashboard import Dashboard, WorkerTrack
from perftui.model.evidence import SILENT, evidence_at, is_going_on
from perftui.model.gil import gil_of
from perftui.model.happenings import EvidenceRow
from perftui.model.machine import contention_of
from perftui.model.parts import WorkerPart
from perftui.model.quantiles import latency_of, quantile_ms
from perftui.model.tally import Tally
from perftui.model.waiting import queued_of
from perftui.model.worker_summary import WorkerState, WorkerSummary
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.incidents import Evidence

SILENT_AFTER_S = 2.5
"""An agent sends a frame every second; without one for so long it does not answer."""

BLOCKED_AFTER_NS = 1_000_000_000
"""A loop that hasn't turned for so long is blocked."""


def worker_rows(
    dashboard: Dashboard, tally: Tally, axis: Axis, at: float, window_s: float, *, live: bool
) -> tuple[WorkerSummary, ...]:
    """Return the workers there were in the window that ends at `at`: by pid, the gone last."""
    rows = list(_rows(dashboard, tally, axis, at, window_s, live))
    rows.sort(key=lambda row: (row.state == "gone", row.pid, row.identity.started_at))
    return tuple(rows)


def worker_state(track: WorkerTrack, frame: Frame | None, heard_at: float, at: float) -> WorkerState:
    """Return how a worker stood at `at`, when it was last heard at `heard_at` with `frame`."""
    if track.gone_at is not None and track.gone_at <= at:
        return "gone"
    if at - heard_at > SILENT_AFTER_S:
        return "silent"
    if frame is not None and frame.loop is not None and frame.loop.blocked_ns >= BLOCKED_AFTER_NS:
        return "blocked"
    return "ok"


def _rows(
    dashboard: Dashboard, tally: Tally, axis: Axis, at: float, window_s: float, live: bool
) -> Iterator[WorkerSummary]:
    for worker, track in dashboard.workers.items():
        counted = tally.workers.get(worker)
        if not counted and (
            track.found_at > at or (track.gone_at is not None and track.gone_at < at - window_s)
        ):
            continue
        if live:
            frame = track.last_frame
            heard_at = track.found_at if track.last_heard_at is None else track.last_heard_at
        else:
            frame = counted.last if counted else None
            heard_at = frame.ended_at / 1e9 if frame else track.found_at
            if at - heard_at > SILENT_AFTER_S:
                heard_at = max(heard_at, dashboard.history.heard_at(worker, at) or heard_at)
        state = worker_state(track, frame, heard_at, at)
        yield _row(dashboard, track, state, counted, frame, axis, at, heard_at)


def _row(
    dashboard: Dashboard,
    track: WorkerTrack,
    state: WorkerState,
    counted: WorkerPart | None,
    frame: Frame | None,
    axis: Axis,
    at: float,
    heard_at: float,
) -> WorkerSummary:
    counted = counted or WorkerPart(last=_NO_FRAME, from_ns=0, to_ns=0)
    covered_s = counted.covered_s
    process = (frame or _NO_FRAME).process
    agent = frame.agent if frame else None
    loop = frame.loop if frame else None
    gone = state == "gone"
    return WorkerSummary(
        identity=track.identity,
        state=state,
        requests=counted.requests,
        rps=counted.requests / covered_s if covered_s else None,
        errors=counted.errors,
        latency=latency_of(counted.latency),
        queued=queued_of(counted.queue, counted.queue_known),
        listeners=tuple(frame.listeners) if frame and not gone else (),
        backlogs=counted.backlogs,
        listen_overflows=counted.listen_overflows,
        cpu_percent=process.cpu_percent,
        cpu_mean_percent=100.0 * counted.cpu_s / counted.cpu_over_s if counted.cpu_over_s else None,
        cpu_limit=process.cpu_limit,
        memory_limit_bytes=process.memory_limit_bytes,
        memory_left_bytes=process.memory_left_bytes,
        memory_left_in=process.memory_left_in,
        memory=axis.memory(track.identity.id),
        memory_lately=axis.memory_lately(track.identity.id),
        rss_bytes=process.rss_bytes,
        threads=process.threads,
        open_files=process.open_files,
        open_files_limit=process.open_files_limit,
        uptime_s=(track.gone_at if gone and track.gone_at else at) - track.identity.started_at,
        in_flight=frame.in_flight if frame and not gone else None,
        loop_lag_p99_ms=quantile_ms(counted.lag, 0.99),
        loop_lags=counted.lag.count,
        blocked_ms=loop.blocked_ns / 1e6 if loop and loop.blocked_ns and not gone else None,
        blocked_at=loop.blocked_at if loop else None,
        blocked_route=loop.blocked_route if loop else None,
        silence=silence_of(dashboard.evidence, track, state, at),
        gc_pause_p99_ms=quantile_ms(counted.gc_pauses, 0.99),
        gc_pauses=counted.gc_pauses.unpacked() if counted.gc_pauses.count else None,
        threadpool_wait=counted.threadpool_wait.unpacked() if counted.threadpool_wait.count else None,
        gil=gil_of(counted.gil),
        contention=contention_of(counted.machine, frame.machine if frame and not gone else None),
        covered_s=covered_s,
        threadpool=frame.threadpool if frame else None,
        agent_cpu_percent=agent.cpu_percent if agent else None,
        agent_rss_bytes=agent.rss_bytes if agent else None,
        agent_dropped=counted.records_dropped,
        agent_bounded=counted.bounded,
        agent_clients=agent.clients if agent else None,
        agent_bytes_sent=agent.bytes_sent if agent else None,
        agent_faults=agent.faults if agent else {},
        agent_sampled=agent.sampled if agent and not gone else 1,
        agent_degraded=agent.degraded if agent and not gone else "",
        agent_forgotten=agent.forgotten if agent else {},
        probes=frame.probes if frame else {},
        last_seen=heard_at if frame else None,
        told_until=frame.ended_at / 1e9 if frame else None,
        gone_since=track.gone_at if gone else None,
        lost_in_flight=frame.in_flight if frame and gone else None,
        trend=axis.worker(track.identity.id),
        trends=axis.worker_trends(track.identity.id),
    )


LAST_S = 10.0
"""A silence that was over so long before a worker went has nothing to do with it."""


def silence_of(
    evidence: Sequence[EvidenceRow], track: WorkerTrack, state: WorkerState, at: float
) -> Evidence | None:
    """Return what is known of a worker that is silent, or was as it went."""
    if state not in {"silent", "gone"} or not evidence:
        return None
    until = at if state == "silent" or track.gone_at is None else track.gone_at - LAST_S
    found = [
        row
        for row in evidence_at(evidence, at)
        if row.worker == track.identity.id and row.evidence.kind == SILENT
    ]
    if not found:
        return None
    last = found[-1]
    counts = is_going_on(last, at) if state == "silent" else last.until >= until
    return last.evidence if counts else None


_NO_FRAME = Frame(seq=0, ended_at=0, span_ns=0)
