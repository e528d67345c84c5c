"""The sketch: quantiles within 1 %, counts exact, merging the same as having counted all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui_agent.sketch import LARGEST, RELATIVE_ERROR, LatencySketch, bucket_bounds, bucket_of

values = st.integers(min_value=0, max_value=LARGEST)
durations = st.one_of(values, st.integers(min_value=0, max_value=10_000_000_000))


def sketch_of(counted: list[int]) -> LatencySketch:
    sketch = LatencySketch()
    for value in counted:
        sketch.add(value)
    return sketch


def exact(counted: list[int], q: float) -> int:
    """Return the smallest value that at least `q` of all values do not exceed."""
    return sorted(counted)[max(0, math.ceil(q * len(counted)) - 1)]


@given(st.lists(durations, min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999, 1.0]))
def test_quantiles_are_within_one_percent(counted: list[int], q: float) -> None:
    """Any quantile of any values lies within 1/128 of the exact nearest-rank one."""
    answer = sketch_of(counted).quantile(q)
    assert answer is not None
    assert abs(answer - exact(counted, q)) <= RELATIVE_ERROR * exact(counted, q)


@given(st.lists(durations, max_size=100), st.lists(st.one_of(durations, st.just(LARGEST + 1)), max_size=100))
def test_many_at_once_are_counted_as_one_after_the_other(before: list[int], together: list[int]) -> None:
    """What is counted does not depend on how it is handed over."""
    sketch = sketch_of(before)
    sketch.add_all(together)
    assert sketch == sketch_of(before + together)


@given(st.lists(durations, max_size=20), st.lists(st.sampled_from([0, 17, 4096, LARGEST, LARGEST + 1])))
def test_many_alike_are_counted_as_one_after_the_other(before: list[int], together: list[int]) -> None:
    """The same goes for values of which many are the same."""
    sketch = sketch_of(before)
    sketch.add_alike(together)
    assert sketch == sketch_of(before + together)


@given(
    st.lists(durations, max_size=100), st.lists(durations, max_size=100), st.lists(durations, max_size=100)
)
def test_merging_is_counting_everything(one: list[int], two: list[int], three: list[int]) -> None:
    """Merged in any order, sketches are that of all their values: count, sum, maximum and buckets."""
    everything = sketch_of(one + two + three)
    assert LatencySketch.merged([sketch_of(one), sketch_of(two), sketch_of(three)]) == everything
    assert LatencySketch.merged([sketch_of(three), sketch_of(one), sketch_of(two)]) == everything
    assert everything.count == len(one + two + three)
    assert everything.total == sum(one + two + three)
    assert everything.max == max(one + two + three, default=0)


@given(st.lists(durations, min_size=1, max_size=50))
def test_merging_changes_none_of_its_parts(counted: list[int]) -> None:
    """`merged` leaves what it was given as it was."""
    part = sketch_of(counted)
    LatencySketch.merged([part, part])
    assert part == sketch_of(counted)


@given(values)
def test_every_value_lies_in_the_bounds_of_its_bucket(value: int) -> None:
    """`bucket_bounds` is the inverse of `bucket_of`, and `add` agrees with both."""
    low, high = bucket_bounds(bucket_of(value))
    assert low <= value < high
    assert list(sketch_of([value]).buckets) == [bucket_of(value)]


def test_no_value_is_no_quantile() -> None:
    """An empty sketch says None, never 0."""
    assert LatencySketch().quantile(0.95) is None
    assert LatencySketch().mean() is None


@pytest.mark.parametrize(("value", "counted_as"), [(-5, 0), (LARGEST + 1, LARGEST), (1 << 80, LARGEST)])
def test_values_out_of_range_are_counted_at_its_ends(value: int, counted_as: int) -> None:
    """A clock that steps back or a size from outer space is counted, and breaks nothing."""
    assert sketch_of([value]) == sketch_of([counted_as])
