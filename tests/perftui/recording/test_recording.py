"""What is written into a recording comes out of it, whole or as far as it goes."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest

from perftui.model.dashboard import Dashboard
from perftui.model.events import (
    FrameReceived,
    HistoryReceived,
    LinkChanged,
    Marked,
    Missing,
    SourceEvent,
    WorkerFound,
)
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.recording import reader as reader_module
from perftui.recording import writer as writer_module
from perftui.recording.blocks import MAGIC, VERSION, block
from perftui.recording.cutting import write_piece
from perftui.recording.entries import Judged, entry, moment_of, together
from perftui.recording.gaps import clock_time
from perftui.recording.layout import layout_of
from perftui.recording.looking import dashboard_at, rough_dashboard, summary_between
from perftui.recording.places import Place, read_block
from perftui.recording.reader import Recording, RecordingError
from perftui.recording.writer import RecordingWriter
from tests.support.frames import T, frame, gone, joined, received, route, traffic, worker
from tests.support.recordings import abandon, record

ROUTES = 3

VERSION_1 = Path(__file__).parents[2] / "data" / "version1.perftui"
"""What the perftui of before wrote of `service()`."""


def live(events: list[SourceEvent]) -> Dashboard:
    """Return what the events make as they come."""
    dashboard = Dashboard("localhost:8000")
    for event in events:
        dashboard = merge(dashboard, event)
    return dashboard


def figures(summary: Summary) -> dict[str, object]:
    """Return the figures of a picture that people act on."""
    return {
        "totals": (summary.totals.requests, summary.totals.errors, summary.totals.latency),
        "routes": [(row.route, row.requests, row.errors, row.latency) for row in summary.routes],
        "workers": [(row.pid, row.state, row.requests, row.latency) for row in summary.workers],
        "dropped": summary.coverage.frames_dropped,
    }


def kinds_in(path: Path) -> str:
    """Return of which kinds the blocks of a file are, in their order."""
    file = os.open(path, os.O_RDONLY)
    try:
        return "".join(place.header.kind for place in layout_of(file).places)
    finally:
        os.close(file)


def service(seconds: int = 45) -> list[SourceEvent]:
    """Return what is told of two workers for some time, and of a mark."""
    events = list(traffic(2, ROUTES, seconds))
    events.append(Marked(T + seconds // 2 + 0.5, "deploy"))
    return sorted(events, key=moment_of)


def test_what_was_recorded_is_told_again_in_its_order(tmp_path: Path) -> None:
    """Every event comes back as it was, at the moment at which it was told."""
    events = service()
    with Recording.open(record(tmp_path / "a.perftui", events)) as recording:
        told = recording.between(0.0, T + 100.0)
        assert recording.damage == ()
        assert (recording.began_at, recording.head.target) == (T, "localhost:8000")
        assert recording.ended_at == pytest.approx(T + 45.02)
    assert told == events


def test_a_moment_of_a_recording_is_the_picture_of_that_moment(tmp_path: Path) -> None:
    """What a live dashboard showed then is what the recording shows, frame by frame or merged."""
    events = service(200)
    with Recording.open(record(tmp_path / "a.perftui", events)) as recording:
        for second in (20, 75, 130, 199):
            at = T + second + 0.5
            known = live([each for each in events if moment_of(each) <= at])
            whole = dashboard_at(recording, at, fine_s=900)
            assert figures(summarize(whole, at)) == figures(summarize(known, at))
            leapt = dashboard_at(recording, at)
            assert figures(summarize(leapt, at)) == figures(summarize(known, at))


def test_long_after_the_last_word_the_last_minute_is_told_second_by_second(tmp_path: Path) -> None:
    """As it stands on a screen that was left open: a chart in tens of seconds would be a comb."""
    lost: list[SourceEvent] = [
        LinkChanged("live", T + 0.5),
        LinkChanged("lost", T + 206.0),
        Marked(T + 400.0, "home"),
    ]
    events = sorted([*service(200), *lost], key=moment_of)
    with Recording.open(record(tmp_path / "a.perftui", events)) as recording:
        at = recording.ended_at
        assert at == pytest.approx(T + 400.0)
        told, known = (summarize(each, at) for each in (dashboard_at(recording, at), live(events)))
        assert [each.rps for each in told.points] == [each.rps for each in known.points]
        assert len(told.points) == len(known.points) > 50


def test_merged_frames_have_the_figures_of_those_they_are_made_of(tmp_path: Path) -> None:
    """A picture of nothing but merged frames has every request of its minute."""
    events = service(200)
    with Recording.open(record(tmp_path / "a.perftui", events)) as recording:
        at = T + 120.0
        rough = summarize(dashboard_at(recording, at, fine_s=0), at, 60, cursor=at - 0.01)
        exact = summarize(dashboard_at(recording, at, fine_s=900), at, 60, cursor=at - 0.01)
        assert rough.totals.requests == exact.totals.requests > 0
        assert rough.totals.latency == exact.totals.latency


def test_a_killed_recording_has_all_but_the_last_second(tmp_path: Path) -> None:
    """Without its end a file holds what was written, and says that it was not ended in order."""
    events = service()
    path = record(tmp_path / "a.perftui", events, close=False)
    with Recording.open(path) as recording:
        told = recording.between(0.0, T + 100.0)
        assert [each for each in told if not isinstance(each, Missing)] == events
        assert recording.damage == (f"it was not ended in order, and goes until {clock_time(T + 45.02)}",)


def test_a_file_that_is_written_still_says_so(tmp_path: Path) -> None:
    """It has no end yet; once its writer is gone, however that ended, it was not ended in order."""
    writer = RecordingWriter(tmp_path / "a.perftui", "localhost:8000", T)
    for event in service():
        writer.add(event)
    writer.flush(T + 45)
    for _ in range(2):  # who has looked is in nobody's way
        with Recording.open(writer.path) as recording:
            assert recording.damage == (
                f"it is being recorded still, and goes until {clock_time(T + 45.02)}",
            )
    abandon(writer)
    with Recording.open(writer.path) as recording:
        assert "was not ended in order" in recording.damage[0]


@pytest.mark.parametrize("link_s", [300.0, 12.0], ids=["without links", "with links"])
def test_a_kill_at_any_instant_loses_a_second_at_most(
    link_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every single write there is a file in which all that was flushed can be read."""
    monkeypatch.setattr(writer_module, "LINK_S", link_s)
    path = tmp_path / "a.perftui"
    pwrite, truncate = os.pwrite, os.ftruncate
    seen = 0

    def check(flushed_at: float) -> None:
        with Recording.open(path) as recording:
            frames = [each for each in recording.between(0.0, T + 1e6) if isinstance(each, FrameReceived)]
            until = max((each.received_at for each in frames), default=0.0)
            ours = [each for each in sent if each.received_at <= flushed_at]
            assert until >= (ours[-1].received_at if ours else 0.0)
            assert frames[: len(ours)] == ours

    sent: list[FrameReceived] = []
    flushed = 0.0
    with pytest.MonkeyPatch.context() as patch:

        def write(file: int, data: bytes, at: int) -> int:
            nonlocal seen
            half = pwrite(file, data[: len(data) // 2], at)
            check(flushed)
            seen += 1
            return half + pwrite(file, data[half:], at + half)

        def shorten(file: int, size: int) -> None:
            check(flushed)
            truncate(file, size)

        writer = RecordingWriter(path, "shop", T)
        for event in traffic(1, 2, 37):
            if isinstance(event, FrameReceived):
                sent.append(event)
            writer.add(event)
            patch.setattr(os, "pwrite", write)
            patch.setattr(os, "ftruncate", shorten)
            writer.flush(T + len(sent))
            if writer._packing is not None:
                writer._packing.result()
            patch.undo()
            flushed = sent[-1].received_at if sent else 0.0
    assert "C" in kinds_in(path)
    writer.close(T + 38)
    assert seen > 30


def test_seconds_are_packed_as_they_age(tmp_path: Path) -> None:
    """What lies in the file after a while are packed and merged blocks, and no loose seconds."""
    kinds = kinds_in(record(tmp_path / "a.perftui", traffic(2, ROUTES, 90)))
    assert "T" not in kinds
    assert kinds.count("S") >= 8
    assert kinds.count("C") >= 9


def test_a_recording_of_the_first_version_opens(tmp_path: Path) -> None:
    """Its frames, which hold their numbers, are read as ever; a piece of it, of this one, has the same."""
    piece = tmp_path / "b.perftui"
    with Recording.open(VERSION_1) as recording:
        assert {place.header.version for place in recording._places} == {1}
        assert recording.damage == ()
        events = recording.between(0.0, T + 100.0)
        known = summary_between(recording, T, T + 46)
        rough = summarize(dashboard_at(recording, T + 40.0, fine_s=0), T + 40.0)
        write_piece(RecordingWriter(piece, "localhost:8000", T), recording, T, T + 46.0)
    assert known.totals.requests == 2 * ROUTES * 5 * 45
    assert known.totals.latency.p95_ms == pytest.approx(109.6, rel=0.01)
    with Recording.open(piece) as recording:
        assert {place.header.version for place in recording._places} == {VERSION}
        told = recording.between(0.0, T + 100.0)
        assert [each for each in told if isinstance(each, FrameReceived)] == [
            each for each in events if isinstance(each, FrameReceived)
        ]
        assert figures(summary_between(recording, T, T + 46)) == figures(known)
        merged = summarize(dashboard_at(recording, T + 40.0, fine_s=0), T + 40.0)
        assert figures(merged) == figures(rough)


def test_a_minute_is_made_of_merged_frames_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the first picture of any, the first of all included, no block of single seconds is read."""
    read: list[str] = []

    def reading(file: int, place: Place) -> bytes:
        read.append(place.header.kind)
        return read_block(file, place)

    with Recording.open(record(tmp_path / "a.perftui", traffic(2, ROUTES, 200))) as recording:
        monkeypatch.setattr(reader_module, "read_block", reading)
        for second in (60, 87, 143, 200):
            recording._unpacked.clear()
            read.clear()
            dashboard, as_of = rough_dashboard(recording, T + second, 60.0)
            assert as_of == T + second // 10 * 10
            assert set(read) == {"C"}
            assert len(read) == 6
            exact = dashboard_at(recording, as_of, fine_s=900)
            known = summarize(exact, as_of, 60.0, cursor=as_of - 0.01)
            assert figures(summarize(dashboard, as_of, 60.0)) == figures(known)


def test_what_agents_remember_is_in_it_once(tmp_path: Path) -> None:
    """Frames of before the recording are told once their worker is known, and belong to their own time."""
    identity = worker()
    past = [frame(n, T - 30 + n, [route("GET /", [5])]) for n in range(1, 31)]
    events: list[SourceEvent] = [
        joined(identity, T),
        *(HistoryReceived(identity.id, (each,), T + 0.2) for each in reversed(past)),
        *(received(identity, frame(30 + n, T + n, [route("GET /", [5])])) for n in range(1, 21)),
    ]
    with Recording.open(record(tmp_path / "a.perftui", events)) as recording:
        assert recording.first_at == T - 29
        dashboard = dashboard_at(recording, T + 20.5)
        assert summarize(dashboard, T + 20.5, 300).totals.requests == 50
        watched = summary_between(recording, recording.began_at, recording.ended_at)
        assert watched.totals.requests == 20
        assert watched.coverage.frames_dropped == 0


def test_findings_travel_in_a_recording(tmp_path: Path) -> None:
    """What whoever recorded judged is there, and is no event of the service."""
    judged = Judged(T + 3.0, ())
    with Recording.open(record(tmp_path / "a.perftui", [*traffic(1, 1, 5), judged])) as recording:
        assert recording.judged() == (judged,)
        assert len(recording.between(0.0, T + 100)) == 6


def test_a_worker_whose_beginning_is_damaged_is_known_by_the_next_roll_call(tmp_path: Path) -> None:
    """The frames of a worker belong to it although the block that told of it can't be read."""
    events = list(traffic(1, 1, 130))
    events.insert(0, WorkerFound(worker(1000), T))
    path = record(tmp_path / "a.perftui", events)
    file = os.open(path, os.O_RDWR)
    first = next(place for place in layout_of(file).places if place.header.kind == "L")
    os.pwrite(file, b"\0\0\0\0", first.offset + 60)
    os.close(file)
    with Recording.open(path) as recording:
        summary = summary_between(recording, recording.began_at, recording.ended_at)
        assert summary.totals.requests == 130 * 5
        assert [event.kind for event in summary.events] == ["recording-damaged"]
        assert "what happened to workers" in recording.damage[0]


def test_who_is_gone_stays_gone_and_is_seen_before(tmp_path: Path) -> None:
    """A worker that died within a recording is there before, and gone afterwards."""
    events = [*traffic(2, 1, 30), gone(worker(1001), T + 30.5)]
    with Recording.open(record(tmp_path / "a.perftui", events)) as recording:
        before = summarize(dashboard_at(recording, T + 20), T + 20)
        after = summarize(dashboard_at(recording, T + 31), T + 31)
    assert [row.state for row in before.workers] == ["ok", "ok"]
    assert [row.state for row in after.workers] == ["ok", "gone"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no recording"),
        (b"PK\x03\x04 something else", "is no recording"),
        (MAGIC * 1000, "is no recording"),
        (block("H", b"\x80"), "is no recording that can be read"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    """Whatever else a file holds, what is said is a line and what to type."""
    path = tmp_path / "a.perftui"
    path.write_bytes(data)
    if said == "is no recording that can be read":
        with Recording.open(path) as recording:
            assert "what it is of is not known" in recording.damage[0]
        return
    with pytest.raises(RecordingError, match=said):
        Recording.open(path)


def test_another_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """A recording of a newer perftui says so, and one of another wire."""
    path = record(tmp_path / "a.perftui", traffic(1, 1, 2))
    data = bytearray(block("L", b"\x90"))
    data[5] = VERSION + 1
    data[-len(data) :] = data
    header = bytes(data[:40])
    newer = header + struct.pack("<I", zlib.crc32(header)) + bytes(data[44:])
    path.write_bytes(newer)
    with pytest.raises(RecordingError, match=f"of version {VERSION + 1}, this perftui reads {VERSION}"):
        Recording.open(path)


def test_a_block_that_unpacks_to_more_than_there_may_be_is_damage(tmp_path: Path) -> None:
    """A bomb costs its block alone."""
    path = record(tmp_path / "a.perftui", traffic(1, 1, 3), close=False)
    bomb = block("S", bytes(80 * 1024 * 1024), first_ns=T * 10**9, last_ns=(T + 3) * 10**9, first=90, last=99)
    with path.open("ab") as file:
        file.write(bomb)
    with Recording.open(path) as recording:
        assert summary_between(recording, T, T + 4).totals.requests == 15
        assert any("are damaged" in sentence for sentence in recording.damage)


def test_events_of_impossible_times_are_damage(tmp_path: Path) -> None:
    """A moment that is no number, or of no calendar, is not believed."""
    path = record(tmp_path / "a.perftui", traffic(1, 1, 3), close=False)
    with path.open("ab") as file:
        for moment in (float("nan"), float("inf"), -1.0, 1e300):
            file.write(block("L", together([entry(Marked(moment, "x"))]), first=90, last=90))
    with Recording.open(path) as recording:
        assert summary_between(recording, T, T + 4).totals.requests == 15
        assert "what happened to workers" in recording.damage[0]


def test_nobodys_file_is_written_over(tmp_path: Path) -> None:
    """A file that is there already stays as it is."""
    path = tmp_path / "a.perftui"
    path.write_text("evidence")
    with pytest.raises(FileExistsError):
        RecordingWriter(path, "shop", T)
    assert path.read_text() == "evidence"


def test_a_recording_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Nobody else may read it."""
    assert record(tmp_path / "a.perftui", [joined(worker())]).stat().st_mode & 0o777 == 0o600
