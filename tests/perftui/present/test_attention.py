"""What asks to be looked at."""

from __future__ import annotations

from dataclasses import replace

from perftui.findings.find import find
from perftui.model.summary import Severity
from perftui.present.attention import Notice, attention_lines, notices
from perftui.present.cells import text_of, width_of
from tests.support.fake_feed import NOON, FakeFeed


def noticed(*troubles: str) -> list[Notice]:
    summary = FakeFeed(troubles=troubles).summary(60.0)
    return notices(summary, find(summary))


def notice(severity: Severity, since: float | None = None) -> Notice:
    return Notice(severity, "slow-query", "SELECT 1", "p95 480ms", since)


def test_a_healthy_service_has_nothing_to_say() -> None:
    """No trouble, no line: a false alarm is a defect."""
    assert noticed() == []
    assert text_of(attention_lines([], NOON, 80, 3)[0]) == " · nothing stands out"


def test_a_blocked_worker_tells_where_and_for_how_long() -> None:
    """The first line names the code, the worker, the time and the request."""
    first = noticed("gone", "blocked")[0]
    assert (first.severity, first.kind) == ("high", "blocked")
    assert first.subject == "app/reports.py:42 build_report"
    assert first.detail == "holds worker 4121 for 1.9 s · GET /reports"


def test_a_block_that_goes_on_is_told_once() -> None:
    """The worker that is in it speaks for it, not the finding as well."""
    assert [each.kind for each in noticed("blocked")].count("loop-blocked") == 0


def test_the_worst_comes_first() -> None:
    """A worker in trouble stands above one that is gone, and above errors."""
    found = noticed("errors", "gone", "silent", "slo")
    ranks = [{"high": 0, "medium": 1, "low": 2}[each.severity] for each in found]
    assert ranks == sorted(ranks)
    assert {"silent", "worker-lost", "error-burst", "slo-breach"} <= {each.kind for each in found}


def test_an_agent_that_gives_up_details_says_which() -> None:
    """What is missing from the picture, and on which worker, is told, and it is no more than a note."""
    healthy = FakeFeed().summary(60.0)
    first, *others = healthy.workers
    degraded = replace(first, agent_degraded="no stories of slow requests")
    summary = replace(healthy, workers=(degraded, *others))
    detail = "the agent saves the app's CPU: no stories of slow requests"
    assert notices(summary, find(summary)) == [Notice("low", "degraded", f"worker {first.pid}", detail)]


def test_what_has_no_room_is_counted() -> None:
    """The last line tells how many notices there are besides, and no line is wider than the screen."""
    lines = attention_lines([notice("high")] * 5, NOON, 60, 2)
    assert len(lines) == 2
    assert "+ 3 more" in text_of(lines[-1])
    assert all(width_of(line) <= 60 for line in lines)


def test_a_long_statement_leaves_room_for_its_figures() -> None:
    """Of a statement the tables are told and the columns left out; what is said of it stays in sight."""
    columns = ", ".join(f"items.column_{number}" for number in range(30))
    long = Notice("high", "slow-query", f"SELECT {columns} FROM items WHERE id = ?", "p95 480 ms, 12×")
    text = text_of(attention_lines([long], NOON, 80, 1)[0])
    assert "SELECT … FROM items WHERE" in text
    assert "p95 480 ms" in text


def test_where_there_is_room_it_is_told_for_how_long() -> None:
    """A wide line ends with how long the finding has stood."""
    assert text_of(attention_lines([notice("high", NOON - 38)], NOON, 120, 1)[0]).endswith(" 38 s ")
