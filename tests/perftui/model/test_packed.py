"""Sketches and counters in single integers are what they were before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perftui.model.packed import (
    LAST_BUCKET,
    MAX_COUNTER,
    MAX_IN_A_BUCKET,
    NOTHING,
    Counters,
    merged,
    packed,
)
from perftui.model.quantiles import quantiles, together
from perftui_agent.sketch import LARGEST, LatencySketch

VALUES = st.lists(st.integers(0, LARGEST), max_size=40)
SEVERAL = st.lists(VALUES, max_size=6)
ANY_INTEGER = st.integers(-(2**70), 2**70)


def sketch_of(values: list[int]) -> LatencySketch:
    sketch = LatencySketch()
    for value in values:
        sketch.add(value)
    return sketch


@given(SEVERAL)
def test_packing_several_sketches_is_merging_them(several: list[list[int]]) -> None:
    """Nothing is lost and nothing is made up, whatever was counted."""
    sketches = [sketch_of(values) for values in several]
    assert packed(sketches).unpacked() == LatencySketch.merged(sketches)


@given(SEVERAL)
def test_packed_sketches_add_up_as_sketches_do(several: list[list[int]]) -> None:
    """However far apart their values lie; and none of them is changed."""
    sketches = [sketch_of(values) for values in several]
    parts = [packed([sketch]) for sketch in sketches]
    assert merged(parts).unpacked() == LatencySketch.merged(sketches)
    assert together([*sketches[:2], *parts[2:]]) == merged(parts)
    assert [part.unpacked() for part in parts] == sketches


@given(VALUES, st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_quantiles_of_a_packed_sketch_are_those_of_the_sketch(values: list[int], wanted: list[float]) -> None:
    """To the last digit."""
    sketch = sketch_of(values)
    assert quantiles(packed([sketch]), wanted) == [sketch.quantile(q) for q in wanted]
    assert list(packed([sketch]).ranges()) == list(sketch.ranges())


def test_nothing_is_nothing() -> None:
    """Of no sketch, of empty ones, and of their sum."""
    assert packed([]) == packed([LatencySketch()]) == merged([]) == merged([NOTHING, NOTHING]) == NOTHING


@given(st.dictionaries(ANY_INTEGER, st.integers(0, 2**64 - 1), min_size=1, max_size=8))
def test_whatever_a_peer_claims_takes_no_more_than_a_sketch_may(buckets: dict[int, int]) -> None:
    """Bucket 2^60 would be an integer of 2^65 bits, and a count of 2^40 would run into the next lane."""
    part = packed([LatencySketch(1, 1, 1, buckets)])
    assert 0 <= part.low <= LAST_BUCKET
    assert part.lanes.bit_length() <= 32 * (LAST_BUCKET + 1)
    assert max(part.counts(), default=0) <= MAX_IN_A_BUCKET


@given(st.lists(st.tuples(*[st.integers(0, MAX_COUNTER // 64 - 1)] * 3), min_size=1, max_size=60))
def test_sums_of_packed_counters_are_the_sums_of_the_counters(rows: list[tuple[int, ...]]) -> None:
    """Each in its own lane."""
    counters = Counters(3)
    assert counters.unpack(sum(map(counters.pack, rows))) == tuple(map(sum, zip(*rows, strict=True)))


@given(st.lists(ANY_INTEGER, min_size=3, max_size=3))
def test_counters_that_no_agent_counts_are_bounded(values: list[int]) -> None:
    """What is believable comes back as it is."""
    counters = Counters(3)
    assert counters.unpack(counters.pack(values)) == tuple(
        min(max(value, 0), MAX_COUNTER - 1) for value in values
    )
