"""Charts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perftui.present.charts.drawing import Axis, area, bar, histogram, round_up, spark
from perftui_agent.sketch import LatencySketch


def test_a_column_that_is_complete_never_changes() -> None:
    """As time goes on the picture moves to the left and is otherwise the same: it doesn't shimmer."""
    values = {moment: float((moment * 7) % 23) for moment in range(1000, 1200)}

    def drawn(end: int) -> list[float | None]:
        moments = list(range(end - 59, end + 1))
        return Axis.over([float(moment) for moment in moments], 60.0, 20).highest(
            [values[moment] for moment in moments]
        )

    assert drawn(1100)[2:-1] == drawn(1103)[1:-2]


def test_few_points_fill_a_wide_chart() -> None:
    """Ten points over forty columns: each holds until the next, with no gap between them."""
    columns = Axis.over([float(moment) for moment in range(91, 101)], 10.0, 40).mean([5.0] * 10)
    assert columns == [5.0] * 40


def test_the_peak_of_a_column_is_kept() -> None:
    """One slow second in a column of many shows in full."""
    values = [1.0] * 29 + [90.0] + [1.0] * 30
    assert max(filter(None, Axis.over([float(at) for at in range(1, 61)], 60.0, 6).highest(values))) == 90.0


def test_what_was_not_measured_is_blank_and_zero_is_a_line() -> None:
    """No data and 0 look different."""
    assert spark([None, 0.0, 10.0], top=10.0) == " ▁█"


def test_a_chart_of_two_lines_has_sixteen_steps() -> None:
    """The lower line fills up before the upper one begins."""
    assert ["   ▄█", "▄████"[0] + "████"] == area([4.0, 8.0, 8.0, 12.0, 16.0], 2, 16.0)


def test_no_point_no_column() -> None:
    """A chart without a single point is blank, whatever its width."""
    assert Axis.over([], 60.0, 5).mean([]) == [None] * 5


@given(st.floats(min_value=0.001, max_value=1e9))
def test_the_scale_holds_the_value_and_not_much_more(value: float) -> None:
    """The top of the scale is a round number at most two and a half times the highest value."""
    assert value <= round_up(value) * (1 + 1e-9) <= 2.5 * value * (1 + 1e-6)


def test_anything_above_nothing_leaves_a_trace() -> None:
    """A share of one in ten thousand is half a cell, not none."""
    assert bar(0.0001, 4) == "╸   "
    assert bar(0.0, 4) == "    "
    assert bar(1.2, 4) == "━━━━"


@given(st.lists(st.integers(1_000, 10**10), min_size=1, max_size=200), st.integers(8, 120))
def test_a_histogram_counts_every_request(values: list[int], width: int) -> None:
    """However buckets and columns lie, the columns add up to the count of the sketch."""
    sketch = LatencySketch()
    for value in values:
        sketch.add(value)
    columns = histogram(sketch.ranges(), min(values) / 2, max(values) * 2, width)
    assert abs(sum(columns) - len(values)) < 1e-6 * len(values) + 1e-6
