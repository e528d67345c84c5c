"""What asks to be looked at."""

from __future__ import annotations

from perftui.present.attention import attention_lines, notices
from perftui.present.cells import text_of, width_of
from tests.support.fake_feed import FakeFeed


def test_a_healthy_service_has_nothing_to_say() -> None:
    """No trouble, no line: a false alarm is a defect."""
    summary = FakeFeed().summary(60.0)
    assert notices(summary) == []
    assert text_of(attention_lines([], 80, 3)[0]) == " · nothing stands out"


def test_a_blocked_worker_tells_where_and_for_how_long() -> None:
    """The first line names the code, the worker, the time and the request."""
    first = notices(FakeFeed(troubles=("gone", "blocked")).summary(60.0))[0]
    assert (first.severity, first.kind, first.subject) == (
        "high",
        "blocked",
        "app/reports.py:42 build_report",
    )
    assert first.detail == "holds worker 4121 for 1.9 s · GET /reports"


def test_the_worst_comes_first() -> None:
    """A worker in trouble stands above one that is gone, and above exceptions."""
    found = notices(FakeFeed(troubles=("errors", "gone", "silent", "slo")).summary(60.0))
    ranks = [{"high": 0, "medium": 1, "low": 2}[notice.severity] for notice in found]
    assert sorted(ranks) == ranks
    assert {"gone", "exception", "slo-breach"} <= {notice.kind for notice in found}


def test_incidents_of_one_place_are_one_line() -> None:
    """Three blocks by the same code are one notice with a count."""
    found = notices(FakeFeed(troubles=("blocked",)).summary(60.0))
    assert [notice.detail for notice in found if notice.kind == "loop-blocked"] == [
        "3×, 1.40s at most · GET /reports"
    ]


def test_what_has_no_room_is_counted() -> None:
    """The last line tells how many notices there are besides, and no line is wider than the screen."""
    found = notices(FakeFeed(troubles=("errors", "gone", "blocked", "slo")).summary(60.0))
    lines = attention_lines(found, 60, 2)
    assert len(lines) == 2
    assert f"+ {len(found) - 2} more" in text_of(lines[-1])
    assert all(width_of(line) <= 60 for line in lines)
