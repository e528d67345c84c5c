"""Earlier frames that wait their turn."""

from __future__ import annotations

from perftui.sources.backlog import MAX_BYTES, Backlog
from perftui_agent.wire.codec import encode
from perftui_agent.wire.frames import Frame, History
from tests.support.frames import T, frame


def chunk(*seqs: int) -> bytes:
    return encode(History(frames=[frame(seq, T + seq) for seq in seqs]))


def taken(backlog: Backlog) -> list[list[tuple[str, int]]]:
    """Return who is told of in which order, with the `seq` of each frame."""
    found = []
    while told := backlog.take():
        found.append([(worker, each.seq) for worker, each in told])
    return found


def test_the_latest_second_of_all_workers_comes_first() -> None:
    """Whichever worker it came from, and however it was cut into chunks."""
    backlog = Backlog()
    for worker in ("a", "b"):
        backlog.add_chunk(worker, chunk(3, 4))
        backlog.add_chunk(worker, chunk(1, 2))
    backlog.add_chunk("c", chunk(3))
    assert taken(backlog) == [
        [("a", 4), ("b", 4)],
        [("a", 3), ("b", 3), ("c", 3)],
        [("a", 2), ("b", 2)],
        [("a", 1), ("b", 1)],
    ]
    assert not backlog


def test_what_a_dead_worker_left_takes_its_turn() -> None:
    """Its frames are told among those of the others."""
    backlog = Backlog()
    backlog.add_chunk("a", chunk(1, 3))
    backlog.add_frames("b", [frame(2, T + 2)])
    assert taken(backlog) == [[("a", 3)], [("b", 2)], [("a", 1)]]


def test_a_dead_worker_may_leave_nothing() -> None:
    """Whoever had told everything before it died."""
    backlog = Backlog()
    backlog.add_frames("b", [])
    assert not backlog
    backlog.add_chunk("a", chunk(1))
    assert taken(backlog) == [[("a", 1)]]


def test_nonsense_is_no_frame() -> None:
    """A chunk that can't be read is passed over, and so is one without frames."""
    backlog = Backlog()
    for data in (b"\xc1", chunk(), encode(Frame(seq=1, ended_at=1, span_ns=1)), chunk(7)):
        backlog.add_chunk("a", data)
    assert taken(backlog) == [[("a", 7)]]


def test_nobody_can_fill_the_memory() -> None:
    """Of each worker a bounded number of bytes waits; what was forgotten makes room."""
    backlog = Backlog()
    backlog.add_chunk("a", bytes(MAX_BYTES + 1))
    assert (backlog.is_full("a"), backlog.is_full("b")) == (True, False)
    backlog.forget("a")
    assert (backlog.is_full("a"), bool(backlog)) == (False, False)
