"""Whose fault a bad step is: the service's, or that of the generator that sent it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.check.grammar import parse_objective
from perftui.ramp.judgement import Observation, judged
from perftui.ramp.load import StepTold
from perftui.ramp.observing import emergency, observed
from tests.support.frames import sketch

TARGETS = (parse_objective("p95<250ms"), parse_objective("errors<2%"))


def told(felt_ms: float, late_ms: float = 0.0, *, sent: int = 1000, **has: float) -> StepTold:
    """Return a step of ten seconds at 100/s, all of which took as long and went out as late."""
    step = StepTold(100.0, 10.0, sent=sent, done=sent, in_time=sent)
    step.latency, step.late = sketch([felt_ms] * 100), sketch([late_ms] * 100)
    for name, value in has.items():
        setattr(step, name, value)
    return step


def seen(step: StepTold, *, baseline_ms: float | None = None, stopped: str = "") -> Observation:
    """Return what it shows."""
    targets = TARGETS if baseline_ms is None else ()
    return observed(step, 10.0, targets, lambda _: None, baseline_ms=baseline_ms, stopped=stopped)


def test_a_good_step_is_good_however_late_it_was_sent() -> None:
    """Its clients have felt all of that, and the targets held."""
    assert not seen(told(200.0, late_ms=100.0)).generators
    assert not seen(told(200.0, late_ms=100.0, busiest=0.99)).generators


def test_a_step_that_is_bad_without_what_the_sender_may_account_for_is_the_services() -> None:
    """Late by 30 ms on the way out, and as much on the way back: 340 of 400 ms are too many all the same."""
    step = seen(told(400.0, late_ms=30.0, waited=0.3))
    assert not step.generators
    assert judged(step, None).why == "missed p95<250ms"


def test_a_step_that_the_senders_lateness_alone_made_bad_is_the_generators() -> None:
    """It says how late, and that the sender did not get a processor, if it did not."""
    assert seen(told(300.0, late_ms=30.0)).generators == "sent 30 ms late at p95"
    without = seen(told(300.0, late_ms=30.0, waited=0.31)).generators
    assert without == "sent 30 ms late at p95, 31 % of the time without a processor"


def test_a_sender_without_a_core_left_says_nothing_of_a_slow_service() -> None:
    """It reads what is answered late, and nobody knows by how much."""
    assert seen(told(400.0, busiest=0.97)).generators == "needs 97 % of a core"


def test_a_rate_that_was_not_sent_was_not_offered() -> None:
    """Whatever was felt of it; but for what was held back since too many were under way already."""
    assert seen(told(5.0, sent=900)).generators == "sent 900 of 1000 requests"
    assert not seen(told(5.0, sent=900, turned_away=100)).generators
    assert not seen(told(5.0, sent=900, held=100)).generators


def test_a_step_that_was_ended_early_had_less_to_send() -> None:
    """Three seconds of ten, since the service had come to a stop: that is no fault of the generator's."""
    step = told(2000.0, sent=300)
    found = observed(step, 3.0, TARGETS, lambda _: None, baseline_ms=None, stopped="it stood still")
    assert not found.generators
    assert judged(found, None).why == "it stood still"


def test_without_targets_the_first_steps_are_the_measure() -> None:
    """Ten ms at first and 60 now are too many; 40 of them sent late are not the service's."""
    assert not seen(told(60.0, late_ms=1.0), baseline_ms=10.0).generators
    assert seen(told(60.0, late_ms=20.0), baseline_ms=10.0).generators


def test_a_late_sender_is_no_emergency_of_the_services() -> None:
    """What it sent a second late took a second longer."""
    step = told(0.0)
    for late_ms, ends in ((0.0, True), (900.0, False)):
        word = told(1500.0, late_ms)
        step.lately = [word]  # type: ignore[list-item]
        assert bool(emergency(step, TARGETS, None)) == ends


@given(felt_ms=st.floats(1, 5000), late_ms=st.floats(0, 5000), busiest=st.floats(0, 1))
def test_what_is_said_of_the_service_holds_without_the_sender(
    felt_ms: float, late_ms: float, busiest: float
) -> None:
    """A step is good, or bad by more than the sender may account for, or the generator's."""
    found = seen(told(felt_ms, late_ms, busiest=busiest))
    if not judged(found, None).is_good and not found.generators:
        assert felt_ms - 2 * late_ms > 250.0 * 0.95
    if felt_ms < 240.0:
        assert not found.generators


@pytest.mark.parametrize("late_ms", [0.0, 5.0])
def test_late_by_little_moves_no_target(late_ms: float) -> None:
    """A step just beyond its bound, sent in time, is the service's."""
    assert not seen(told(270.0, late_ms)).generators
