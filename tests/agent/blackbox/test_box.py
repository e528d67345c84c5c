"""The black box: bounded, whole up to the last frame, and never a second told twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from perftui_agent.blackbox.box import BlackBox
from perftui_agent.blackbox.keeping import Keeping
from perftui_agent.blackbox.ring import Ring
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.boxes import read_box, read_evidence
from perftui_agent.wire.codec import WireError, decode_from_agent, encode
from perftui_agent.wire.frames import Frame, Hello, History
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence, Incident
from perftui_agent.wire.requests import RouteFrame, StatusCounts

SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS

HELLO = Hello(
    wire=1,
    worker=WorkerIdentity(host="h", pid=7, started_at=1.0, service="shop", supervisor_pid=1),
)


def frame(second: int, *, requests: int = 1, routes: int = 1) -> Frame:
    """Return the frame of one second, with `requests` to each of `routes` routes."""
    sections = []
    for number in range(routes):
        latency = LatencySketch()
        for _ in range(requests):
            latency.add(1_000_000)
        sections.append(
            RouteFrame(route=f"GET /r{number}", status=StatusCounts(success=requests), latency=latency)
        )
    return Frame(seq=second, ended_at=START_NS + second * SECOND_NS, span_ns=SECOND_NS, routes=sections)


def fill(box: BlackBox, seconds: int, **shape: int) -> None:
    for second in range(1, seconds + 1):
        one = frame(second, **shape)
        box.add(one, encode(one))


def history(box: BlackBox, seconds: int) -> list[Frame]:
    frames = [decode_from_agent(message) for message in box.history(START_NS + seconds * SECOND_NS)]
    assert all(isinstance(one, Frame) for one in frames)
    return [one for one in frames if isinstance(one, Frame)]


def requests_in(frames: list[Frame]) -> int:
    return sum(route.status.total() for one in frames for route in one.routes)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[BlackBox]:
    box = BlackBox(tmp_path / "w.ring", hello=encode(HELLO), size_bytes=8 * 1024 * 1024)
    yield box
    box.close()


def test_ten_minutes_come_back_with_every_request_once(box: BlackBox) -> None:
    """Thinned and fine frames together count each request of ten minutes exactly once."""
    fill(box, 600, requests=3)
    frames = history(box, 600)
    assert requests_in(frames) == 600 * 3
    assert sum(one.span_ns for one in frames) == 600 * SECOND_NS
    assert [one.ended_at for one in frames] == sorted({one.ended_at for one in frames})


def test_the_newest_minutes_come_second_by_second(box: BlackBox) -> None:
    """What happened in the last minute and a half is not blurred by thinning."""
    fill(box, 600)
    recent = [one for one in history(box, 600) if one.ended_at > START_NS + 510 * SECOND_NS]
    assert [one.span_ns for one in recent] == [SECOND_NS] * 90


@pytest.mark.parametrize("span_ns", [999_600_000, SECOND_NS, 1_000_400_000, 2_003_000_000])
def test_every_ten_seconds_of_the_clock_have_a_thinned_frame(box: BlackBox, span_ns: int) -> None:
    """However long the seconds of a worker are: charts draw a gap where there is none."""
    for number in range(1, 700):
        one = frame(number)
        one.span_ns = span_ns
        one.ended_at = START_NS + 3_300_000_000 + number * span_ns
        box.add(one, encode(one))
    thinned = [each for each in history(box, 3 + 699 * span_ns // SECOND_NS) if each.thinned]
    tens = [(each.ended_at - each.span_ns // 2) // (10 * SECOND_NS) for each in thinned]
    assert len(tens) > 40
    assert tens == list(range(tens[0], tens[0] + len(tens)))


def test_history_ends_after_fifteen_minutes(box: BlackBox) -> None:
    """Older frames are not given, whatever the box still holds."""
    fill(box, 1200)
    oldest = history(box, 1200)[0]
    assert oldest.ended_at > START_NS + (1200 - 900) * SECOND_NS


def test_a_young_worker_gives_every_second(box: BlackBox) -> None:
    """A worker of forty seconds has nothing thinned in its history."""
    fill(box, 40)
    assert [one.span_ns for one in history(box, 40)] == [SECOND_NS] * 40


def test_promise_13_the_file_stays_within_its_bound(tmp_path: Path) -> None:
    """A worker with 300 routes writes for an hour and the file has not grown past its size."""
    size = 512 * 1024
    path = tmp_path / "w.ring"
    box = BlackBox(path, hello=encode(HELLO), size_bytes=size)
    fill(box, 400, routes=100)
    assert path.stat().st_size <= size
    frames = history(box, 400)
    assert frames, "a busy worker keeps less time, but it keeps some"
    assert requests_in(frames) == sum(one.span_ns // SECOND_NS for one in frames) * 100
    box.close()


def test_a_frame_larger_than_the_box_is_refused_and_the_others_stay(tmp_path: Path) -> None:
    """What does not fit is not half written."""
    box = BlackBox(tmp_path / "w.ring", hello=encode(HELLO), size_bytes=8 * 1024)
    fill(box, 3)
    huge = frame(4, routes=500)
    assert not box.add(huge, encode(huge))
    assert [one.seq for one in history(box, 4)] == [1, 2, 3]
    box.close()


def test_promise_22_a_torn_frame_costs_that_frame_alone(tmp_path: Path) -> None:
    """Wherever bytes are destroyed, every message they did not touch is still read."""
    path = tmp_path / "w.ring"
    box = BlackBox(path, hello=encode(HELLO), size_bytes=1024 * 1024)
    fill(box, 50)
    box.close()
    whole = path.read_bytes()
    generator = random.Random(7)
    for _ in range(200):
        at = generator.randrange(len(encode(HELLO)) + 20, 50 * 90)
        path.write_bytes(whole[:at] + b"\x00\xff\x00" + whole[at + 3 :])
        hello, frames = read_box(path)
        assert hello == HELLO
        assert len({one.seq for one in frames}) >= 48


def test_promise_20_what_is_no_box_is_refused(tmp_path: Path) -> None:
    """Random bytes are an error of one kind, and nothing else."""
    path = tmp_path / "x.ring"
    for size in (0, 1, 12, 1000, 100_000):
        path.write_bytes(random.Random(size).randbytes(size))
        with pytest.raises(WireError, match="no black box"):
            read_box(path)


_WRITER = """
import sys
from pathlib import Path
from tests.agent.blackbox.test_box import HELLO, encode, frame
from perftui_agent.blackbox.box import BlackBox
from perftui_agent.blackbox.keeping import Keeping
box = BlackBox(Path(sys.argv[1]), hello=encode(HELLO), size_bytes=256 * 1024)
second = 0
while True:
    second += 1
    one = frame(second, routes=20)
    box.add(one, encode(one))
    if second == 30:
        print("going", flush=True)
"""


def test_promise_22_kill_9_in_mid_write_leaves_a_readable_box(tmp_path: Path) -> None:
    """A writer killed at ten random moments leaves a box that reads up to its last whole frame."""
    for attempt in range(10):
        path = tmp_path / f"{attempt}.ring"
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, cwd=os.getcwd()
        )
        with writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(random.Random(attempt).uniform(0, 0.02))
            writer.send_signal(signal.SIGKILL)
        hello, frames = read_box(path)
        assert hello == HELLO
        seconds = [one.seq for one in frames if one.span_ns == SECOND_NS]
        assert seconds == list(range(seconds[0], seconds[-1] + 1)), "no whole frame in between is missing"


def test_a_step_of_the_clock_loses_no_second_of_the_past(box: BlackBox, tmp_path: Path) -> None:
    """Frames go by the clock that is not set: those of an hour that comes twice stand one after the other."""
    for second in range(1, 61):
        one = frame(second)
        one.steady_ns = one.ended_at - START_NS
        one.ended_at -= 3600 * SECOND_NS if second > 30 else 0
        box.add(one, encode(one))
    told = [decode_from_agent(message) for message in box.history(60 * SECOND_NS)]
    assert [one.seq for one in told if isinstance(one, Frame)] == list(range(1, 61))
    _, left = read_box(tmp_path / "w.ring")
    assert [one.seq for one in left] == list(range(1, 61))


def test_a_box_whose_file_is_removed_is_made_again_with_all_it_held(box: BlackBox, tmp_path: Path) -> None:
    """There or elsewhere; what comes afterwards is in it, too, and an earlier descriptor stays good."""
    fill(box, 20)
    assert box.is_there()
    box.path.unlink()
    assert not box.is_there()
    box.path.write_bytes(b"somebody else's")
    assert not box.is_there()
    box.make_again(tmp_path / "again.ring")
    assert box.is_there()
    assert box.path == tmp_path / "again.ring"
    one = frame(21)
    box.add(one, encode(one))
    assert [one.seq for one in history(box, 21)] == list(range(1, 22))
    assert [one.seq for one in read_box(box.path)[1]] == list(range(1, 22))
    assert (tmp_path / "w.ring").read_bytes() == b"somebody else's"


def test_frames_of_any_size_come_back_as_they_were_however_often_the_ring_has_turned(tmp_path: Path) -> None:
    """A large one that begins the ring anew leaves nothing behind that it has written over."""
    draw = random.Random(7)
    descriptor = os.open(tmp_path / "ring", os.O_RDWR | os.O_CREAT)
    ring = Ring(descriptor, 100, 4_000)
    sent: dict[int, bytes] = {}
    for stamp in range(1, 500):
        sent[stamp] = bytes([stamp % 256]) * draw.randint(10, 900)
        assert ring.append(stamp, sent[stamp])
        stamps = ring.stamps()
        assert ring.messages(after=0, until=stamp) == [sent[each] for each in stamps]
        assert stamps == list(range(stamps[0], stamp + 1))
    assert not ring.append(500, bytes(4_000))
    os.close(descriptor)


@pytest.mark.parametrize("silent_s", [7, 12, 60])
def test_the_long_second_of_a_worker_that_was_silent_is_read_as_any_other(
    box: BlackBox, tmp_path: Path, silent_s: int
) -> None:
    """What it tells of the silence is in it; it is none of those that stand for several."""
    fill(box, 20)
    after = 20 + silent_s
    long = msgspec.structs.replace(frame(after, requests=5), span_ns=silent_s * SECOND_NS)
    box.add(long, encode(long))
    for second in range(after + 1, after + 6):
        box.add(frame(second), encode(frame(second)))
    _, frames = read_box(tmp_path / "w.ring")
    assert requests_in(frames) == 20 + 5 + 5
    assert requests_in(history(box, after + 5)) == 20 + 5 + 5
    assert sum(one.span_ns for one in frames) == (after + 5) * SECOND_NS


def test_evidence_outlasts_the_frames_it_was_told_in(tmp_path: Path) -> None:
    """An hour of a busy worker later it is still there, for a client and for whoever reads the file."""
    path = tmp_path / "w.ring"
    box = BlackBox(path, hello=encode(HELLO), size_bytes=512 * 1024)
    whole = Evidence(id="a", kind="trigger", at=START_NS, outcome="taken", result=b"x" * 9000)
    for each in (Evidence(id="a", kind="trigger", at=START_NS), whole):
        told = frame(1)
        told.evidence = [each]
        assert box.add(told, encode(told))
    fill(box, 4000, routes=20)

    (message,) = [decode_from_agent(message) for message in box.evidence()]
    hello, evidence = read_evidence(path)
    box.close()

    assert isinstance(message, History)
    assert message.evidence == evidence == [whole]
    assert hello == HELLO
    assert path.stat().st_size <= 512 * 1024


def test_the_latest_evidence_takes_the_place_of_the_oldest(tmp_path: Path) -> None:
    """An eighth of the box, and never more."""
    box = BlackBox(tmp_path / "w.ring", hello=encode(HELLO), size_bytes=512 * 1024)
    for number in range(40):
        told = frame(number + 1)
        told.evidence = [Evidence(id=str(number), kind="trigger", at=1, outcome="taken", result=b"x" * 9000)]
        box.add(told, encode(told))

    kept = [each.id for message in box.evidence() for each in decode_from_agent(message).evidence]  # type: ignore[union-attr]
    box.close()

    assert kept == [str(number) for number in range(40 - len(kept), 40)]
    assert 5 <= len(kept) <= 7


def test_the_seconds_around_what_was_grave_outlive_the_ring(box: BlackBox, tmp_path: Path) -> None:
    """A minute before and after a held loop is told second by second when the ring has gone on for long."""
    for second in range(1, 901):
        one = frame(second, routes=40)
        if second == 200:
            held = Incident(
                kind="loop-blocked", at=one.ended_at - 2 * SECOND_NS, ns=2 * SECOND_NS, where="a.py:1 f"
            )
            one.incidents = [held]
        box.add(one, encode(one))
    _, frames = read_box(tmp_path / "w.ring")
    assert requests_in(frames) == sum(one.span_ns for one in frames) // SECOND_NS * 40
    around = [one for one in frames if 150 < (one.ended_at - START_NS) // SECOND_NS <= 250]
    assert [one.span_ns for one in around] == [SECOND_NS] * 100
    before = [one for one in frames if (one.ended_at - START_NS) // SECOND_NS <= 130]
    assert {one.span_ns for one in before} <= {10 * SECOND_NS}


def test_what_goes_on_being_grave_is_kept_from_its_beginning(box: BlackBox, tmp_path: Path) -> None:
    """Trouble that lasts does not overwrite how it began."""
    for second in range(1, 901):
        one = frame(second, routes=40)
        if second >= 200:
            one.routes[0].status.server_error = 60
        box.add(one, encode(one))
    _, frames = read_box(tmp_path / "w.ring")
    began = [one for one in frames if 150 < (one.ended_at - START_NS) // SECOND_NS <= 370]
    assert [one.span_ns for one in began] == [SECOND_NS] * 220


@pytest.mark.parametrize("goes_on", [False, True])
def test_the_seconds_around_what_a_client_found_grave_outlive_the_ring(tmp_path: Path, goes_on: bool) -> None:
    """A minute before and after it asked, also where other trouble has gone on for long already."""
    keeping = Keeping()
    box = BlackBox(tmp_path / "w.ring", hello=encode(HELLO), size_bytes=8 * 1024 * 1024, keeping=keeping)
    for second in range(1, 1201):
        one = frame(second, routes=40)
        if goes_on and 10 <= second <= 600:
            one.routes[0].status.server_error = 60
        if second == 500:
            assert keeping.ask("n-plus-one")
        box.add(one, encode(one))
    box.close()
    _, frames = read_box(tmp_path / "w.ring")
    around = [one for one in frames if 450 < (one.ended_at - START_NS) // SECOND_NS <= 550]
    assert [one.span_ns for one in around] == [SECOND_NS] * 100
    assert sum(one.span_ns for one in frames) // SECOND_NS * 40 == requests_in(frames) - goes_on * 591 * 60
