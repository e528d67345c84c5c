"""What agents tell of their own accord, of themselves and of siblings that are gone."""

from __future__ import annotations

import msgspec

from perftui.model.events import FrameReceived
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.documents.snapshot import document
from perftui_agent.wire.frames import Evidence, InFlight
from tests.support.frames import T, dashboard_of, frame, joined, worker

A, B = worker(1), worker(2)
SECOND_NS = 1_000_000_000
FLIGHT = InFlight(route="GET /x", method="GET", path="/x", age_ns=3 * SECOND_NS)
SILENT = Evidence(
    id="b-1",
    kind="worker-silent",
    at=(T + 3) * SECOND_NS,
    ns=2 * SECOND_NS,
    worker=B.id,
    verdict="hung",
    where="app.py:7 match",
    route="GET /rx",
    stack=["app.py:7 match", "app.py:12 rx"],
    in_flight=[FLIGHT],
    taken_at=(T + 5) * SECOND_NS,
    how="py-spy by sibling 1",
)
ENDED = msgspec.structs.replace(
    SILENT, ns=5 * SECOND_NS, outcome="ended", ended_by="uvicorn (pid 100)", result=b""
)


def told(*evidence: tuple[float, Evidence], until: int = 12) -> Summary:
    """Return the picture of A, which has told of these at these seconds."""
    events = [joined(A)]
    for second in range(1, until):
        sent = frame(second, at=T + second)
        sent.evidence = [each for at, each in evidence if at == second]
        events.append(FrameReceived(A.id, sent, T + second + 0.01))  # type: ignore[arg-type]
    return summarize(dashboard_of(*events), T + until - 0.9, 60.0)


def test_a_silent_worker_is_an_incident_of_its_own_whoever_told_of_it() -> None:
    """The one that was ended was never heard by whoever looks now."""
    incident = document(told((6, SILENT)))["incidents"][0]
    assert (incident["kind"], incident["pid"]) == ("worker-silent", 2)
    assert (incident["verdict"], incident["where"], incident["route"]) == (
        "hung",
        "app.py:7 match",
        "GET /rx",
    )
    assert incident["stack"] == ["app.py:7 match", "app.py:12 rx"]
    assert (incident["ms"], incident["ongoing"]) == (2000.0, True)


def test_what_becomes_known_later_is_told_instead() -> None:
    """One silence, however often it is told of."""
    summary = told((6, SILENT), (9, ENDED))
    assert [row.incident.ongoing for row in summary.incidents] == [False]
    assert [row.evidence.outcome for row in summary.evidence] == ["ended"]


def test_evidence_tells_by_whom_how_and_with_which_requests_in_flight() -> None:
    """As it was taken, and by which supervisor the worker was ended."""
    told_of = document(told((6, SILENT), (9, ENDED)))["evidence"][0]
    assert (told_of["pid"], told_of["told_by"], told_of["how"]) == (2, 1, "py-spy by sibling 1")
    assert [request["path"] for request in told_of["in_flight"]] == ["/x"]
    assert (told_of["outcome"], told_of["ended_by"]) == ("ended", "uvicorn (pid 100)")


def test_a_silence_is_no_block_of_the_loop_of_whoever_tells_of_it() -> None:
    """Held loops are told of for a second and more; a silence is told in its own words."""
    assert [event for event in told((6, SILENT)).events if event.kind == "loop-blocked"] == []
