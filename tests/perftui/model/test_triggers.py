"""What triggers have had taken, in the picture of whoever comes later."""

from __future__ import annotations

import msgspec

from perftui.model.events import EvidenceKept, FrameReceived
from perftui.model.evidence import result_of
from perftui.model.summarize import summarize
from perftui.present.documents.snapshot import document
from perftui_agent.wire.codec import encode
from perftui_agent.wire.dumps import Dump
from perftui_agent.wire.incidents import Evidence
from tests.support.frames import T, dashboard_of, frame, joined, worker

A, DEAD = worker(1), worker(9)
SECOND_NS = 1_000_000_000
DUMP = Dump(id="d", pid=9, taken_at=1, took_ns=1, taken_by=9)
WAITS = Evidence(
    id="9-1", kind="trigger", at=(T - 3000) * SECOND_NS, trigger="lag>1s: dump", text="lag was 2 s"
)
TAKEN = msgspec.structs.replace(
    WAITS, ns=SECOND_NS, outcome="taken", how="dump by py-spy", result=encode(DUMP)
)


def test_what_a_dead_worker_kept_is_told_however_long_ago() -> None:
    """Long before the window and the history: on the timeline, in the snapshot, with what was taken."""
    dashboard = dashboard_of(
        joined(A),
        EvidenceKept(DEAD.id, (TAKEN,), T),
        EvidenceKept(DEAD.id, (WAITS,), T + 0.1),
        FrameReceived(A.id, frame(1, at=T + 1), T + 1.01),
    )
    summary = summarize(dashboard, T + 2.0, 10.0)

    (event,) = [event for event in summary.events if event.kind == "trigger"]
    assert (event.at, event.subject, event.evidence) == (T - 3000, "lag>1s: dump", "9-1")
    assert event.sentence == "lag was 2 s; dump by py-spy (worker 9)"
    told = document(summary)
    (incident,) = told["incidents"]
    assert (incident["kind"], incident["pid"], incident["ongoing"]) == ("trigger", 9, False)
    assert told["evidence"][0]["result"] == "dump"
    assert result_of(summary.evidence[0].evidence) == DUMP


def test_what_a_frame_tells_stays_when_its_second_has_left_the_window() -> None:
    """And nothing is told before it happened."""
    sent = frame(1, at=T + 1)
    sent.evidence = [msgspec.structs.replace(TAKEN, at=(T + 1) * SECOND_NS)]
    later = FrameReceived(A.id, frame(2, at=T + 60), T + 60.01)
    dashboard = dashboard_of(joined(A), FrameReceived(A.id, sent, T + 1.01), later)

    assert [row.evidence.id for row in summarize(dashboard, T + 61.0, 10.0).evidence] == ["9-1"]
    assert summarize(dashboard, T + 0.5, 10.0).evidence == ()


def test_evidence_from_the_future_and_broken_results_are_not_believed() -> None:
    """Every byte of a file is hostile."""
    future = msgspec.structs.replace(TAKEN, at=(T + 3600) * SECOND_NS)
    dashboard = dashboard_of(joined(A), EvidenceKept(A.id, (future,), T))

    assert dashboard.evidence == ()
    assert result_of(msgspec.structs.replace(TAKEN, result=b"\xc1nonsense")) is None
    assert result_of(msgspec.structs.replace(TAKEN, result=encode(frame(1, at=T)))) is None
