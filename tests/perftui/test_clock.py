"""Promise 21: a step of the clock changes no length, and is told."""

from __future__ import annotations

import pytest

from perftui.clock import Axis
from perftui_agent.wire.clock import Instant

SECOND_NS = 1_000_000_000


class Clocks:
    """A wall clock that can be set and one that can't."""

    def __init__(self) -> None:
        self.wall_s, self.steady_s = 1_800_000_000.0, 5000.0

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.wall_s += seconds
        self.steady_s += seconds

    def read(self) -> Instant:
        """Read both."""
        return Instant(round(self.wall_s * SECOND_NS), round(self.steady_s * SECOND_NS))


@pytest.mark.parametrize("step_s", [-600.0, -1.5, 3600.0])
def test_the_axis_goes_on_when_the_wall_clock_is_set(step_s: float) -> None:
    """It begins as the wall clock has it; by how much they have come apart can be asked."""
    clocks = Clocks()
    axis = Axis(clocks.read)
    assert axis.now() == pytest.approx(1_800_000_000.0)
    clocks.go_on(10)
    clocks.wall_s += step_s
    clocks.go_on(10)
    assert axis.now() == pytest.approx(1_800_000_020.0)
    assert axis.wall_ahead_s() == pytest.approx(step_s)


def test_a_suspended_machine_is_no_step() -> None:
    """Both clocks go on meanwhile: what was not measured is a gap."""
    clocks = Clocks()
    axis = Axis(clocks.read)
    clocks.go_on(3600)
    assert axis.wall_ahead_s() == pytest.approx(0)
    assert axis.now() == pytest.approx(1_800_003_600.0)
