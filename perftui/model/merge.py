"""One event at a time into the dashboard: a pure fold.

Takes events in the order in which a source yields them, refuses nothing: an event that makes no sense
(a frame of an unknown worker, a frame that was there before) changes nothing. Strings are cleaned here,
once, so that nothing behind this door ever sees a control character.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from perftui.model.dashboard import MAX_WORKERS, Dashboard, WorkerTrack
from perftui.model.events import (
    ClockStepped,
    EvidenceKept,
    FrameReceived,
    HistoryReceived,
    LinkChanged,
    Marked,
    Missing,
    SourceEvent,
    WorkerFound,
    WorkerGone,
    WorkerJoined,
)
from perftui.model.evidence import evidence_row, latest_evidence
from perftui.model.history import KEPT_S
from perftui.model.parts import without_counts
from perftui.model.received import NOTHING
from perftui.model.stories import with_texts
from perftui.model.text import clean
from perftui.model.timeline import (
    is_newcomer,
    with_arrival,
    with_clock_step,
    with_damage,
    with_departure,
    with_link,
    with_mark,
)
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import SloTarget, WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.parts import WorkerId

CLOCK_TOLERANCE_S = 2
"""How far a frame may end in the future: more is a clock that was set, or a lie."""

LONGEST_SPAN_NS = KEPT_S * 1_000_000_000
"""More than what is kept can't be told of one frame."""

SAME_FRAME_NS = 500_000_000
"""Frames of one `seq` that end further apart than this are of two lives of an agent."""


def merge(dashboard: Dashboard, event: SourceEvent) -> Dashboard:
    """Return the dashboard with one more event in it."""
    match event:
        case FrameReceived():
            return _with_frame(dashboard, event)
        case HistoryReceived():
            return _with_history(dashboard, event)
        case EvidenceKept():
            return _with_evidence(dashboard, event.worker, clean(event.evidence), event.received_at)
        case WorkerFound():
            return _with_worker(dashboard, clean(event.identity), event.at)[0]
        case WorkerJoined():
            return _with_hello(dashboard, event)
        case WorkerGone():
            return _without_worker(dashboard, event)
        case LinkChanged():
            dashboard = with_link(dashboard, event.link, event.at)
            return replace(dashboard, link=event.link, began_at=dashboard.began_at or event.at)
        case ClockStepped():
            return with_clock_step(dashboard, event.by_s, event.at, event.worker)
        case Marked():
            return with_mark(dashboard, event.at, clean(event.label))
        case Missing():
            return with_damage(dashboard, event.at, event.sentence)


def _with_worker(dashboard: Dashboard, identity: WorkerIdentity, at: float) -> tuple[Dashboard, WorkerTrack]:
    track = dashboard.workers.get(identity.id)
    if track is not None:
        return dashboard, track
    track = WorkerTrack(identity, at)
    workers = {**dashboard.workers, identity.id: track}
    if len(workers) > MAX_WORKERS:
        del workers[min(workers, key=lambda worker: (workers[worker].gone_at or at, worker))]
    began_at = at if dashboard.began_at is None else dashboard.began_at
    dashboard = replace(dashboard, workers=workers, began_at=began_at)
    return with_arrival(dashboard, identity.id, at) if is_newcomer(dashboard, track) else dashboard, track


def _with_hello(dashboard: Dashboard, event: WorkerJoined) -> Dashboard:
    identity = clean(event.hello.worker)
    dashboard, _ = _with_worker(dashboard, identity, event.at)
    track = dashboard.workers.get(identity.id)
    if track is None:
        return dashboard
    track = replace(
        track,
        joined_at=event.at if track.joined_at is None else track.joined_at,
        last_heard_at=event.at,
        actions=event.hello.actions,
        gone_at=None,
    )
    slo = dashboard.slo or _distinct(clean(event.hello.slo))
    return replace(dashboard, workers=_with_track(dashboard, track), slo=slo)


def _with_frame(dashboard: Dashboard, event: FrameReceived) -> Dashboard:
    track = dashboard.workers.get(event.worker)
    if track is None:
        return dashboard
    frame = with_texts(_believable(clean(event.frame), event.received_at))
    track = replace(_since_restart(track, frame), last_heard_at=event.received_at)
    known = track.remembered.has(frame.seq)
    received = None if known else track.received.with_frame(frame.seq)
    if received is None:
        return replace(dashboard, workers=_with_track(dashboard, track))
    if received.last == frame.seq:
        track = replace(
            track,
            last_frame=without_counts(frame),
            last_ended_at=max(frame.ended_at, track.last_ended_at),
            recent=track.recent.with_frame(frame),
        )
    if frame.evidence:
        dashboard = _with_evidence(dashboard, event.worker, frame.evidence, event.received_at)
    history = dashboard.history
    if history.newest > event.received_at + CLOCK_TOLERANCE_S + 1:
        history = history.until(int(event.received_at))
    return replace(
        dashboard,
        workers=_with_track(dashboard, replace(track, received=received)),
        history=history.with_frame(event.worker, frame),
        last_heard_at=event.received_at,
    )


def _with_history(dashboard: Dashboard, event: HistoryReceived) -> Dashboard:
    track = dashboard.workers.get(event.worker)
    if track is None:
        return dashboard
    history = dashboard.history
    for sent in event.frames:
        frame = with_texts(_believable(clean(sent), event.received_at))
        track = _since_restart(track, frame)
        # A thinned frame has the seq of the last that it stands for.
        first = frame.seq - max(1, round(frame.span_ns / 1e9)) + 1
        remembered = track.remembered.with_frames(first, frame.seq)
        live = track.received
        beside_live = live.last and frame.seq >= live.first
        received = live.with_frames(first, frame.seq) if beside_live else live
        if remembered is None or received is None:
            continue  # a part of it at least was there already: it must not count twice
        if frame.ended_at >= track.last_ended_at:
            track = replace(track, last_frame=without_counts(frame), last_ended_at=frame.ended_at)
        track = replace(track, remembered=remembered, received=received)
        history = history.with_frame(event.worker, frame)
        if frame.evidence:
            dashboard = _with_evidence(dashboard, event.worker, frame.evidence, event.received_at)
    if track.gone_at is None:  # what a dead worker has left behind is no sign of life
        track = replace(track, last_heard_at=event.received_at)
    return replace(dashboard, workers=_with_track(dashboard, track), history=history)


def _with_evidence(
    dashboard: Dashboard, told_by: WorkerId, evidence: Iterable[Evidence], received_at: float
) -> Dashboard:
    """Return it with what agents tell of: it is kept longer than frames are."""
    latest_ns = int((received_at + CLOCK_TOLERANCE_S) * 1e9)
    rows = [evidence_row(told_by, each) for each in evidence if each.at <= latest_ns]
    if not rows:
        return dashboard
    return replace(dashboard, evidence=latest_evidence([*dashboard.evidence, *rows]))


def _since_restart(track: WorkerTrack, frame: Frame) -> WorkerTrack:
    """Return the track, anew if its agent was: stopped and started in one process, it counts from 1 again."""
    known_until = max(track.received.last, track.remembered.last)
    if frame.seq <= known_until and frame.ended_at > track.last_ended_at + SAME_FRAME_NS:
        return replace(track, received=NOTHING, remembered=NOTHING, last_ended_at=frame.ended_at)
    return track


def _without_worker(dashboard: Dashboard, event: WorkerGone) -> Dashboard:
    track = dashboard.workers.get(event.worker)
    if track is None or track.gone_at is not None:
        return dashboard
    workers = {
        worker: each
        for worker, each in dashboard.workers.items()
        if each.gone_at is None or each.gone_at > event.at - KEPT_S
    }
    workers[event.worker] = replace(track, gone_at=event.at)
    return with_departure(replace(dashboard, workers=workers), event.worker, event.at)


def _with_track(dashboard: Dashboard, track: WorkerTrack) -> Mapping[WorkerId, WorkerTrack]:
    return {**dashboard.workers, track.identity.id: track}


def _distinct(targets: list[SloTarget]) -> tuple[SloTarget, ...]:
    return tuple(dict.fromkeys(targets))


def _believable(frame: Frame, received_at: float) -> Frame:
    """Return the frame with no more of the past and the future in it than can be."""
    latest_ns = int((received_at + CLOCK_TOLERANCE_S) * 1e9)
    if frame.ended_at <= latest_ns and frame.span_ns <= LONGEST_SPAN_NS:
        return frame
    return msgspec.structs.replace(
        frame, ended_at=min(frame.ended_at, latest_ns), span_ns=min(frame.span_ns, LONGEST_SPAN_NS)
    )
