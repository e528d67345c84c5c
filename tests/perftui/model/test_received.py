"""Which frames have arrived."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perftui.model.received import MAX_GAPS, NOTHING, Received


def after(*seqs: int) -> Received:
    received = NOTHING
    for seq in seqs:
        received = received.with_frame(seq) or received
    return received


def test_a_gap_is_frames_that_were_dropped() -> None:
    """From 3 to 7 there are three that didn't come."""
    assert after(3, 7).dropped == 3


def test_a_late_frame_fills_its_place() -> None:
    """What turns up after all is no longer missing."""
    assert after(3, 7, 5).gaps == ((4, 4), (6, 6))


def test_a_frame_that_was_there_is_no_news() -> None:
    """A repeat doesn't count twice."""
    assert after(3, 4).with_frame(3) is None


@given(st.lists(st.integers(1, 60), min_size=1))
def test_it_knows_exactly_what_is_missing(seqs: list[int]) -> None:
    """In any order, with any repeats: each frame counts once, and the rest of the range is dropped."""
    received, fresh = NOTHING, []
    for seq in seqs:
        if (grown := received.with_frame(seq)) is not None:
            received = grown
            fresh.append(seq)
    assert sorted(fresh) == sorted(set(seqs))
    missing = {seq for low, high in received.gaps for seq in range(low, high + 1)}
    assert missing == set(range(min(seqs), max(seqs) + 1)) - set(seqs)
    assert received.dropped == len(missing)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), min_size=1))
def test_frames_that_stand_for_several_count_once(spans: list[tuple[int, int]]) -> None:
    """In any order: what overlaps with something that was there is no news; `has` knows all of it."""
    received, known = NOTHING, set[int]()
    for low, more in spans:
        covered = set(range(low, low + more + 1))
        grown = received.with_frames(low, low + more)
        assert (grown is None) == bool(known & covered)
        if grown is not None:
            received, known = grown, known | covered
    assert {seq for seq in range(1, 80) if received.has(seq)} == known
    assert received.dropped == max(known) - min(known) + 1 - len(known)


def test_gaps_are_bounded_and_still_counted() -> None:
    """Beyond the bound the oldest gaps are lost for good, and stay in the count."""
    received = after(*range(1, 4 * MAX_GAPS, 2))
    assert len(received.gaps) == MAX_GAPS
    assert received.dropped == 2 * MAX_GAPS - 1
