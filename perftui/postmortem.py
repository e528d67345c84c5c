"""Workers that are no more, as a recording of their last minutes: what opens one opens them.

Takes what their black boxes hold, gives the recording, made in a file that has no name. How each of them
ended a sibling has told, or the kernel's log does where it may be read; where neither does, that is said.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

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
from perftui.model.text import clean
from perftui.recording.entries import moment_of
from perftui.recording.reader import Recording
from perftui.recording.writer import RecordingWriter
from perftui.sources.dead import Dead
from perftui.sources.leftover import evidence_left
from perftui_agent.wire.endings import ENDED, Ending, sentence
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.parts import WorkerId

TOGETHER_S = 120.0
"""Who ended so long before the last is of another time, and not shown with it."""

HEARD_S = 1.0
"""A worker lives for so long after its last frame, at most."""

KERNEL_LOG = "/dev/kmsg"

ABOUT_US = 30e6
"""What the kernel logged so long before or after is of another process with the same pid."""

MAX_LOG_LINES = 20_000

DELAY_S = 0.01


def last_of(dead: Sequence[Dead]) -> list[Dead]:
    """Return those that ended with the last of them: they were one service."""
    if not dead:
        return []
    service, last_at = dead[0].hello.worker.service, dead[0].last_at
    return [
        each
        for each in dead
        if each.hello.worker.service == service and last_at - each.last_at <= TOGETHER_S and each.frames
    ]


def events_of(dead: Sequence[Dead], log: str | None = None) -> list[SourceEvent]:
    """Return what the dead would have told somebody who had watched; `log` is the kernel's."""
    ends = ends_of(dead, log)
    began_at = began(dead)
    events: list[SourceEvent] = [LinkChanged("live", began_at)]
    for one in dead:
        worker = one.hello.worker
        events += [WorkerFound(worker, began_at), WorkerJoined(one.hello, began_at)]
        for frame in one.frames:
            at = frame.ended_at / 1e9 + DELAY_S
            if _is_past(frame, began_at):
                events.append(HistoryReceived(worker.id, (frame,), began_at))
            else:
                events.append(FrameReceived(worker.id, frame, at))
        events += _end_of(one, ends.get(worker.id))
    last_at = max(map(moment_of, events))
    return [*sorted(events, key=moment_of), LinkChanged("lost", last_at + DELAY_S)]


def left_by(dead: Sequence[Dead], log: str | None = None) -> list[tuple[float, SourceEvent]]:
    """Return what the dead would have told by now to who follows their siblings, each with its moment."""
    ends = ends_of(dead, log)
    events: list[SourceEvent] = []
    for one in dead:
        worker, first = one.hello.worker, one.frames[0]
        first_at = (first.ended_at - first.span_ns) / 1e9
        events += [WorkerFound(worker, first_at), WorkerJoined(one.hello, first_at)]
        events += [HistoryReceived(worker.id, one.frames, one.last_at), *_end_of(one, ends.get(worker.id))]
    return [(moment_of(event), event) for event in events]


def _end_of(one: Dead, ended: Evidence | None) -> list[SourceEvent]:
    """Return what one of them has kept, how it ended, and that it did."""
    worker = one.hello.worker.id
    gone_at = min(ended.at / 1e9 if ended else float("inf"), one.last_at + 2 * HEARD_S)
    gone_at = max(gone_at, one.last_at + DELAY_S)
    kept = (*one.evidence, *([ended] if ended is not None else []))
    told: list[SourceEvent] = [EvidenceKept(worker, kept, gone_at)] if kept else []
    return [*told, WorkerGone(worker, gone_at)]


def began(dead: Sequence[Dead]) -> float:
    """Return from when on every second is there."""
    fine = [frame.ended_at for each in dead for frame in each.frames if not frame.thinned] or [
        frame.ended_at for each in dead for frame in each.frames
    ]
    return min(fine) / 1e9 - HEARD_S


def post_mortem(dead: Sequence[Dead], target: str) -> Recording:
    """Return the last minutes of the dead as a recording."""
    with tempfile.TemporaryDirectory(prefix="perftui-") as directory:
        path = Path(directory) / "post-mortem.perftui"
        write_post_mortem(dead, target, path, packs=False)
        return Recording.open(path, name=target)


def write_post_mortem(dead: Sequence[Dead], target: str, path: Path, *, packs: bool = True) -> int:
    """Write the last minutes of the dead into a file; return how large it is. OSError as the disk says."""
    writer = RecordingWriter(path, target, began(dead), packs=packs)
    at = began(dead)
    for event in events_of(dead):
        at = max(at, moment_of(event))
        writer.flush_due(at)
        writer.add(event)
    writer.close(at)
    return writer.size


def ends_of(dead: Sequence[Dead], log: str | None = None) -> dict[WorkerId, Evidence]:
    """Return how each of the dead ended, of whom that is known: by a sibling, dead or alive, or by the
    kernel."""
    told = [each for one in dead for each in one.evidence]
    told += [each for left in evidence_left() for each in clean(left.evidence)]
    ends = {each.worker: each for each in told if each.kind == ENDED}
    logged = kernel_log() if log is None else log
    for one in dead:
        worker = one.hello.worker
        if worker.id not in ends and one.frames and (read := ending_in(logged, one)) is not None:
            ends[worker.id] = _as_evidence(one, read)
    return ends


def kernel_log() -> str:
    """Return what the kernel has logged, as far as this user may read it."""
    records: list[str] = []
    try:
        log = os.open(KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        while len(records) < MAX_LOG_LINES:
            records.append(os.read(log, 8192).decode(errors="replace"))
    except OSError:  # there is no more
        pass
    finally:
        os.close(log)
    return "\n".join(records)


def ending_in(log: str, one: Dead) -> Ending | None:
    """Return how a worker ended by what the kernel says of its pid about then; None if it says nothing."""
    pid, last_us = one.hello.worker.pid, one.frames[-1].steady_ns / 1e3
    for record in re.finditer(r"^\d+,\d+,(\d+),[^;]*;(.*)$", log, re.MULTILINE):
        if abs(int(record[1]) - last_us) > ABOUT_US:
            continue
        if re.search(rf"Killed process {pid} \(", record[2]):
            return Ending(signal=9, out_of_memory=True)
        if re.search(rf"\[{pid}\]: segfault at ", record[2]):
            return Ending(signal=11)
    return None


def _as_evidence(one: Dead, ending: Ending) -> Evidence:
    last = one.frames[-1]
    return Evidence(
        id=f"{ENDED}@{one.hello.worker.id}",
        kind=ENDED,
        at=last.ended_at,
        worker=one.hello.worker.id,
        verdict=ending.name,
        in_flight=last.in_flight_rows,
        text=sentence(ending),
        how="by the kernel's log",
        outcome="ended",
    )


def _is_past(frame: Frame, began_at: float) -> bool:
    """Tell whether a frame is told of as one that an agent remembers: one that stands for several does so."""
    return frame.thinned or (frame.ended_at - frame.span_ns) / 1e9 < began_at - 0.5
