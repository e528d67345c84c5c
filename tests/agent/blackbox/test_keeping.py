"""Who may have seconds kept, and how often."""

from __future__ import annotations

from perftui_agent.blackbox.keeping import MOST_AT_A_TIME, Keeping


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_reason_is_heeded_once_a_minute() -> None:
    """Two dashboards that judge the same say it twice."""
    clock = Clock()
    keeping = Keeping(clock)

    assert [keeping.ask("slo-breach"), keeping.ask("slo-breach"), keeping.ask("db-lock")] == [
        True,
        False,
        True,
    ]
    assert [keeping.take(), keeping.take()] == [True, False]
    clock.now += 59.0
    assert not keeping.ask("slo-breach")
    assert not keeping.take()
    clock.now += 2.0
    assert keeping.ask("slo-breach")


def test_whoever_makes_up_reasons_is_heeded_for_a_few() -> None:
    """Whoever asks most is not to overwrite what was kept first; none of it is remembered for long."""
    clock = Clock()
    keeping = Keeping(clock)

    heeded = [keeping.ask(f"made-up-{number}") for number in range(1000)]

    assert sum(heeded) == MOST_AT_A_TIME
    clock.now += 61.0
    assert not keeping.ask("x" * 10_000)
    assert keeping.ask("slo-breach")
