"""The agent's share of the process's memory is estimated from what it holds, and holds nothing itself."""

from __future__ import annotations

import sys
import weakref
from collections import deque

import pytest

from perftui_agent.probes.machine.footprint import (
    FIRST_AFTER_FRAMES,
    SAMPLED,
    WEIGH_EVERY_FRAMES,
    Footprint,
    weigh,
)
from perftui_agent.window.window import Window
from tests.support.requests import begin, end

REQUESTS = 2_000


def window_of(routes: int) -> Window:
    """Return a window in which so many routes have had requests."""
    window = Window()
    for number in range(REQUESTS):
        end(begin(window), f"GET /{number % routes:04}", (number % 100 + 1) * 1_000_000)
    window.fold_pending(REQUESTS)
    return window


def test_a_long_table_is_weighed_by_some_of_its_entries() -> None:
    """The estimate of entries alike is the exact sum, though few of them are looked at."""
    texts = {f"{number:06}": f"{number:06}" * 20 for number in range(1_000)}
    key, value = sys.getsizeof("000000"), sys.getsizeof("000000" * 20)
    assert weigh(texts) == pytest.approx(sys.getsizeof(texts) + 1_000 * (key + value), rel=0.01)
    values = deque(texts.values())
    assert weigh(values) == pytest.approx(sys.getsizeof(values) + 1_000 * value, rel=0.01)


def test_more_routes_weigh_more() -> None:
    """A window's weight grows with its tables."""
    empty, few, many = weigh(Window()), weigh(window_of(SAMPLED)), weigh(window_of(10 * SAMPLED))
    assert empty < few / 5
    assert few < many / 3


class Theirs:
    """An object of the app's."""

    def __init__(self) -> None:
        self.much = "x" * 1_000_000


def test_what_is_the_apps_is_not_weighed_and_not_kept() -> None:
    """Where our tables lead to the app's objects, or to the server's by a scope, those stay theirs."""
    window, theirs = Window(), Theirs()
    begin(window, scope={"method": "GET", "path": "/", "app": theirs, "much": "x" * 1_000_000})
    footprint = Footprint(0, window, [theirs])
    alone = weakref.ref(theirs)
    weighed = footprint.read()
    assert weighed is not None
    assert weighed < 100_000
    del theirs, footprint
    window.empty()
    assert alone() is None


def test_it_is_weighed_once_a_minute() -> None:
    """As the agent begins, when its tables have filled, then once a minute; in between it costs nothing."""
    table: list[str] = []
    footprint = Footprint(5_000, table)
    told = []
    for _ in range(FIRST_AFTER_FRAMES + WEIGH_EVERY_FRAMES + 1):
        told.append(footprint.read())
        table.append("x" * 1_000)
    changes = [frame for frame in range(1, len(told)) if told[frame] != told[frame - 1]]
    assert changes == [FIRST_AFTER_FRAMES, FIRST_AFTER_FRAMES + WEIGH_EVERY_FRAMES]


def test_what_is_not_known_is_not_told() -> None:
    """Where nobody saw what importing the agent took, there is no figure rather than half of one."""
    assert Footprint(None, {"a": "b"}).read() is None
