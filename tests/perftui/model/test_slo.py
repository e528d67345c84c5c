"""Promises held against a window."""

from __future__ import annotations

import pytest

from perftui.check.grammar import parse_objective
from perftui.model.happenings import SloVerdict
from perftui.model.summarize import summarize
from perftui_agent.wire.identity import SloTarget
from perftui_agent.wire.requests import RouteFrame
from tests.support.frames import T, dashboard_of, frame, joined, received, route, worker

A = worker(1)


def judged(promises: list[SloTarget], *routes: RouteFrame) -> dict[tuple[str, str], SloVerdict]:
    """Return the verdicts on a second of these routes, by scope and target."""
    sent = received(A, frame(1, T + 1, routes))
    summary = summarize(dashboard_of(joined(A, slo=promises), sent), T + 1.5)
    return {(each.scope, each.slo): each for each in summary.slo}


def test_targets_are_judged_over_the_window() -> None:
    """Each promise has a value and a verdict; one for a route without requests has neither."""
    promises = [
        SloTarget(p95_ms=20, error_rate=0.01, rps=50),
        SloTarget(route="GET /slow", p99_ms=99.5),
        SloTarget(route="GET /never", p95_ms=1),
    ]
    verdicts = judged(promises, route("GET /", [10.0] * 99), route("GET /slow", [100.0], server_error=1))
    assert {key: (each.value, each.met) for key, each in verdicts.items() if key[1] != "p95<20ms"} == {
        ("all", "errors<1%"): (0.01, False),
        ("all", "rps>=50"): (100.0, True),
        ("GET /slow", "p99<99.5ms"): (100.0, False),
        ("GET /never", "p95<1ms"): (None, None),
    }
    assert verdicts["all", "p95<20ms"].met


def test_a_route_with_a_target_of_its_own_is_exempt_from_everyones() -> None:
    """Reports may take 700 ms without the service missing its 200; they hide nobody else's 300 either."""
    promises = [SloTarget(p95_ms=200), SloTarget(route="GET /reports", p95_ms=800)]
    reports = route("GET /reports", [700.0] * 50)
    quick = judged(promises, route("GET /", [10.0] * 50), reports)
    assert {scope: each.met for (scope, _), each in quick.items()} == {"all": True, "GET /reports": True}
    assert quick["all", "p95<200ms"].requests == 50
    slow = judged(promises, route("GET /", [300.0] * 40), reports)["all", "p95<200ms"]
    assert (slow.met, slow.requests) == (False, 40)
    assert slow.value is not None
    assert abs(slow.value - 300.0) < 3.0


def test_the_exemption_is_for_the_same_figure_alone() -> None:
    """A p95 of its own doesn't take a route out of everyone's p99, errors and requests a second."""
    promises = [SloTarget(p95_ms=200, p99_ms=500, error_rate=0.01, rps=100)]
    own = SloTarget(route="GET /reports", p95_ms=800)
    routes = (route("GET /", [10.0] * 50), route("GET /reports", [700.0] * 50, success=45, server_error=5))
    assert {
        slo: (each.met, each.requests)
        for (scope, slo), each in judged([*promises, own], *routes).items()
        if scope == "all"
    } == {
        "p95<200ms": (True, 50),
        "p99<500ms": (False, 100),
        "errors<1%": (False, 100),
        "rps>=100": (True, 100),
    }


def test_a_route_that_may_fail_more_often_leaves_everyones_errors_alone() -> None:
    """Its failures count against its own share."""
    promises = [SloTarget(error_rate=0.01), SloTarget(route="GET /flaky", error_rate=0.2)]
    flaky = route("GET /flaky", [10.0] * 50, success=45, server_error=5)
    verdicts = judged(promises, route("GET /", [10.0] * 50), flaky)
    assert verdicts["all", "errors<1%"].value == 0.0
    assert verdicts["GET /flaky", "errors<20%"].value == 0.1


def test_where_every_route_has_its_own_there_is_nothing_to_judge_for_all() -> None:
    """Neither met nor missed."""
    promises = [SloTarget(p95_ms=200), SloTarget(route="GET /reports", p95_ms=800)]
    verdict = judged(promises, route("GET /reports", [700.0] * 50))["all", "p95<200ms"]
    assert (verdict.value, verdict.met, verdict.requests) == (None, None, 0)


def test_who_waits_on_purpose_is_in_nobodys_latency_but_its_own() -> None:
    """Thirty pollers of 25 s beside 20 fast requests a second: everyone's p95 is that of the fast."""
    polls = route("GET /poll", [25_000.0] * 30)
    polls.long_poll = "seen"
    fast, slow = route("GET /", [10.0] * 20), route("GET /slow", [700.0] * 20)
    promises = [SloTarget(p95_ms=200), SloTarget(route="GET /slow", p95_ms=800)]
    verdicts = judged(promises[:1], polls, fast)
    assert verdicts["all", "p95<200ms"].met
    verdicts = judged(promises, polls, fast, slow)
    assert verdicts["all", "p95<200ms"].met
    verdicts = judged([SloTarget(route="GET /poll", p95_ms=200)], polls, fast)
    assert verdicts["GET /poll", "p95<200ms"].met is False


def test_that_there_are_no_errors_can_be_promised_and_kept() -> None:
    """Nothing is below none: without an error it is met, with one it is not."""
    promised = [SloTarget(error_rate=0)]
    assert judged(promised, route("GET /", [10.0] * 50))["all", "errors=0"].met
    failed = judged(promised, route("GET /", [10.0] * 50, success=49, server_error=1))
    assert failed["all", "errors=0"].met is False


def test_what_is_promised_can_be_read_by_a_check() -> None:
    """Large and small bounds are written without an exponent."""
    promises = [SloTarget(p95_ms=2_000_000.0, error_rate=1e-7, rps=0.00001)]
    verdicts = judged(promises, route("GET /", [10.0] * 50))
    assert {slo for _, slo in verdicts} == {"p95<2000000ms", "errors<0.00001%", "rps>=0.00001"}
    bounds = [parse_objective(each.slo).bound for each in verdicts.values()]
    assert bounds == pytest.approx([2_000_000.0, 1e-7, 0.00001])
