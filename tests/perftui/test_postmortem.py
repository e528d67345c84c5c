"""What the dead have left, as a recording."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from perftui.findings.find import find
from perftui.model.events import EvidenceKept, HistoryReceived, SourceEvent, WorkerFound
from perftui.model.left import with_left
from perftui.model.summarize import summarize
from perftui.postmortem import ending_in, events_of, last_of, left_by, write_post_mortem
from perftui.recording.looking import summary_between
from perftui.recording.reader import Recording
from perftui.sources.dead import Dead
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import InFlight
from tests.support.frames import T, dashboard_of, frame, hello, joined, route, worker


def died(pid: int = 101, *, until: int = 600, service: str = "shop") -> Dead:
    """Return a worker whose box has seconds around an incident, thinned ones, and its last seconds."""
    frames: list[Frame] = []
    for ten in range(0, until, 10):
        seconds = range(ten + 1, ten + 11)
        if 100 <= ten < 200 or ten >= until - 50:
            frames += [frame(second, T + second, [route("GET /", [5])]) for second in seconds]
        else:
            frames.append(frame(ten + 10, T + ten + 10, [route("GET /", [5] * 10)], span_s=10.0))
    flight = InFlight(route="GET /pay/{id}", method="GET", path="/pay/7", age_ns=3_000_000_000)
    frames[-1].in_flight, frames[-1].in_flight_rows = 1, [flight]
    for each in frames:
        each.steady_ns = each.ended_at - (T - 1000) * 10**9
    identity = msgspec.structs.replace(worker(pid), service=service)
    return Dead(f"/run/{pid}.ring", hello(identity), tuple(frames))


def test_every_request_of_a_box_is_in_its_recording_and_none_is_said_to_be_lost(tmp_path: Path) -> None:
    """Seconds and thinned frames take turns in it, and each is told once."""
    path = tmp_path / "dead.perftui"
    assert write_post_mortem([died()], "pid:101", path) == path.stat().st_size
    with Recording.open(path) as recording:
        assert recording.damage == ()
        summary = summary_between(recording, T, recording.ended_at)
        assert summary.totals.requests == 600
        assert summary.coverage.frames_dropped == 0
        (row,) = summary.workers
        assert (row.state, row.lost_in_flight) == ("gone", 1)
        assert summary.link == "lost"


def test_those_that_ended_with_the_last_of_a_service_are_opened_together() -> None:
    """Who ended long before, or is of another service, is not."""
    dead = [died(101), died(102), died(103, until=400), died(104, service="other")]
    assert [each.hello.worker.pid for each in last_of(dead)] == [101, 102]
    assert last_of([]) == []


def test_the_kernels_log_is_believed_about_the_time_alone() -> None:
    """An out-of-memory kill and a segmentation fault are found by the pid, but not those of another hour."""
    one = died()
    about_us = one.frames[-1].steady_ns // 1000
    killed = "6,812,{at},-;Memory cgroup out of memory: Killed process 101 (uvicorn) total-vm:1kB"
    crashed = "6,813,{at},-;python[101]: segfault at 0 ip 00007f sp 00007f error 4 in libc.so.6"
    found = ending_in(killed.format(at=about_us), one)
    assert found is not None
    assert found.out_of_memory
    found = ending_in(crashed.format(at=about_us + 1_000_000), one)
    assert found is not None
    assert found.name == "SIGSEGV"
    assert ending_in(killed.format(at=about_us - 3_600_000_000), one) is None
    assert ending_in(killed.replace("101", "1010").format(at=about_us), one) is None


def test_what_the_kernel_says_is_told_with_the_requests_there_were() -> None:
    """The last frame tells of them."""
    one = died()
    log = f"6,812,{one.frames[-1].steady_ns // 1000},-;Killed process 101 (uvicorn)"
    (kept,) = (each for each in events_of([one], log) if isinstance(each, EvidenceKept))
    (evidence,) = kept.evidence
    assert evidence.text.startswith("out of memory")
    assert [row.path for row in evidence.in_flight] == ["/pay/7"]


def test_who_ended_before_anybody_watched_is_told_of_beside_those_that_live() -> None:
    """Their requests, how long they were there, and who took whose place when."""
    first, second = worker(103, started_at=T + 605.0), worker(104, started_at=T + 402.0)
    found_at = T + 700.0
    events: list[SourceEvent] = []
    for identity, since in ((worker(100), 0), (first, 606), (second, 404)):
        seconds = range(since + 1, 701)
        frames = tuple(frame(each, T + each, [route("GET /", [5])]) for each in seconds)
        events += [WorkerFound(identity, found_at), joined(identity, found_at)]
        events.append(HistoryReceived(identity.id, frames, found_at))
    dead = [died(101), died(102, until=400)]
    known = with_left(dashboard_of(*events), left_by(dead, ""))
    summary = summarize(known, found_at, 900.0, found_at)
    assert summary.totals.requests == 600 + 400 + 700 + 94 + 296
    replaced = {(each.subject, each.worker) for each in summary.events if each.kind == "worker-restarted"}
    assert replaced == {("101", first.id), ("102", second.id)}
    states = {row.pid: row.state for row in summary.workers}
    assert states == {100: "ok", 103: "ok", 104: "ok", 101: "gone", 102: "gone"}
    then = summarize(known, found_at, 60.0, T + 500.5)
    assert then.totals.requests == pytest.approx(3 * 60, abs=6)
    assert "worker-lost" not in {each.kind for each in find(then)}
