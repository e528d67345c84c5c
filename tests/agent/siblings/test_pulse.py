"""The sign of life of a worker: a small file that siblings read."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from perftui_agent.siblings.pulse import EVERY_NS, SIZE, Pulse, read_beat, read_pulse
from perftui_agent.wire.requests import InFlight


def flights(number: int, path: str = "/x") -> list[InFlight]:
    return [InFlight(route=f"GET /{each}", method="GET", path=path, age_ns=each) for each in range(number)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "1-2-abcdef01.pulse"


def test_a_sibling_reads_the_time_and_the_requests(path: Path) -> None:
    """The time of the last beat, and the requests of the last frame."""
    pulse = Pulse()
    pulse.look_after(path)
    pulse.beat(EVERY_NS)
    pulse.tell(flights(2))
    sign = read_pulse(path)
    assert sign is not None
    assert sign.beat_ns == read_beat(path) == EVERY_NS
    assert sign.in_flight == flights(2)
    pulse.close()


def test_it_is_written_four_times_a_second_however_often_it_beats(path: Path) -> None:
    """A write lets go of the GIL, and beside a busy app it may take 5 ms to have it back."""
    pulse = Pulse()
    pulse.look_after(path)
    seen = set()
    for now_ns in range(EVERY_NS, 5 * EVERY_NS, EVERY_NS // 5):
        pulse.beat(now_ns)
        seen.add(read_beat(path))
    assert seen == {EVERY_NS, 2 * EVERY_NS, 3 * EVERY_NS, 4 * EVERY_NS}
    pulse.close()


def test_of_many_requests_as_many_are_told_as_have_room(path: Path) -> None:
    """The file stays within its page."""
    pulse = Pulse()
    pulse.look_after(path)
    pulse.tell(flights(50, path="/" + "x" * 900))
    sign = read_pulse(path)
    assert sign is not None
    assert sign.in_flight == flights(2, path="/" + "x" * 900)
    assert path.stat().st_size <= SIZE
    pulse.close()


def test_a_file_that_was_removed_is_made_again_and_says_the_same(path: Path) -> None:
    """A cleaner of temporary files makes nobody look silent."""
    pulse = Pulse()
    pulse.look_after(path)
    pulse.tell(flights(1))
    path.unlink()
    pulse.look_after(path)
    sign = read_pulse(path)
    assert sign is not None
    assert time.monotonic_ns() - sign.beat_ns < 60e9
    assert sign.in_flight == flights(1)
    pulse.close()


def test_it_keeps_one_descriptor_and_gives_it_back(path: Path) -> None:
    """Whether it is made once or again."""
    before = os.listdir("/proc/self/fd")
    pulse = Pulse()
    pulse.look_after(path)
    path.unlink()
    pulse.look_after(path)
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    pulse.close()
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("data", [b"", b"PTPULSE1", b"x" * 64, b"PTPULSE1" + b"\xff" * 4000])
def test_nonsense_is_no_sign(path: Path, data: bytes) -> None:
    """Cut short, of somebody else, or with requests that are none."""
    path.write_bytes(data)
    sign = read_pulse(path)
    assert sign is None or sign.in_flight == []


def test_a_link_and_a_pipe_are_no_pulse(path: Path, tmp_path: Path) -> None:
    """Nobody is led elsewhere, and nobody waits."""
    path.symlink_to(tmp_path / "elsewhere")
    assert read_pulse(path) is None
    path.unlink()
    os.mkfifo(path)
    assert read_beat(path) is None
    assert read_pulse(path) is None
