"""Findings over a stretch of time."""

from __future__ import annotations

from perftui.findings.over_time import stood
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui_agent.wire.incidents import Incident
from tests.support.frames import T, dashboard_of, frame, joined, received, route, worker

HELD = "app/reports.py:42 build"


def picture(at: float, held_ms: float) -> Summary:
    """Return ten seconds of a worker, whose loop was held for so long in the last of them."""
    sent = frame(1, at, [route("GET /", [5.0] * 50)])
    if held_ms:
        sent.incidents = [
            Incident(kind="loop-blocked", at=round((at - 5) * 1e9), ns=round(held_ms * 1e6), where=HELD)
        ]
    return summarize(dashboard_of(joined(worker(1)), received(worker(1), sent)), at + 0.5, 10.0)


def test_what_is_over_is_told_with_its_time_and_as_it_was_at_its_worst() -> None:
    """An incident that ended before anybody looked is what a report is about."""
    pictures = [
        picture(T + 10.0 * step, held) for step, held in enumerate((0.0, 600.0, 2900.0, 700.0, 0.0, 0.0))
    ]
    (only,) = [each for each in stood(pictures) if each.finding.kind == "loop-blocked"]
    assert only.is_over
    assert only.since == T + 15
    assert T + 30 <= only.last <= T + 31
    assert "2.9 s" in only.finding.sentence


def test_what_stands_at_the_end_is_not_over() -> None:
    """The last picture decides."""
    (only,) = stood([picture(float(T), 0.0), picture(T + 10.0, 2000.0)])
    assert (only.finding.kind, only.is_over) == ("loop-blocked", False)


def test_a_healthy_stretch_has_none() -> None:
    """Nothing is made up."""
    assert stood([picture(T + 10.0 * step, 0.0) for step in range(6)]) == ()
