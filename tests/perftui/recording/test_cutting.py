"""A piece of a recording holds its time and nothing else, and what is redacted is nowhere in it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from perftui.commands.cut import cut
from perftui.model.events import EvidenceKept, FrameReceived, HistoryReceived, SourceEvent
from perftui.recording.entries import RampTold, moment_of
from perftui.recording.gaps import clock_time
from perftui.recording.layout import layout_of
from perftui.recording.looking import dashboard_at, summary_between
from perftui.recording.places import read_block
from perftui.recording.reader import Recording
from perftui_agent.wire.explain import PLAN_CHANGED
from perftui_agent.wire.incidents import Evidence
from tests.support.asked import asked_of
from tests.support.fake_database import locked
from tests.support.fake_plan import scanning
from tests.support.fake_ramp import course
from tests.support.frames import T, worker
from tests.support.recordings import record
from tests.support.rich_service import rich_service


def held_in(path: Path) -> bytes:
    """Return all that a file holds, unpacked."""
    file = os.open(path, os.O_RDONLY)
    try:
        return b"".join(read_block(file, place) for place in layout_of(file).places)
    finally:
        os.close(file)


def cut_to(source: Path, share: Path, *options: str) -> str:
    """Cut, and return what is said."""
    result = CliRunner().invoke(cut, [str(source), "-o", str(share), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_piece_is_the_recording_over_its_time(tmp_path: Path) -> None:
    """The figures of a stretch are the same in the piece, who is there is known, and its size is said."""
    source = record(tmp_path / "a.perftui", rich_service(90))
    said = cut_to(source, tmp_path / "b.perftui", "--from", "+20s", "--to", "+50s")
    assert "to look at it: perftui replay" in said
    assert " kB" in said
    with Recording.open(source) as whole, Recording.open(tmp_path / "b.perftui") as share:
        assert (share.began_at, share.head.target) == (T + 20, "localhost:8000")
        of_whole, of_share = (summary_between(each, T + 20, T + 50) for each in (whole, share))
        assert of_share.totals.requests == of_whole.totals.requests > 0
        assert [row.pid for row in of_share.workers] == [row.pid for row in of_whole.workers]
        assert [event.kind for event in of_share.events if event.at > T + 30] == [
            event.kind for event in of_whole.events if event.at > T + 30
        ]
        assert share.damage == ()


def test_what_is_redacted_is_nowhere_in_the_piece(tmp_path: Path) -> None:
    """Paths, statements and hosts are replaced, in ids, spans and evidence too; every figure stays."""
    secrets = [
        b"/reports/",
        b"SELECT * FROM t",
        b"SELECT \xe2\x80\xa6",
        b"api.example.com",
        b"prod-17.internal",
        scanning("f0").statement.encode(),
        locked().views[0].look.sessions[0].statement.encode(),
    ]
    events: list[SourceEvent] = [*rich_service(40), *asked_of(worker(4120), T + 30.1)]
    plan = Evidence(
        id="p",
        kind=PLAN_CHANGED,
        at=int((T + 31) * 1e9),
        text="the plan of SELECT * FROM t9",
        outcome="taken",
    )
    events.append(EvidenceKept(worker(4120).id, (plan,), T + 31.0))
    # What the agent remembered as the recording began.
    events += [
        HistoryReceived(each.worker, (each.frame,), T + 0.2)
        for each in rich_service(5, begin=T - 20)
        if isinstance(each, FrameReceived)
    ]
    source = record(tmp_path / "a.perftui", on_host("prod-17.internal", sorted(events, key=moment_of)))
    held = held_in(source)
    assert all(secret in held for secret in secrets)
    said = cut_to(source, tmp_path / "b.perftui", "--redact", "--from", clock_time(T - 18))
    assert "without request paths, statement texts, host names" in said
    held = held_in(tmp_path / "b.perftui")
    assert [secret for secret in secrets if secret in held] == []
    assert b"app/r.py" in held
    with Recording.open(source) as whole, Recording.open(tmp_path / "b.perftui") as share:
        one, other = dashboard_at(whole, T + 39.5), dashboard_at(share, T + 39.5)
        assert len(one.workers) == len(other.workers) == 2
        one_summary, other_summary = summary_between(whole, T, T + 40), summary_between(share, T, T + 40)
        assert one_summary.totals == other_summary.totals
        assert len(one_summary.queries) == len(other_summary.queries)
        assert [row.route for row in one_summary.routes] == [row.route for row in other_summary.routes]
        assert len({row.request.path for row in other_summary.slowest}) > 3


def test_workers_of_a_host_with_a_short_name_keep_their_frames(tmp_path: Path) -> None:
    """Its name is in their ids, and is replaced there as well, but in no word that holds its letters."""
    source = record(tmp_path / "a.perftui", on_host("ap", rich_service(20)))
    cut_to(source, tmp_path / "b.perftui", "--redact")
    held = held_in(tmp_path / "b.perftui")
    assert b"ap/4" in held_in(source)
    assert b"ap/4" not in held
    assert b"app/r.py" in held
    with Recording.open(source) as whole, Recording.open(tmp_path / "b.perftui") as share:
        one, other = summary_between(whole, T, T + 20), summary_between(share, T, T + 20)
    assert one.totals.requests
    assert one.totals == other.totals
    assert [row.state for row in other.workers] == [row.state for row in one.workers]


def test_a_piece_of_no_time_is_refused(tmp_path: Path) -> None:
    """From after to, what lies outside, and moments that are none, are told in a line."""
    source = record(tmp_path / "a.perftui", rich_service(20))
    for options, problem in (
        (["--from", "+10s", "--to", "+5s"], f"--to +5s ({clock_time(T + 5)}) is not after --from +10s"),
        (["--from", "+30s"], f"+30s is its end: it goes {clock_time(T)} to {clock_time(T + 20)}"),
        (["--to", "-40s"], "-40s is its beginning"),
        (["--from", "25:99"], "25:99 is no moment of it"),
        (["--to", "yesterday"], "yesterday is no moment of it"),
    ):
        result = CliRunner().invoke(cut, [str(source), "-o", str(tmp_path / "b.perftui"), *options])
        assert result.exit_code == 2
        assert problem in result.output
    assert not (tmp_path / "b.perftui").exists()


@pytest.mark.parametrize(
    ("options", "span"),
    [
        (["--from", clock_time(T + 24), "--to", "+20s"], (24, 44)),
        (["--from", "+24s", "--to", "+44s"], (44, 64)),
        (["--from", clock_time(T)[:5], "--to", clock_time(T + 60)[:5]], (20, 60)),
        (["--from", "22:14:24.500Z", "--to", "2023-11-14T22:14:34.5Z"], (24.5, 34.5)),
    ],
)
def test_moments_are_meant_as_they_are_typed(
    tmp_path: Path, options: list[str], span: tuple[float, float]
) -> None:
    """Five minutes more than a time of the clock; a minute that has begun before; as a snapshot prints."""
    source = record(tmp_path / "a.perftui", rich_service(70, begin=T + 20), began_at=T + 20)
    cut_to(source, tmp_path / "b.perftui", *options)
    with Recording.open(tmp_path / "b.perftui") as share:
        assert (share.began_at - T, share.ended_at - T) == pytest.approx(span, abs=1.2)


def on_host(host: str, events: list[SourceEvent]) -> list[SourceEvent]:
    """Return what workers of another host tell."""
    moved: list[SourceEvent] = []
    for event in events:
        plain = msgspec.to_builtins(event, builtin_types=(bytes,))
        moved.append(msgspec.convert(_moved(plain, host), type(event)))
    assert any(isinstance(each, FrameReceived) and host in each.worker for each in moved)
    return moved


def _moved(value: object, host: str) -> object:
    if isinstance(value, dict):
        return {key: _moved(each, host) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, host) for each in value]
    if isinstance(value, str):
        return host + value[3:] if value == "box" or value.startswith("box/") else value
    return value


def test_a_ramp_is_kept_as_it_went_and_redacted_to_its_figures(tmp_path: Path) -> None:
    """A piece has it if it ended within; what it sent and what sentences quote goes with the paths."""
    told = RampTold(T + 35.0, course())
    source = record(tmp_path / "a.perftui", [*rich_service(40), told])
    with Recording.open(source) as whole:
        assert whole.ramps() == (told,)
    cut_to(source, tmp_path / "b.perftui", "--redact")
    assert not any(
        secret in held_in(tmp_path / "b.perftui") for secret in (b"/items/{1..5000}", b"orders.py:41")
    )
    with Recording.open(tmp_path / "b.perftui") as share:
        (kept,) = share.ramps()
        assert kept.course.steps == told.course.steps
        assert [each.kind for each in kept.course.limits] == ["pool", "loop"]
    cut_to(source, tmp_path / "c.perftui", "--to", "+20s")
    with Recording.open(tmp_path / "c.perftui") as share:
        assert share.ramps() == ()
