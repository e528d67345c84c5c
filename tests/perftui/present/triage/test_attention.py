"""What asks to be looked at."""

from __future__ import annotations

from dataclasses import replace

from perftui.findings.find import find
from perftui.model.happenings import Finding, Severity
from perftui.present.text.cells import text_of
from perftui.present.triage.attention import Notice, attention_rows, notices
from tests.support.fake_feed import FakeFeed
from tests.support.fake_figures import NOON


def noticed(*troubles: str) -> list[Notice]:
    summary = FakeFeed(troubles=troubles).summary(60.0)
    return notices(summary, find(summary))


def notice(severity: Severity, since: float | None = None) -> Notice:
    return Notice(severity, "slow-query", "SELECT 1", "p95 480ms", since)


def test_a_healthy_service_has_nothing_to_say() -> None:
    """No trouble, no line: a false alarm is a defect."""
    assert noticed() == []
    assert text_of(attention_rows([], NOON, 80)[0].line) == " · nothing stands out"


def test_a_blocked_worker_tells_where_and_for_how_long() -> None:
    """The first line names the code, the worker, the time and the request."""
    first = noticed("gone", "blocked")[0]
    assert (first.severity, first.kind) == ("high", "blocked")
    assert first.subject == "app/reports.py:42 build_report"
    assert first.detail == "holds worker 4121 for 1.9 s · GET /reports"


def test_a_block_that_goes_on_is_told_once() -> None:
    """The worker that is in it speaks for it, not the finding as well."""
    assert [each.kind for each in noticed("blocked")].count("loop-blocked") == 0


def test_what_is_so_now_comes_first_and_causes_before_missed_targets() -> None:
    """A worker in trouble stands above all findings; a missed target below whatever may cause it."""
    kinds = [each.kind for each in noticed("errors", "gone", "silent", "slo")]
    assert kinds[0] == "silent"
    assert kinds.index("error-burst") < kinds.index("slo-breach")
    assert {"silent", "worker-lost", "error-burst", "slo-breach"} <= set(kinds)


def test_the_worst_of_each_kind_comes_before_the_second_of_any() -> None:
    """Three slow statements don't push the one held loop out of sight."""

    def finding(kind: str, impact: float) -> Finding:
        return Finding(kind, "high", f"{kind} {impact}", "", {}, "", impact)

    slow = [finding("slow-query", 9.0 - number) for number in range(3)]
    found = [*slow, finding("loop-blocked", 1.0), finding("slo-breach", 20.0)]
    told = [each.subject for each in notices(FakeFeed().summary(60.0), found)]
    assert told[:3] == ["loop-blocked 1.0", "slow-query 9.0", "slow-query 8.0"]
    assert told[-1] == "slo-breach 20.0"


def test_an_agent_that_gives_up_details_says_which() -> None:
    """What is missing from the picture, and on which worker, is told, and it is no more than a note."""
    healthy = FakeFeed().summary(60.0)
    first, *others = healthy.workers
    degraded = replace(first, agent_degraded="no stories of slow requests")
    summary = replace(healthy, workers=(degraded, *others))
    (told,) = notices(summary, find(summary))
    assert (told.severity, told.kind, told.subject) == ("low", "degraded", f"worker {first.pid}")
    assert told.detail == "the agent saves the app's CPU: no stories of slow requests"


def test_a_long_statement_leaves_room_for_its_figures() -> None:
    """Of a statement the tables are told and the columns left out; what is said of it stays in sight."""
    columns = ", ".join(f"items.column_{number}" for number in range(30))
    long = Notice("high", "slow-query", f"SELECT {columns} FROM items WHERE id = ?", "p95 480 ms, 12×")
    text = text_of(attention_rows([long], NOON, 80)[0].line)
    assert "SELECT … FROM items WHERE" in text
    assert "p95 480 ms" in text


def test_where_there_is_room_it_is_told_for_how_long() -> None:
    """A wide line ends with how long the finding has stood."""
    assert text_of(attention_rows([notice("high", NOON - 38)], NOON, 120)[0].line).endswith(" 38 s ")


def test_waits_before_the_app_that_nobody_sees_are_told_where_the_loop_is_late() -> None:
    """While the loop turns, nothing waits before the app, and that nobody can ask is no news."""
    summary = FakeFeed().summary(60.0)
    blind = [
        replace(each, probes={"queue": "off: a Unix socket has no such clock"}) for each in summary.workers
    ]
    assert notices(replace(summary, workers=tuple(blind))) == []
    blind[0] = replace(blind[0], loop_lag_p99_ms=310.0)
    (told,) = notices(replace(summary, workers=tuple(blind)))
    assert (told.severity, told.kind, told.subject) == ("low", "queue-unknown", "worker 4121")
    assert told.detail == (
        "its loop is 310ms late (p99), and waits before the app are not in its latencies: "
        "off: a Unix socket has no such clock"
    )
