"""How busy the processors were, from two readings of `/proc/stat`."""

from __future__ import annotations

import pytest

from perftui.ramp.processors import Meter, busy_between, processors_in, processors_now

BEFORE = "cpu  1000 500 200 8000 100 10 20 30 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"


def test_what_gives_way_is_as_good_as_free() -> None:
    """Of 100 ticks 40 are a service's, ten the kernel's, five a hypervisor's; 25 had a nice value."""
    after = "cpu  1040 525 210 8015 105 10 20 35 0 0\n"
    busy = busy_between(processors_in(BEFORE), processors_in(after))
    assert busy == pytest.approx(55 / 100)


@pytest.mark.parametrize("text", ["", "intr 5\n", "cpu 1 2 3\n"])
def test_what_is_no_such_file_says_nothing(text: str) -> None:
    """Rather than that nothing is busy."""
    assert processors_in(text) is None
    assert busy_between(processors_in(text), processors_in(BEFORE)) is None


def test_two_readings_in_the_same_tick_say_nothing() -> None:
    """There is no part of no time."""
    assert busy_between(processors_in(BEFORE), processors_in(BEFORE)) is None


def test_only_the_counted_part_of_a_step_is_looked_at() -> None:
    """Warm-up before it and what is answered after it are left out."""
    meter = Meter(2.0, 12.0)
    meter.look(1.0)
    meter.look(13.0)
    assert meter.used == {}
    assert processors_now() is not None
