"""The state of the link, without any link."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.model.summary import LinkState
from perftui.sources.session import (
    LINK,
    SLOWEST_RETRY_S,
    WORKER,
    Phase,
    Session,
    Sign,
    Voices,
    retry_after_s,
)


def test_the_tables_answer_every_case() -> None:
    """There is no phase and no sign that the tables don't know."""
    assert set(WORKER) == set(product(get_args(Phase), get_args(Sign)))
    assert set(LINK) == set(product(get_args(LinkState), get_args(Voices)))


def test_a_worker_is_live_once_it_is_heard() -> None:
    """Hello makes a worker live, and with it the link."""
    session = Session().found("a", 0.0)
    assert (session.phase("a"), session.link) == ("connecting", "connecting")
    session = session.seen("a", "heard", 0.1)
    assert (session.phase("a"), session.link) == ("live", "live")


def test_a_worker_without_a_word_is_silent_after_two_and_a_half_seconds() -> None:
    """At 2.5 s it may still speak; beyond, it is silent, and the next word makes it live again."""
    session = Session().found("a", 0.0).seen("a", "heard", 10.0)
    assert session.at(12.5).phase("a") == "live"
    silent = session.at(12.6)
    assert (silent.phase("a"), silent.link) == ("silent", "stale")
    assert silent.seen("a", "heard", 13.0).link == "live"


def test_one_that_never_said_hello_is_silent_as_well() -> None:
    """A worker whose GIL is held accepts a connection and answers nothing."""
    assert Session().found("a", 0.0).at(2.6).phase("a") == "silent"


def test_the_link_is_live_while_anyone_talks() -> None:
    """One silent worker of two doesn't make the link stale."""
    session = Session().found("a", 0.0).found("b", 0.0).seen("a", "heard", 0.1).seen("b", "heard", 2.0)
    session = session.at(3.0)
    assert (session.phase("a"), session.phase("b"), session.link) == ("silent", "live", "live")


def test_the_link_is_lost_when_nobody_is_left() -> None:
    """Only the death of the last worker loses the link, and a newcomer has to speak to bring it back."""
    session = Session().found("a", 0.0).seen("a", "heard", 0.1).seen("a", "died", 1.0)
    assert session.link == "lost"
    session = session.found("b", 2.0)
    assert session.link == "lost"
    assert session.seen("b", "heard", 2.1).link == "live"


def test_a_dropped_connection_is_made_again() -> None:
    """A worker whose connection ended while its process lives is being connected to."""
    session = Session().found("a", 0.0).seen("a", "heard", 0.1).seen("a", "dropped", 1.0)
    assert session.phase("a") == "connecting"
    assert session.workers["a"].drops == 1
    assert session.seen("a", "heard", 1.1).workers["a"].drops == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(get_args(Sign))), max_size=40))
def test_gone_is_for_ever(signs: list[tuple[str, Sign]]) -> None:
    """Whatever follows its death, a worker stays gone."""
    session = Session().found("a", 0.0).found("b", 0.0).seen("a", "died", 0.5)
    for step, (worker, sign) in enumerate(signs):
        session = session.seen(worker, sign, float(step)).at(float(step))
        assert session.phase("a") == "gone"
    assert session.phase("c") is None


@given(st.integers(1, 1000), st.floats(0, 1))
def test_retries_are_spread_and_never_further_apart_than_the_cap(drops: int, chance: float) -> None:
    """The wait lies between half of what it doubles to and that, capped."""
    longest = retry_after_s(drops, 1.0)
    assert longest / 2 <= retry_after_s(drops, chance) <= longest <= SLOWEST_RETRY_S


@pytest.mark.parametrize(("drops", "wait_s"), [(1, 0.05), (2, 0.1), (3, 0.2), (7, 2.0), (99, 2.0)])
def test_retries_double_from_a_twentieth_of_a_second(drops: int, wait_s: float) -> None:
    """The first comes at once, later ones give a server time to start."""
    assert retry_after_s(drops, 1.0) == wait_s
