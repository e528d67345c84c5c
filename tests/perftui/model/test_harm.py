"""Whom it hurt."""

from __future__ import annotations

from perftui.model.harm import Harm, harm, harm_of
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui_agent.wire.identity import SloTarget
from tests.support.frames import T, dashboard_of, frame, joined, received, route, worker


def picture(*targets: SloTarget) -> Summary:
    routes = [
        route("GET /orders", [100.0] * 60 + [400.0] * 40),
        route("GET /reports", [700.0] * 9 + [900.0], success=8, server_error=2),
    ]
    sent = frame(1, T + 1, routes)
    return summarize(dashboard_of(joined(worker(1), slo=targets), received(worker(1), sent)), T + 1.5)


def test_each_route_is_held_against_its_own_target_else_the_services() -> None:
    """Forty orders over 200 ms, and one report over its own 800 ms."""
    summary = picture(SloTarget(p95_ms=200), SloTarget(route="GET /reports", p95_ms=800))
    orders, reports = summary.route("GET /orders"), summary.route("GET /reports")
    assert orders
    assert reports
    assert harm_of(orders, summary) == Harm(100, 0, 200, 100, 40)
    assert harm_of(reports, summary) == Harm(10, 2, 800, 10, 1)
    assert harm(summary) == Harm(110, 2, 200, 110, 41)
    assert harm(summary).share_over == 41 / 110


def test_without_a_target_nobody_says_what_is_too_slow() -> None:
    """None, and not zero: failures are known all the same."""
    whole = harm(picture())
    assert (whole.over, whole.share_over, whole.failed) == (None, None, 2)
