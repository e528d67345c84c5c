"""Findings are ranked by what they cost who uses the service, and a cause stands before its symptom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perftui.findings.causes import causes_first
from perftui.findings.cost import beyond, under_way, waited_for_loops
from perftui.findings.find import find
from perftui.model.happenings import Finding, SloVerdict
from perftui.model.outside_summary import PoolSummary
from tests.perftui.findings.pictures import a_block, a_route, a_worker, only, picture, queued
from tests.support.frames import sketch


def test_what_requests_waited_before_the_app_is_what_holding_the_loop_costs() -> None:
    """With what they waited between their steps, and the time that it was held itself."""
    worker = a_worker(latencies_ms=[400.0] * 600, queued=queued([300.0] * 600, 600))
    route = a_route("GET /", [400.0] * 600, loop_wait_ms_per_request=20.0)
    shop = picture(routes=[route], workers=[worker], incidents=[a_block(500.0, ago_s=n) for n in (5, 15, 25)])
    on = {worker.identity.id}
    assert waited_for_loops(shop, on) == pytest.approx(10.0 * 300.0 + 600 * 20.0 / 60.0, rel=0.01)
    held = only("loop-blocked", shop)
    assert held.impact == pytest.approx(waited_for_loops(shop, on) + 1500.0 / 60.0, rel=0.01)
    assert waited_for_loops(picture(), on) == 0.0


def test_a_missed_target_costs_what_requests_took_beyond_it() -> None:
    """Not how many there were: those that kept it waited for nothing."""
    assert beyond(sketch([100.0] * 90 + [700.0] * 10), 200.0) == pytest.approx(5000.0, rel=0.01)
    verdict = SloVerdict("p95<200ms", "GET /", 700.0, False, 200.0, 1000)
    shop = picture(routes=[a_route("GET /", [100.0] * 900 + [700.0] * 100)], slo=[verdict])
    assert only("slo-breach", shop).impact == pytest.approx(100 * 500.0 / 60.0, rel=0.01)


def test_a_pause_costs_as_much_as_there_are_requests_under_way() -> None:
    """Ten a second of 400 ms each are four at a time; an idle worker has one to lose."""
    assert under_way(a_worker(latencies_ms=[400.0] * 600)) == pytest.approx(4.0, rel=0.01)
    assert under_way(a_worker(latencies_ms=())) == 1.0


def test_a_pool_costs_what_was_waited_for_it() -> None:
    """By the routes that did, time-outs as a second each."""
    pool = PoolSummary("main", "QueuePool", 5, 5, 0, 5, 900.0, 6, checkouts=1000, waits=1000)
    route = a_route("GET /", [100.0] * 600, pool_wait_ms_per_request=30.0)
    finding = only("pool-exhausted", picture(routes=[route], pools=[pool]))
    assert finding.impact == pytest.approx((600 * 30.0 + 6000.0) / 60.0)


def test_of_two_findings_of_one_severity_the_costlier_comes_first() -> None:
    """Half of a busy route's requests failing is worse than all of a quiet one's."""
    busy, quiet = a_route("GET /busy", errors=50), a_route("GET /quiet", [20.0] * 30, errors=30)
    assert [each.subject for each in find(picture(routes=[quiet, busy]))] == ["GET /busy", "GET /quiet"]


def test_what_a_missed_target_begins_with_comes_before_it() -> None:
    """However severe the target is, and without another change of the order."""
    cause = Finding("n-plus-one", "medium", "GET /orders", "", {}, "")
    breach = Finding(
        "slo-breach", "high", "all", "", {"cause": {"kind": "n-plus-one", "subject": "GET /orders"}}, ""
    )
    other = Finding("gc-pause", "high", "worker 1", "", {}, "")
    last = Finding("low-hit-ratio", "low", "users", "", {}, "")
    assert causes_first([other, breach, cause, last]) == [other, cause, breach, last]
    assert causes_first([cause, breach]) == [cause, breach]
    unknown = replace(breach, evidence={})
    assert causes_first([unknown, cause]) == [unknown, cause]
