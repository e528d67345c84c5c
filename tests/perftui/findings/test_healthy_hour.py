"""An hour of varied healthy load has no finding, in whatever window it is judged."""

from __future__ import annotations

from tests.perftui.findings.healthy import false_alarms, told


def test_an_hour_of_varied_healthy_load_has_no_finding() -> None:
    """A day's curve, rushes, a slow report, rare routes, collections, a warming cache: nothing is said.

    The deploy in the midst of it is: that workers were replaced, as a fact of low severity. Ten more such
    hours: `python -m tests.benchmarks healthy`.
    """
    said = list(told(seed=1))
    assert false_alarms(said) == []
    assert said
