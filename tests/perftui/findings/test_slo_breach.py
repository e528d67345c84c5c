"""Targets that are missed."""

from __future__ import annotations

from perftui.findings.find import find
from perftui.model.measures import Latency, Totals
from perftui.model.route_summary import PathSummary
from perftui.model.slo import judge
from perftui.model.summary import Summary
from perftui_agent.wire.identity import SloTarget
from tests.perftui.findings.pictures import a_route, found, only, picture

KIND = "slo-breach"

OVERALL = SloTarget(p95_ms=200, error_rate=0.01)


def judged(*targets: SloTarget, window_s: float = 60.0, **routes: list[float]) -> Summary:
    """Return the picture of routes with these latencies, held against targets."""
    rows = [a_route(f"GET /{name}", latencies) for name, latencies in routes.items()]
    every = [ms for latencies in routes.values() for ms in latencies]
    p95 = sorted(every)[int(len(every) * 0.95)] if every else None
    totals = Totals(len(every), len(every) / window_s, 0, 0.0, Latency(len(every), p95_ms=p95))
    return picture(routes=rows, totals=totals, window_s=window_s, slo=judge(targets, totals, rows))


def test_a_missed_target_is_found_with_its_figures() -> None:
    """The sentence says the value, the target and how many requests were judged."""
    finding = only(KIND, judged(OVERALL, items=[840.0] * 100))
    assert finding.subject == "all"
    assert finding.severity == "high"
    assert finding.sentence == "p95 840 ms against p95<200ms, over 100 requests in 1 m"
    assert finding.evidence["missed"][0]["value"] == 840.0
    assert finding.evidence["requests"] == 100


def test_a_route_that_misses_its_own_target_can_be_opened() -> None:
    """A finding about a route says which."""
    target = SloTarget(route="GET /reports", p95_ms=800)
    finding = only(KIND, judged(target, reports=[1000.0] * 30))
    assert (finding.subject, finding.route, finding.severity) == ("GET /reports", "GET /reports", "medium")


def test_a_slow_route_within_its_own_target_is_healthy() -> None:
    """A report may take 700 ms when 800 are allowed."""
    assert not find(judged(SloTarget(route="GET /reports", p95_ms=800), reports=[700.0] * 200))


def test_a_value_without_some_routes_says_so() -> None:
    """The first line of the screen has the p95 of all: two figures of one name would disagree."""
    own = SloTarget(route="GET /reports", p95_ms=2000)
    finding = only(KIND, judged(OVERALL, own, items=[300.0] * 100, reports=[900.0] * 100))
    without = "p95 without GET /reports, by a target of its own"
    assert finding.sentence == f"p95 300 ms against p95<200ms, over 100 requests in 1 m; {without}"


def test_routes_with_a_target_of_their_own_are_not_held_against_everyones() -> None:
    """A tenth of all requests are checkouts that may take 700 ms: the others keep 200 ms."""
    own = SloTarget(route="GET /checkout", p95_ms=700)
    assert not found(KIND, judged(OVERALL, own, items=[20.0] * 180, checkout=[400.0] * 20))
    finding = only(KIND, judged(OVERALL, own, items=[300.0] * 180, checkout=[400.0] * 20))
    assert finding.subject == "all"
    assert finding.evidence["requests"] == 180


def test_too_few_requests_miss_nothing() -> None:
    """One slow request of ten is no p95."""
    assert not found(KIND, judged(OVERALL, items=[20.0] * 18 + [5000.0]))


def test_p99_needs_a_hundred_requests() -> None:
    """Of fifty, p99 is the slowest single one."""
    target = SloTarget(p99_ms=100)
    totals = Totals(50, 0.8, 0, 0.0, Latency(50, p99_ms=900.0))
    assert not found(KIND, picture(totals=totals, slo=judge([target], totals, [])))
    totals = Totals(100, 1.6, 0, 0.0, Latency(100, p99_ms=900.0))
    assert found(KIND, picture(totals=totals, slo=judge([target], totals, [])))


def test_a_target_hardly_met_again_keeps_its_finding() -> None:
    """At 198 ms of 200 it stays if it stands, says until when, and doesn't appear if it doesn't."""
    hardly = judged(OVERALL, items=[198.0] * 100)
    assert not found(KIND, hardly)
    finding = only(KIND, hardly, {"all": "high"})
    assert finding.subject == "all"
    assert finding.sentence == "p95 198 ms within p95<200ms, stands until <190 ms, over 100 requests in 1 m"
    assert finding.evidence["missed"][0]["met"] is True
    assert not found(KIND, judged(OVERALL, items=[180.0] * 100), {"all": "high"})


def test_beside_a_target_that_is_missed_one_that_is_hardly_met_is_not_told() -> None:
    """It is none of what is wrong now."""
    rows = [a_route("GET /pay", [198.0] * 100, errors=5)]
    target = SloTarget(route="GET /pay", p95_ms=200, error_rate=0.01)
    summary = picture(routes=rows, slo=judge([target], Totals(), rows))
    finding = only(KIND, summary, {"GET /pay": "medium"})
    assert finding.sentence == "5.0 % errors against errors<1%, over 100 requests in 1 m"


def test_an_error_rate_that_is_hardly_met_says_until_when() -> None:
    """In percent, as the target."""
    rows = [a_route("GET /pay", [5.0] * 1000, errors=49)]
    target = SloTarget(route="GET /pay", error_rate=0.05)
    summary = picture(routes=rows, slo=judge([target], Totals(), rows))
    finding = only(KIND, summary, {"GET /pay": "medium"})
    assert finding.sentence.startswith("4.9 % errors within errors<5%, stands until <4.75 %, over ")


def test_a_service_that_nobody_calls_misses_no_rate() -> None:
    """Without clients, requests per second say nothing."""
    assert not found(KIND, judged(SloTarget(rps=50), items=[5.0] * 3))


def test_a_missed_rate_alone_is_low() -> None:
    """Requests that nobody sends can't be served; and ten seconds must have been seen."""
    assert only(KIND, judged(SloTarget(rps=50), items=[5.0] * 60)).severity == "low"
    assert not found(KIND, judged(SloTarget(rps=50), window_s=5.0, items=[5.0] * 60))


def test_targets_missed_by_one_route_are_one_finding() -> None:
    """The one that is furthest off comes first."""
    rows = [a_route("GET /pay", [900.0] * 100, errors=2)]
    totals = Totals()
    target = SloTarget(route="GET /pay", p95_ms=600, error_rate=0.001)
    finding = only(KIND, picture(routes=rows, slo=judge([target], totals, rows)))
    assert finding.sentence.startswith("2.0 % errors against errors<0.1%, p95 900 ms against p95<600ms")
    assert finding.severity == "high"


def test_a_catch_all_that_misses_its_target_names_the_path_that_weighs_most() -> None:
    """In its evidence and its advice: the route alone says nothing of where to look."""
    target = SloTarget(route="GET /{path}", p95_ms=200)
    paths = (
        PathSummary("/health", 90, 0, Latency(90, p95_ms=2.0), 180.0),
        PathSummary("/api/{…}/runs", 10, 0, Latency(10, p95_ms=900.0), 9_000.0),
    )
    rows = [a_route("GET /{path}", [2.0] * 90 + [900.0] * 10, paths=paths)]
    finding = only(KIND, picture(routes=rows, slo=judge((target,), Totals(), rows)))
    assert finding.evidence["paths"][0] == {
        "path": "/api/{…}/runs",
        "requests": 10,
        "errors": 0,
        "p95_ms": 900.0,
    }
    assert "/api/{…}/runs takes most of its time" in finding.advice
