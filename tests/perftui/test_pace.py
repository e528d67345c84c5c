"""When to paint."""

from __future__ import annotations

from perftui.pace import BLOCKED_LOOKS, CLEAR_LOOKS, PERIODS_S, SLOW_S, Pace

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
    pace.look(1)
    assert not pace.due(12.0, ())
    pace.look(0)
    assert pace.due(12.0, ())


def test_a_slow_line_is_painted_seldom() -> None:
    """Blocked for three looks in a row it repaints every 5 s from then on, and says so once."""
    pace = Pace(0.0)
    assert [pace.look(number) for number in (1, 0, 1, 1, 1, 1)] == [False] * 4 + [True, False]
    assert pace.period_s == SLOW_S == 5.0


def looks_until_recovered(pace: Pace) -> int:
    """Return how many looks without anything waiting it takes until the period changes."""
    return next(number for number in range(1, 1000) if pace.look(0))


def test_a_line_that_recovers_is_painted_as_before() -> None:
    """After a while without anything waiting the period is the former one; twice as long the next time."""
    pace = Pace(0.0)
    pace.step(-1)
    for patience in (CLEAR_LOOKS, 2 * CLEAR_LOOKS):
        assert [pace.look(1) for _ in range(BLOCKED_LOOKS)][-1]
        assert pace.period_s == SLOW_S
        assert looks_until_recovered(pace) == patience
        assert pace.period_s == 0.5


def test_who_chooses_a_period_keeps_it() -> None:
    """Neither a line that is said to be slow nor one that was slowed by hand recovers by itself."""
    said, chosen = Pace(0.0, slow=True), Pace(0.0)
    for _ in range(BLOCKED_LOOKS):
        chosen.look(1)
    chosen.step(-1)
    assert not any(pace.look(0) for pace in (said, chosen) for _ in range(10 * CLEAR_LOOKS))
    assert (said.period_s, chosen.period_s) == (SLOW_S, 2.0)


def test_a_death_is_painted_soon_on_a_slow_line_too() -> None:
    """Frames wait for their period; what is not a mere frame waits for a second."""
    pace = painted(Pace(0.0, slow=True), 10.0)
    for worker in WORKERS:
        pace.arrived(worker)
    assert not pace.due(11.0, WORKERS)
    pace.arrived(None)
    assert pace.due(11.0, WORKERS)
    pace.painted(11.0)
    assert not pace.due(12.0, WORKERS)
