"""Which of the agents' seconds tell of a step."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from perftui.ramp.seconds import seconds_of


def test_a_long_step_is_looked_at_without_its_warm_up() -> None:
    """Ten seconds from 102.25 on, after two of warm-up."""
    assert seconds_of(100.25, 102.25, 112.25) == (9.0, 111.0)


def test_a_step_that_was_ended_at_once_has_its_last_second() -> None:
    """There is no shorter window."""
    assert seconds_of(100.25, 100.75, 100.9) == (1.0, 100.0)


@given(began=st.floats(1e6, 1e6 + 10), warm_s=st.floats(0, 2), counted_s=st.floats(1, 120))
def test_the_frames_of_the_window_lie_within_the_step_on_average(
    began: float, warm_s: float, counted_s: float
) -> None:
    """From half a second before their second to half a second into it."""
    ended = began + warm_s + counted_s
    window_s, cursor = seconds_of(began, began + warm_s, ended)
    assert window_s == int(window_s) >= 1
    assert cursor + 0.5 <= ended
    first = math.floor(cursor) - window_s + 1
    if window_s > 1:
        assert first - 0.5 >= began
        assert first >= began + warm_s
    assert window_s >= counted_s - 2
