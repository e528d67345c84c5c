"""At which rate each resource will be full."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.ramp.resources import MOST_FACTOR, Kind
from perftui.ramp.room import Used, room_of

KINDS: tuple[Kind, ...] = ("loop", "cpu", "pool", "threadpool", "quota")


def straight(rest: float, grows: float, *rates: float) -> Used:
    return [(rate, {"cpu": rest + grows * rate}) for rate in rates]


def test_what_is_used_without_any_request_does_not_grow_with_the_rate() -> None:
    """30 % are taken by others: at twice the rate 50 % are, not 80."""
    room = room_of(100, straight(0.3, 0.001, 20, 40, 60, 100))
    assert room.full_at["cpu"] == pytest.approx(550)


def test_of_one_rate_there_is_only_a_ratio() -> None:
    """As if nothing were used without requests."""
    assert room_of(100, [(100, {"loop": 0.425})]).full_at["loop"] == pytest.approx(200)


def test_what_does_not_grow_is_never_full() -> None:
    """A machine that others keep busy says nothing about this service."""
    assert "cpu" not in room_of(100, straight(0.6, -0.001, 20, 40, 60)).full_at
    assert "cpu" not in room_of(100, straight(0.0, 0.0, 20, 40, 60)).full_at


def test_a_mend_gives_no_more_than_the_next_limit_lets_through() -> None:
    """And no more than itself, nor than four times the knee: what lies beyond was never seen."""
    room = room_of(100, straight(0.0, 0.85 / 300, 20, 40, 100))
    assert room.promised("pool", 2.0) == pytest.approx(200)
    assert room.promised("pool", 4.0) == pytest.approx(300)
    assert room.factor("pool") == pytest.approx(3)
    assert room_of(100, []).promised("pool", 100.0) == 100 * MOST_FACTOR


def test_a_full_threadpool_bounds_nothing_where_it_is_full_because_of_the_lock() -> None:
    """What a limit brings about is no limit of its own; the processor is."""
    room = room_of(100, [(100, {"threadpool": 1.0, "loop": 0.2})])
    both: tuple[Kind, ...] = ("lock", "quota")
    for kind in both:
        following = room.next_to(kind)
        assert following is not None
        assert following[0] == "loop"
        assert following[1] == pytest.approx(425)


@given(
    used=st.lists(
        st.tuples(st.floats(0.1, 5000), st.dictionaries(st.sampled_from(KINDS), st.floats(0, 1))), max_size=12
    ),
    factor=st.floats(1, 100),
)
def test_whatever_was_measured_a_promise_is_a_rate(
    used: list[tuple[float, dict[Kind, float]]], factor: float
) -> None:
    """Between nothing and four times the knee."""
    room = room_of(100.0, used)
    for kind in KINDS:
        assert 0 <= room.promised(kind, factor) <= 100 * MOST_FACTOR
        assert 1 < room.factor(kind) <= MOST_FACTOR
