"""What a dead worker leaves behind, and whose word is taken for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from perftui.sources.leftover import MAX_BOX_BYTES, evidence_left, frames_left_by
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.incidents import Evidence
from tests.support.boxes import write_box
from tests.support.frames import T, frame, hello, worker
from tests.support.servers import private_dir

A, B = worker(1), worker(2)
FRAMES = [frame(seq, T + seq) for seq in range(1, 6)]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A private runtime directory."""
    path = private_dir()
    yield path
    shutil.rmtree(path)


def left(directory: Path, after_seq: int = 0) -> list[int]:
    return [each.seq for each in frames_left_by(A, after_seq, [directory])]


def test_the_frames_after_the_last_that_came_are_left(directory: Path) -> None:
    """What had been sent is passed over."""
    write_box(directory, hello(A), FRAMES)
    assert left(directory, after_seq=3) == [4, 5]
    assert left(directory, after_seq=5) == []


def test_a_worker_without_a_box_leaves_nothing(directory: Path) -> None:
    """One that stopped in order has removed its box."""
    assert left(directory) == []
    assert left(directory / "that is not there") == []


def test_a_box_that_says_it_is_someone_elses_is_not_believed(directory: Path) -> None:
    """The name of a file proves nothing."""
    write_box(directory, hello(B), FRAMES, name=f"{A.pid}-{A.started_at:.2f}.ring")
    assert left(directory) == []


def test_a_box_of_another_wire_version_is_left_alone(directory: Path) -> None:
    """Its frames may mean something else."""
    write_box(directory, hello(A, wire=2), FRAMES)
    assert left(directory) == []


def test_a_link_is_no_box(directory: Path) -> None:
    """Whoever can plant a link could have us read anything."""
    path = write_box(directory, hello(A), FRAMES)
    real = path.rename(directory / "elsewhere")
    path.symlink_to(real)
    assert left(directory) == []


def test_a_directory_that_others_may_write_to_is_refused(directory: Path) -> None:
    """Anybody could have put the box there."""
    write_box(directory, hello(A), FRAMES)
    directory.chmod(0o777)
    assert left(directory) == []


def test_a_box_beyond_the_bound_is_not_read(directory: Path) -> None:
    """A sparse file of a terabyte costs nothing to plant."""
    path = write_box(directory, hello(A), FRAMES)
    os.truncate(path, MAX_BOX_BYTES + 1)
    assert left(directory) == []


@pytest.mark.parametrize("size", [0, 3, 200])
def test_a_box_that_is_cut_off_gives_what_is_whole(directory: Path, size: int) -> None:
    """However little is left of it, it is no error."""
    path = write_box(directory, hello(A), FRAMES)
    os.truncate(path, size)
    assert left(directory) == []


def telling(*evidence: Evidence) -> list[Frame]:
    """Return frames that tell of these, one each."""
    frames = [frame(seq, T + seq) for seq in range(1, len(evidence) + 1)]
    for each, told in zip(frames, evidence, strict=True):
        each.evidence = [told]
    return frames


def test_evidence_is_found_whoever_left_it_each_piece_as_it_was_told_last(directory: Path) -> None:
    """A service need not run: that is when one comes for it."""
    first = Evidence(id="a", kind="trigger", at=5)
    whole = Evidence(id="a", kind="trigger", at=5, ns=2, outcome="taken", result=b"x")
    write_box(directory, hello(A), [*FRAMES, *telling(first, whole)])
    write_box(directory, hello(B), FRAMES)

    assert [(each.worker, each.evidence) for each in evidence_left([directory])] == [(A, (whole,))]
    assert evidence_left([directory], without=[A]) == []
    assert evidence_left([directory / "that is not there"]) == []


def test_evidence_of_doubtful_boxes_is_passed_over(directory: Path) -> None:
    """As with frames: another version, somebody else's name, a link, nonsense."""
    told = telling(Evidence(id="a", kind="trigger", at=5))
    write_box(directory, hello(A, wire=2), told)
    write_box(directory, hello(B), told, name="7-1.00.ring")
    (directory / "8-1.00.ring").write_bytes(b"evidence" * 100)
    (directory / "9-1.00.ring").symlink_to(directory / "7-1.00.ring")

    assert evidence_left([directory]) == []
