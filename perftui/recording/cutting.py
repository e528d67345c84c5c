"""A piece of a recording, to share: what was told between two moments, and who the workers were.

A worker that was there already is told of at the beginning of the piece. What is redacted is taken out of
each event on its way; see `redaction`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from perftui.model.events import (
    EvidenceKept,
    FrameReceived,
    HistoryReceived,
    LinkChanged,
    SourceEvent,
    WorkerFound,
    WorkerGone,
    WorkerJoined,
)
from perftui.recording.entries import Entry, Judged, Said, moment_of
from perftui.recording.reader import Recording
from perftui.recording.writer import RecordingWriter

Change = Callable[[Entry], Entry | None]

PIECE_S = 60.0
"""So much of it is in memory at a time."""


def piece(recording: Recording, since: float, until: float) -> Iterator[Entry]:
    """Yield what belongs to a stretch, in the order in which it is told."""
    story = recording.story()
    gone = {each.worker for each in story if isinstance(each, WorkerGone) and each.at < since}
    link = [each for each in story if isinstance(each, LinkChanged) and each.at <= since]
    for event in story:
        if isinstance(event, WorkerFound):
            worker = event.identity.id
        elif isinstance(event, WorkerJoined):
            worker = event.hello.worker.id
        else:
            continue
        if event.at <= since and worker not in gone:
            yield replace(event, at=since)
    if link:
        yield replace(link[-1], at=since)
    told: tuple[Said, ...] = (*recording.judged(), *recording.ramps())
    for said in told:
        if since <= said.at <= until:
            yield said
    begin = since
    while begin < until:
        end = min(begin + PIECE_S, until)
        for event in recording.between(begin, end):
            if _belongs(event, since):
                yield event
        begin = end


def _belongs(event: SourceEvent, since: float) -> bool:
    match event:
        case HistoryReceived():
            return all((frame.ended_at - frame.span_ns) / 1e9 >= since for frame in event.frames)
        case FrameReceived():
            return event.frame.ended_at / 1e9 > since
        case EvidenceKept():
            return any((each.at + each.ns) / 1e9 >= since for each in event.evidence)
        case _:
            return True


def write_piece(
    writer: RecordingWriter,
    recording: Recording,
    since: float,
    until: float,
    change: Change = lambda each: each,
) -> int:
    """Write a stretch of a recording, each event as `change` leaves it; return how large the file is."""
    at = since
    for event in piece(recording, since, until):
        changed = change(event)
        if changed is None or (isinstance(changed, Judged) and not changed.findings):
            continue
        at = max(at, min(moment_of(event), until))
        writer.flush_due(at)
        writer.add(changed)
    writer.close(at)
    return writer.size
