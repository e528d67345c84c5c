"""When to paint."""

from __future__ import annotations

from perftui.pace import PERIODS_S, Pace

WORKERS = ("a", "b")


def painted(pace: Pace, now: float) -> Pace:
    pace.painted(now)
    return pace


def test_it_waits_for_all_workers() -> None:
    """Half of a second's frames is half of the truth: no paint until the other worker has spoken."""
    pace = painted(Pace(0.0), 10.0)
    pace.arrived("a")
    assert not pace.due(10.9, WORKERS)
    pace.arrived("b")
    assert pace.due(10.9, WORKERS)


def test_a_worker_that_says_nothing_holds_nobody_up() -> None:
    """A quarter past the second the picture is painted without the one that is missing."""
    pace = painted(Pace(0.0), 10.0)
    pace.arrived("a")
    assert pace.due(11.25, WORKERS)


def test_it_never_hurries() -> None:
    """Frames that come thick and fast don't make the picture jump faster than asked for."""
    pace = painted(Pace(0.0), 10.0)
    for worker in WORKERS:
        pace.arrived(worker)
    assert not pace.due(10.3, WORKERS)


def test_silence_is_painted_too() -> None:
    """Without any news the time since something was heard goes on."""
    pace = painted(Pace(0.0), 10.0)
    assert pace.due(11.25, WORKERS)


def test_the_period_has_bounds() -> None:
    """Asking for more often than 4 times a second, or more seldom than every 10 s, changes nothing."""
    pace = Pace(0.0)
    for _ in range(20):
        pace.step(-1)
    assert PERIODS_S[0] == pace.period_s
    for _ in range(20):
        pace.step(1)
    assert PERIODS_S[-1] == pace.period_s


def test_a_line_that_takes_nothing_is_not_given_more() -> None:
    """While the last picture is still waiting to be sent, no other one is due."""
    pace = painted(Pace(0.0), 10.0)
    pace.held_up(1)
    assert not pace.due(12.0, ())
    pace.held_up(0)
    assert pace.due(12.0, ())


def test_a_slow_line_is_painted_half_as_often() -> None:
    """Blocked for three looks in a row it repaints every 2 s from then on, and says so once."""
    pace = Pace(0.0)
    assert [pace.held_up(number) for number in (1, 0, 1, 1, 1, 1)] == [False] * 4 + [True, False]
    assert pace.period_s == 2.0


def test_a_line_that_is_said_to_be_slow_is_spared_from_the_start() -> None:
    """`--slow` begins with a repaint every 2 s."""
    assert Pace(0.0, slow=True).period_s == 2.0
