"""One event at a time into the dashboard: a pure fold.

Takes events in the order in which a source yields them, refuses nothing: an event that makes no sense
(a frame of an unknown worker, a frame that was there before) changes nothing. Strings are cleaned here,
once, so that nothing behind this door ever sees a control character.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from perftui.model.dashboard import MAX_EVENTS, MAX_WORKERS, Dashboard, WorkerTrack
from perftui.model.events import (
    FrameReceived,
    HistoryReceived,
    LinkChanged,
    SourceEvent,
    WorkerFound,
    WorkerGone,
    WorkerJoined,
)
from perftui.model.history import KEPT_S
from perftui.model.parts import without_counts
from perftui.model.summary import Event
from perftui.model.text import clean
from perftui_agent.wire.frames import Frame, SloTarget, WorkerIdentity

CLOCK_TOLERANCE_S = 2
"""How far a frame may end in the future: more is a clock that was set, or a lie."""


def merge(dashboard: Dashboard, event: SourceEvent) -> Dashboard:
    """Return the dashboard with one more event in it."""
    match event:
        case FrameReceived():
            return _with_frame(dashboard, event)
        case HistoryReceived():
            return _with_history(dashboard, event)
        case WorkerFound():
            return _with_worker(dashboard, clean(event.identity), event.at)[0]
        case WorkerJoined():
            return _with_hello(dashboard, event)
        case WorkerGone():
            return _without_worker(dashboard, event)
        case LinkChanged():
            return replace(dashboard, link=event.link, began_at=dashboard.began_at or event.at)


def _with_worker(dashboard: Dashboard, identity: WorkerIdentity, at: float) -> tuple[Dashboard, WorkerTrack]:
    track = dashboard.workers.get(identity.id)
    if track is not None:
        return dashboard, track
    events = dashboard.events
    if dashboard.began_at is not None and identity.started_at > dashboard.began_at:
        events = _bounded_events((*events, _arrival(dashboard, identity, at)))
    track = WorkerTrack(identity, at)
    workers = {**dashboard.workers, identity.id: track}
    if len(workers) > MAX_WORKERS:
        del workers[min(workers, key=lambda worker: (workers[worker].gone_at or at, worker))]
    began_at = at if dashboard.began_at is None else dashboard.began_at
    return replace(dashboard, workers=workers, events=events, began_at=began_at), track


def _with_hello(dashboard: Dashboard, event: WorkerJoined) -> Dashboard:
    identity = clean(event.hello.worker)
    dashboard, track = _with_worker(dashboard, identity, event.at)
    track = replace(
        track,
        joined_at=event.at if track.joined_at is None else track.joined_at,
        last_heard_at=event.at,
        actions=event.hello.actions,
        gone_at=None,
    )
    slo = dashboard.slo or _distinct(clean(event.hello.slo))
    return replace(dashboard, workers={**dashboard.workers, identity.id: track}, slo=slo)


def _with_frame(dashboard: Dashboard, event: FrameReceived) -> Dashboard:
    track = dashboard.workers.get(event.worker)
    if track is None:
        return dashboard
    known = event.frame.seq <= track.history_until
    received = None if known else track.received.with_frame(event.frame.seq)
    heard_at = max(event.received_at, track.last_heard_at or 0.0)
    if received is None:
        track = replace(track, last_heard_at=heard_at)
        return replace(dashboard, workers={**dashboard.workers, event.worker: track})
    frame = _at_most(clean(event.frame), event.received_at)
    is_last = received.last == frame.seq
    track = replace(
        track,
        received=received,
        last_heard_at=heard_at,
        last_frame=without_counts(frame) if is_last else track.last_frame,
        recent=track.recent.with_frame(frame) if is_last else track.recent,
    )
    history = dashboard.history
    if history.newest > event.received_at + CLOCK_TOLERANCE_S + 1:
        history = history.until(int(event.received_at))
    return replace(
        dashboard,
        workers={**dashboard.workers, event.worker: track},
        history=history.with_frame(event.worker, frame),
        last_heard_at=event.received_at,
    )


def _with_history(dashboard: Dashboard, event: HistoryReceived) -> Dashboard:
    track = dashboard.workers.get(event.worker)
    if track is None:
        return dashboard
    history, until, received = dashboard.history, track.history_until, track.received
    for frame in event.frames:
        if frame.seq <= until:
            continue  # it came with the history of an earlier connection
        until = frame.seq
        if received.first <= frame.seq <= received.last:
            filled = received.with_frame(frame.seq)
            if filled is None:
                continue
            received = filled
        history = history.with_frame(event.worker, _at_most(clean(frame), event.received_at))
    heard_at = max(event.received_at, track.last_heard_at or 0.0)
    track = replace(track, received=received, history_until=until, last_heard_at=heard_at)
    return replace(dashboard, workers={**dashboard.workers, event.worker: track}, history=history)


def _without_worker(dashboard: Dashboard, event: WorkerGone) -> Dashboard:
    track = dashboard.workers.get(event.worker)
    if track is None or track.gone_at is not None:
        return dashboard
    pid = track.identity.pid
    gone = Event(event.at, "worker-lost", str(pid), f"worker {pid} is gone")
    workers = {
        worker: each
        for worker, each in dashboard.workers.items()
        if each.gone_at is None or each.gone_at > event.at - KEPT_S
    }
    workers[event.worker] = replace(track, gone_at=event.at)
    return replace(dashboard, workers=workers, events=_bounded_events((*dashboard.events, gone)))


def _arrival(dashboard: Dashboard, identity: WorkerIdentity, at: float) -> Event:
    """Say that a worker came, and whose place it took: that of the first gone and not yet replaced."""
    replaced = {event.subject for event in dashboard.events if event.kind == "worker-restarted"}
    for track in dashboard.workers.values():
        gone = track.identity
        key = f"{gone.pid}"
        if (
            track.gone_at is not None
            and gone.supervisor_pid == identity.supervisor_pid
            and key not in replaced
        ):
            sentence = f"worker {identity.pid} has replaced {gone.pid}"
            return Event(at, "worker-restarted", key, sentence)
    return Event(at, "worker-joined", str(identity.pid), f"worker {identity.pid} has joined")


def _bounded_events(events: tuple[Event, ...]) -> tuple[Event, ...]:
    return events[-MAX_EVENTS:]


def _distinct(targets: list[SloTarget]) -> tuple[SloTarget, ...]:
    return tuple(dict.fromkeys(targets))


def _at_most(frame: Frame, received_at: float) -> Frame:
    latest_ns = int((received_at + CLOCK_TOLERANCE_S) * 1e9)
    if frame.ended_at <= latest_ns:
        return frame
    return msgspec.structs.replace(frame, ended_at=latest_ns)
