"""What agents tell of their own accord, of themselves and of siblings that are gone."""

from __future__ import annotations

import msgspec
import pytest

from perftui.model.events import FrameReceived
from perftui.model.evidence import serving
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.documents.snapshot import document
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.requests import InFlight
from tests.support.frames import T, dashboard_of, frame, gone, joined, received, worker

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
    assert incident["ms"] == pytest.approx(8100.0)
    assert incident["ongoing"]


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


def test_the_timeline_tells_when_it_fell_silent_and_who_ended_it() -> None:
    """Both happened before anybody watched, and the worker was never heard from here."""
    events = {event.kind: event for event in told((6, SILENT), (9, ENDED)).events}
    assert events["worker-silent"].subject == "app.py:7 match"
    assert events["worker-silent"].sentence == "worker 2 was silent for 5.0 s: hung, serving GET /rx"
    assert events["worker-silent"].at == T + 3
    assert events["worker-lost"].sentence == (
        "ended by uvicorn (pid 100) after 5.0 s of silence, hung in app.py:7 match, serving GET /rx"
    )
    assert events["worker-lost"].at == T + 8


def test_one_that_was_seen_to_go_is_told_of_once() -> None:
    """The watch has seen it go; the sibling says why."""
    sent = frame(9, at=T + 9)
    sent.evidence = [ENDED]
    summary = summarize(
        dashboard_of(joined(A), joined(B), gone(B, T + 8.5), received(A, sent)), T + 9.5, 60.0
    )
    [lost] = [event for event in summary.events if event.kind == "worker-lost"]
    assert "ended by uvicorn (pid 100)" in lost.sentence
    gone_row = next(row for row in summary.workers if row.state == "gone")
    assert gone_row.silence is not None
    assert gone_row.silence.where == "app.py:7 match"


def test_a_silence_that_is_not_heard_of_any_more_goes_on_for_nobody() -> None:
    """Whoever watched it may have gone as well; how it ended is then not known."""
    summary = told((6, SILENT), until=60)
    assert [row.incident.ongoing for row in summary.incidents] == [False]


def test_rewound_a_silence_is_as_it_was_known_to_be_then() -> None:
    """Before its end it went on, and before it began there was none."""
    sent = frame(9, at=T + 9)
    sent.evidence = [ENDED]
    dashboard = dashboard_of(joined(A), received(A, sent))
    [row] = summarize(dashboard, T + 20, 60.0, cursor=T + 5.0).evidence
    assert (row.evidence.outcome, row.evidence.ns) == ("", 2 * SECOND_NS)
    assert summarize(dashboard, T + 20, 60.0, cursor=T + 2.0).evidence == ()


def test_a_request_that_was_over_by_then_is_not_what_a_worker_died_of() -> None:
    """What is known of its requests is up to a second old: of those that had just begun nothing is said."""
    young = msgspec.structs.replace(FLIGHT, route="GET /quick", age_ns=4_000_000)
    assert serving(msgspec.structs.replace(SILENT, in_flight=[FLIGHT, young])) == ", serving GET /x (3.0 s)"
    assert serving(msgspec.structs.replace(SILENT, in_flight=[young])) == ""
