"""What senders tell of a step, added up."""

from __future__ import annotations

import pytest

from perftui.ramp.load import Pace
from perftui.ramp.sender import Order, Told

ORDER = Order(rate=100, seconds=4, warm_s=1)


def paced(*words: tuple[float, float, float]) -> Pace:
    """Return the pace of a sender that has said so at these seconds: CPU, and waits for it, in seconds."""
    pace = Pace(ORDER)
    for at_s, cpu_s, waited_s in words:
        pace.add(Told(at_s, cpu_s=cpu_s, waited_s=waited_s))
    return pace


def test_a_sender_is_as_busy_as_it_is_while_it_sends_what_counts() -> None:
    """Opening connections at first and the rest of the answers at last are no part of it."""
    pace = paced((1, 0.9, 0.9), (2, 0.25, 0.1), (3, 0.5, 0.1), (4, 0.5, 0.1), (5, 0.25, 0.1), (7, 1.9, 1.0))
    assert pace.busy == pytest.approx(1.5 / 4)
    assert pace.waited == pytest.approx(0.1)


def test_a_moment_says_nothing_of_it() -> None:
    """One collection in the first quarter of a second would be all of a core."""
    assert paced((1, 0.5, 0.0), (1.25, 0.25, 0.0)).busy == 0
