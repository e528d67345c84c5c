"""The search for the knee, against services whose knee is known."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.ramp.judgement import Observation
from perftui.ramp.search import NARROW, advance, begin
from tests.perftui.ramp.simulated import Simulated, off_by, searched


def test_a_known_knee_is_found_within_five_per_cent_95_times_in_100() -> None:
    """With three per cent of noise and a pause in one step of fifty; a target of 200 ms."""
    found = [
        off_by(Simulated(rng.uniform(20, 3000), rng.uniform(1, 15), rng, bound_ms=200.0, hiccups=0.02))
        for seed in range(300)
        for rng in [random.Random(seed)]
    ]
    assert sum(each <= 0.05 for each in found) >= 0.95 * len(found)


def test_without_a_target_the_knee_is_where_the_service_stops_to_keep_up() -> None:
    """Degraded against its own first steps, or no longer answering all: within a sixth of its capacity."""
    for seed in range(60):
        rng = random.Random(seed)
        service = Simulated(rng.uniform(50, 2000), rng.uniform(2, 20), rng)
        found = searched(service).knee_rps
        assert found is not None
        assert 0.6 * service.capacity <= found <= 1.05 * service.capacity


@given(
    capacity=st.floats(6, 4000), base_ms=st.floats(0.5, 50), noise=st.floats(0, 0.3),
    hiccups=st.floats(0, 0.5), seed=st.integers(0, 1000),
)  # fmt: skip
def test_whatever_the_service_does_the_search_ends_within_its_bounds(
    capacity: float, base_ms: float, noise: float, hiccups: float, seed: int
) -> None:
    """It asks for no rate above the limit, for none that is no rate, and it comes to an end."""
    service = Simulated(capacity, base_ms, random.Random(seed), noise, 300.0, hiccups=hiccups)
    search = begin(5.0, 1000.0)
    for _ in range(60):
        if search.next_rate is None:
            break
        assert 0 < search.next_rate <= 1000.0
        search = advance(search, service.at(search.next_rate))
    assert search.phase == "done"
    if search.bracket:
        low, high = search.bracket
        assert low < high


def test_a_service_that_keeps_up_to_the_limit_has_no_knee() -> None:
    """The highest rate is told, and that nothing gave."""
    search = searched(Simulated(100_000, 1, random.Random(1), bound_ms=200.0))
    assert (search.shape, search.bracket, search.knee_rps) == ("none", None, 5000.0)


def test_a_service_that_is_too_slow_at_any_rate_is_looked_for_below_the_first() -> None:
    """Then it is said that no rate will do."""
    search = searched(Simulated(100, 90, random.Random(1), bound_ms=200.0))
    assert search.knee_rps is None
    assert min(step.seen.rate for step in search.steps) < 1


def test_both_ends_are_measured_twice_before_they_are_believed() -> None:
    """The last two steps are those at the ends of the bracket."""
    search = searched(Simulated(500, 5, random.Random(3), noise=0.0, bound_ms=200.0))
    assert search.is_confirmed
    assert search.bracket is not None
    low, high = search.bracket
    assert high / low <= NARROW
    assert [step.seen.rate for step in search.steps[-2:]] == [low, high]


def test_a_pause_in_one_step_is_no_knee() -> None:
    """A rate that was bad once and good when it was measured again is passed."""
    service = Simulated(1000, 5, random.Random(5), noise=0.0, bound_ms=200.0)
    search, paused = begin(5.0, 5000.0), False
    while search.next_rate is not None:
        seen = service.at(search.next_rate)
        if not paused and search.next_rate > 100:
            seen, paused = Observation(seen.rate, seen.sent, seen.done, p95_ms=900.0, broken=("p95",)), True
        search = advance(search, seen)
    assert search.knee_rps == pytest.approx(service.knee, rel=0.06)


def test_a_step_that_the_generator_spoiled_is_sent_once_more() -> None:
    """An accident of its own ends no ramp, and moves no knee: some come twice in a row."""
    found = []
    for seed in range(300):
        rng = random.Random(seed)
        service = Simulated(rng.uniform(20, 3000), rng.uniform(1, 15), rng, bound_ms=200.0, spoils=0.03)
        found.append(off_by(service))
    assert sum(each <= 0.05 for each in found) >= 0.95 * len(found)


@given(
    capacity=st.floats(6, 4000), sends=st.floats(6, 4000), spoils=st.floats(0, 0.4),
    hiccups=st.floats(0, 0.2), seed=st.integers(0, 1000),
)  # fmt: skip
def test_what_the_generator_could_not_send_is_bracketed_from_below(
    capacity: float, sends: float, spoils: float, hiccups: float, seed: int
) -> None:
    """A rate that it spoiled twice in a row is its limit: none as high is asked for again, and it ends."""
    service = Simulated(
        capacity, 2.0, random.Random(seed), bound_ms=200.0, hiccups=hiccups, spoils=spoils, sends=sends
    )
    search = begin(5.0, 5000.0)
    for _ in range(120):
        if search.next_rate is None:
            break
        assert search.generator_at is None or search.next_rate < search.generator_at
        search = advance(search, service.at(search.next_rate))
    assert search.phase == "done"
    assert search.low is None or search.low.seen.rate <= sends
    kept = [step.seen for step in (search.low, search.high) if step is not None]
    assert not any(seen.generators for seen in kept)


@given(sends=st.floats(6, 4000), seed=st.integers(0, 1000))
def test_below_the_limit_of_the_generator_all_that_it_can_send_is_tried(sends: float, seed: int) -> None:
    """It is no knee: the highest rate that was kept up is told, close below what could not be sent."""
    search = searched(Simulated(100_000, 1, random.Random(seed), bound_ms=200.0, sends=sends))
    assert search.generator_at is not None
    assert search.low is not None
    assert (search.high, search.shape) == (None, "none")
    assert search.low.seen.rate <= sends < search.generator_at
    assert search.generator_at / search.low.seen.rate <= NARROW


def test_a_knee_below_the_limit_of_the_generator_is_found_all_the_same() -> None:
    """A climb leaps over both: what could not be sent bounds the search, and the knee is looked for below."""
    for capacity in (500, 700, 780):
        service = Simulated(capacity, 2, random.Random(capacity), noise=0.0, bound_ms=200.0, sends=800)
        search = searched(service)
        assert search.knee_rps == pytest.approx(service.knee, rel=0.05)
        assert search.is_confirmed


def test_a_cliff_is_told_from_a_slope() -> None:
    """By how much the p95 grows within the narrow bracket."""

    def seen(rate: float, p95_ms: float, broken: bool) -> Observation:
        return Observation(rate, 100, 100, p95_ms=p95_ms, broken=("p95",) if broken else (), has_targets=True)

    for beyond, shape in ((220.0, "smooth"), (4000.0, "cliff")):
        search = begin(5.0, 5000.0)
        while search.next_rate is not None:
            over = search.next_rate > 333
            search = advance(search, seen(search.next_rate, beyond if over else 190.0, over))
        assert search.shape == shape
