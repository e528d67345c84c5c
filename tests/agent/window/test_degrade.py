"""Under load the agent gives up details before it costs the app too much, and says so."""

from __future__ import annotations

import time

import pytest

from perftui_agent.records import SpanRecord
from perftui_agent.window.degrade import (
    BETTER_AFTER,
    FULL,
    MOST_PATIENCE,
    NO_PARTS,
    NO_STORIES,
    SELDOM,
    SPANS_S,
    TOLD,
    WORSE_AFTER,
    Degradation,
    next_level,
)
from perftui_agent.window.window import Window
from tests.support.requests import begin, end


@pytest.mark.parametrize(
    ("level", "percents", "then"),
    [
        (FULL, [0.3] * 100, FULL),
        (FULL, [1.4] * 100, FULL),
        (FULL, [1.6] * 4, FULL),
        (FULL, [1.6] * 5, NO_STORIES),
        (FULL, [40.0, 40.0, 0.3, 0.3, 0.3], FULL),
        (FULL, [0.3] * 50 + [1.6, 0.3, 1.6, 0.3], FULL),
        (FULL, [0.3] * 50 + [1.6, 0.3, 1.6, 1.6, 0.3], NO_STORIES),
        (NO_STORIES, [3.0] * 5, SELDOM),
        (SELDOM, [3.0] * 5, NO_PARTS),
        (NO_PARTS, [3.0] * 50, NO_PARTS),
        (FULL, [9.0] * 2, FULL),
        (FULL, [9.0] * 3, NO_PARTS),
        (FULL, [9.0, 9.0, 3.0], FULL),
        (NO_PARTS, [0.8] * 12, SELDOM),
        (NO_STORIES, [0.8] * 11, NO_STORIES),
        (NO_STORIES, [0.8] * 12, FULL),
        (NO_STORIES, [0.8] * 11 + [1.0], NO_STORIES),
        (NO_STORIES, [1.2] * 1000, NO_STORIES),
    ],
)
def test_the_level_follows_the_load(level: int, percents: list[float], then: int) -> None:
    """Five spans of too much make it worse, twelve of little better; start-up and single spans don't."""
    assert next_level(level, percents, BETTER_AFTER) == then


def spans_until(degradation: Degradation, level: int, percent: float) -> int:
    """Return after how many spans of this load the level is reached."""
    for spans in range(1, 10_000):
        if degradation.after_span(percent) == level:
            return spans
    raise AssertionError("never")


def test_it_goes_down_and_comes_back() -> None:
    """However bad it was, with no load all details come back."""
    degradation = Degradation()
    assert spans_until(degradation, NO_PARTS, 3.0) == 3 * WORSE_AFTER
    assert spans_until(degradation, FULL, 0.2) == 3 * BETTER_AFTER


def test_it_does_not_flicker() -> None:
    """Where the details themselves are too much, they are tried again ever more seldom, but they are."""
    degradation = Degradation()
    waits = []
    for _ in range(8):
        spans_until(degradation, NO_STORIES, 2.0)
        waits.append(spans_until(degradation, FULL, 0.5))
    assert waits == [12, 24, 48, 96, 192, 384, MOST_PATIENCE, MOST_PATIENCE]


def test_a_recovery_that_lasts_is_one() -> None:
    """After a long time at full detail, the next bad time is as short as the first."""
    degradation = Degradation()
    for _ in range(2):
        spans_until(degradation, NO_STORIES, 2.0)
        spans_until(degradation, FULL, 0.5)
    for _ in range(MOST_PATIENCE):
        degradation.after_span(0.5)
    spans_until(degradation, NO_STORIES, 2.0)
    assert spans_until(degradation, FULL, 0.5) == BETTER_AFTER


def test_each_level_says_what_is_missing() -> None:
    """At full detail nothing is said; no frame is so late that the worker would be taken for silent."""
    assert [bool(told) for told in TOLD] == [False, True, True, True]
    assert max(SPANS_S) < 2.5


def window_after_a_request(level: int) -> Window:
    window = Window()
    window.open = True
    window.degrade(level)
    now = time.perf_counter_ns()
    record = begin(window, now)
    window.put(SpanRecord(record, "sql", "SELECT 1", now, now + 1_000_000))
    end(record, ns=10_000_000)
    window.fold_pending()
    return window


@pytest.mark.parametrize(
    ("level", "stories", "statements", "dropped"),
    [(FULL, 1, 1, 0), (NO_STORIES, 0, 1, 0), (SELDOM, 0, 1, 0), (NO_PARTS, 0, 0, 1)],
)
def test_requests_are_counted_at_every_level(level: int, stories: int, statements: int, dropped: int) -> None:
    """First the stories go, then the parts, which are counted as dropped; totals stay true."""
    window = window_after_a_request(level)
    frame = window.close(seq=1, ended_at_ns=1, span_ns=1)
    (route,) = frame.routes
    assert route.status.success == 1
    assert (len(frame.slowest), route.sql_count, window.records_dropped) == (stories, statements, dropped)


def test_details_come_back() -> None:
    """A window that has been degraded folds as before once it is not any more."""
    window = window_after_a_request(NO_PARTS)
    window.close(seq=1, ended_at_ns=1, span_ns=1)
    window.degrade(FULL)
    now = time.perf_counter_ns()
    record = begin(window, now)
    window.put(SpanRecord(record, "sql", "SELECT 1", now, now + 1_000_000))
    end(record, ns=10_000_000)
    window.fold_pending()
    frame = window.close(seq=2, ended_at_ns=1, span_ns=1)
    assert (len(frame.slowest), frame.routes[0].sql_count) == (1, 1)
