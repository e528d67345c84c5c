"""Responses that are too big, cost too much to build, fail, or never come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as replace_struct

from perftui.findings.find import find
from perftui.model.happenings import FlightRow, IncidentRow
from perftui.model.outside_summary import PoolSummary
from perftui.model.summary import Summary
from perftui_agent.wire.requests import ExceptionCount, InFlight
from tests.perftui.findings.pictures import a_block, a_route, a_worker, found, only, picture
from tests.support.frames import T

LARGE, SERIALIZE, ERRORS, STUCK = "large-payload", "slow-serialization", "error-burst", "stuck-request"


def sending(p50: int, p95: int, bodies: int = 40, **more: Any) -> Summary:
    """Return a picture of a route with bodies of this size."""
    route = a_route("GET /catalog", [90.0] * bodies, bytes_p50=p50, bytes_p95=p95, bodies=bodies, **more)
    return picture(routes=[route])


def test_megabytes_of_json_are_found() -> None:
    """How big, whether compressed, how often."""
    finding = only(LARGE, sending(2_300_000, 2_400_000))
    assert finding.subject == finding.route == "GET /catalog"
    assert finding.sentence == "bodies of 2.3 MB (p50), 2.4 MB (p95), none compressed, 0.7 a second"
    assert finding.severity == "medium"


def test_pages_are_healthy() -> None:
    """Eighty kilobytes are a page."""
    assert not find(sending(38_000, 91_000))


def test_one_big_body_among_many_is_healthy() -> None:
    """A p95 that is big needs twenty bodies."""
    assert not find(sending(20_000, 1_500_000, bodies=10))
    assert found(LARGE, sending(20_000, 1_500_000, bodies=30))


def test_a_stream_may_be_large() -> None:
    """An export is meant to be."""
    assert not find(sending(9_000_000, 9_000_000, streaming=True))


def test_files_may_be_large() -> None:
    """A picture or an archive is as big as it is; among much JSON they excuse nothing."""
    assert not find(sending(9_000_000, 9_000_000, files=40))
    assert found(LARGE, sending(9_000_000, 9_000_000, files=10))


def test_a_compressed_body_counts_for_what_it_is() -> None:
    """600 kB compressed are some megabytes of JSON that somebody took the trouble to compress."""
    assert not found(LARGE, sending(600_000, 700_000, compressed=40))
    finding = only(LARGE, sending(3_000_000, 3_000_000, compressed=30))
    assert "75 % of them compressed" in finding.sentence


def test_two_bodies_are_not_enough() -> None:
    """Neither would be a habit."""
    assert not find(sending(5_000_000, 5_000_000, bodies=2))


def building(serialize_ms: float, latency_ms: float = 120.0, requests: int = 40) -> Summary:
    """Return a picture of a route that takes so long to build its responses."""
    route = a_route("GET /catalog", [latency_ms] * requests, serialize_ms_per_request=serialize_ms)
    return picture(routes=[route])


def test_a_response_that_costs_more_than_the_work_is_found() -> None:
    """How much of how much."""
    finding = only(SERIALIZE, building(90.0))
    assert finding.sentence == "building the response takes 90 ms of 120 ms per request (75 %)"
    assert finding.severity == "medium"


@pytest.mark.parametrize(
    "healthy", [building(6.0, 8.0), building(30.0, 400.0), building(90.0, requests=3), building(0.0)]
)
def test_building_a_response_is_part_of_the_work(healthy: Summary) -> None:
    """Little of it, or little of the whole, or too few to tell."""
    assert not find(healthy)


def test_a_serialization_finding_stays_until_clearly_below() -> None:
    """At 45 % it stays if it stands."""
    assert not found(SERIALIZE, building(54.0))
    assert found(SERIALIZE, building(54.0), {"GET /catalog": "medium"})


def built_on_the_loop(ms: float) -> IncidentRow:
    """Return a block in whose midst FastAPI was making a response."""
    where = "pydantic/type_adapter.py:410 TypeAdapter.validate_python"
    stack = (where, "fastapi/routing.py:345 serialize_response", "fastapi/routing.py:784 app")
    return a_block(ms, where, route="GET /catalog", stack=stack)


def test_a_loop_held_by_building_is_told_with_the_route_that_builds() -> None:
    """One trouble, told once: the library's line says nothing that one could mend."""
    held = replace(building(90.0), incidents=(built_on_the_loop(1100.0), built_on_the_loop(130.0)))
    (finding,) = find(held)
    assert (finding.kind, finding.subject, finding.severity) == (SERIALIZE, "GET /catalog", "high")
    assert finding.sentence.endswith("(75 %), and held the loop up to 1.1 s, 2× in 1 m")
    assert finding.workers == (held.incidents[0].worker,)


def test_a_loop_that_other_code_holds_as_well_is_told_beside_it() -> None:
    """The same library checks what comes in, too: that is not the building."""
    reads = a_block(1200.0, "pydantic/type_adapter.py:410 TypeAdapter.validate_python", route="GET /catalog")
    kinds = {each.kind for each in find(replace(building(90.0), incidents=(built_on_the_loop(200.0), reads)))}
    assert kinds == {SERIALIZE, "loop-blocked"}
    assert find(replace(building(2.0), incidents=(built_on_the_loop(1200.0),)))[0].kind == "loop-blocked"


def failing(errors: int, requests: int = 200, exceptions: int = 0) -> Summary:
    """Return a picture of a route that fails so often, and how many of those were exceptions."""
    known = (ExceptionCount(type="CardDeclinedError", place="app/pay.py:88 charge", count=exceptions),)
    route = a_route("POST /pay", [40.0] * requests, errors=errors, exceptions=known if exceptions else ())
    return picture(routes=[route])


def test_failures_are_found_with_type_and_place() -> None:
    """How many of how many, and what was raised where."""
    finding = only(ERRORS, failing(22, exceptions=20))
    assert finding.subject == "POST /pay"
    assert finding.sentence == (
        "22 of 200 requests failed (11 %) in 1 m: 20× CardDeclinedError at app/pay.py:88 charge"
    )
    assert finding.severity == "high"
    assert finding.advice.startswith("Open app/pay.py:88 charge")
    assert finding.evidence["exceptions"] == [
        {"type": "CardDeclinedError", "place": "app/pay.py:88 charge", "count": 20}
    ]


def test_failures_behind_good_answers_are_found_too() -> None:
    """Of background tasks, of what a dependency does at its end: no status tells of them."""
    late = ExceptionCount(type="SMTPError", place="app/mail.py:12 send", count=30, answered=True)
    route = a_route("POST /pay", [40.0] * 200, exceptions=(late,))
    finding = only(ERRORS, picture(routes=[route]))
    assert finding.sentence == (
        "30 of 200 requests failed without a 5xx (15 %) in 1 m: 30× SMTPError at app/mail.py:12 send"
    )
    assert finding.severity == "high"
    assert finding.evidence["error_rate"] == 0.0
    both = a_route("POST /pay", [40.0] * 200, errors=10, exceptions=(late,))
    assert only(ERRORS, picture(routes=[both])).sentence.startswith(
        "40 of 200 requests failed, 30 without a 5xx, (20 %)"
    )
    few = ExceptionCount(type="SMTPError", place="app/mail.py:12 send", count=2, answered=True)
    assert not find(picture(routes=[a_route("POST /pay", [40.0] * 200, exceptions=(few,))]))


def test_failures_without_an_exception_are_found_too() -> None:
    """A route can answer 503 by itself."""
    assert "No exception left the app" in only(ERRORS, failing(10)).advice


def test_failures_of_an_empty_pool_point_to_the_pool() -> None:
    """Nine routes that time out have one cause, which comes first."""
    timed_out = ExceptionCount(type="TimeoutError", place="app/crud.py:28 search", count=20)
    route = a_route("GET /search", [5000.0] * 200, errors=20, exceptions=(timed_out,))
    pool = PoolSummary("main", "QueuePool", 5, 5, 0, 5, wait_p95_ms=5000.0, timeouts=20)
    finding = only(ERRORS, picture(routes=[route], pools=(pool,)))
    assert (finding.severity, finding.pool) == ("medium", "main")
    assert finding.advice.startswith("Begin with the pool main")
    assert only(ERRORS, picture(routes=[route])).severity == "high"


def test_a_failure_now_and_then_is_healthy() -> None:
    """Two of twenty, three of a thousand."""
    assert not find(failing(2, 20))
    assert not find(failing(3, 1000))


def test_a_route_that_hardly_ever_works_is_found_early() -> None:
    """Four of five fail: no need to wait for twenty requests."""
    assert only(ERRORS, failing(4, 5)).severity == "high"
    assert not found(ERRORS, failing(3, 10))


def test_an_error_finding_stays_until_clearly_below() -> None:
    """At 0.7 % it stays if it stands."""
    assert not found(ERRORS, failing(7, 1000))
    assert found(ERRORS, failing(7, 1000), {"POST /pay": "medium"})
    assert not found(ERRORS, failing(4, 1000), {"POST /pay": "medium"})


def in_flight(*ages_s: float, latency_ms: float = 20.0, known: int = 100, **worker: Any) -> Summary:
    """Return a picture of requests of these ages on a route with this usual latency."""
    serving = a_worker(**worker)
    rows = tuple(
        FlightRow(
            serving.identity.id,
            serving.pid,
            InFlight(
                route="GET /pay",
                method="GET",
                path="/pay",
                age_ns=round(age_s * 1e9),
                waiting_at="app/bank.py:12 ask",
            ),
        )
        for age_s in ages_s
    )
    routes = [a_route("GET /pay", [latency_ms] * known)] if known else []
    return picture(in_flight=rows, workers=(serving,), routes=routes)


def test_requests_in_flight_far_beyond_p99_are_found() -> None:
    """How many, how long, on which worker, and what they wait at."""
    finding = only(STUCK, in_flight(42.0, 12.0))
    assert finding.subject == finding.route == "GET /pay"
    assert finding.sentence == (
        "2 requests in flight for up to 42.0 s, where p99 is 20 ms, on worker 4121, at app/bank.py:12 ask"
    )
    assert finding.severity == "medium"
    assert finding.since == T - 42.0
    assert finding.worker == "web-1/4121/" + finding.worker.rsplit("/", 1)[1] if finding.worker else False


def test_a_slow_request_is_not_stuck() -> None:
    """Four seconds where p99 is 20 ms are slow; twelve where it is 4 s are its way."""
    assert not find(in_flight(4.0))
    assert not found(STUCK, in_flight(12.0, latency_ms=4000.0))


def test_without_a_p99_half_a_minute_must_pass() -> None:
    """Of a route without ended requests nothing is known."""
    assert not find(in_flight(20.0, known=0))
    assert found(STUCK, in_flight(31.0, known=0))


def test_what_a_blocked_worker_has_in_flight_waits_for_its_loop() -> None:
    """That is a finding of its own."""
    assert not found(STUCK, in_flight(42.0, state="blocked"))


def test_a_long_download_is_not_stuck() -> None:
    """Streams last as long as clients read."""
    summary = in_flight(300.0, known=0)
    route = a_route("GET /pay", [20.0] * 30, streaming=True)
    assert not found(STUCK, picture(in_flight=summary.in_flight, routes=[route]))


def test_the_time_a_held_loop_took_from_a_request_is_not_its_own() -> None:
    """Of its six seconds the loop was held for four: it could not go on, whatever it waits for."""
    waiting = in_flight(6.0, latency_ms=20.0)
    assert found(STUCK, waiting)
    assert not found(STUCK, replace(waiting, incidents=(a_block(4000.0, ago_s=5.0),)))
    assert found(STUCK, replace(waiting, incidents=(a_block(4000.0, ago_s=50.0),)))


def test_who_waits_for_a_connection_is_not_stuck_beside_the_empty_pool() -> None:
    """The pool is the finding; whoever is older than its longest wait holds a connection, and is told of."""
    pool = PoolSummary("main", "QueuePool", 2, 2, 0, 2, None, 0, waiting=9, longest_wait_ms=12_000.0)
    assert not found(STUCK, replace(in_flight(12.5, 8.0), pools=(pool,)))
    assert only(STUCK, replace(in_flight(40.0, 8.0), pools=(pool,))).evidence["requests"] == 1
    brief = replace(pool, longest_wait_ms=20.0)
    assert found(STUCK, replace(in_flight(12.5), pools=(brief,)))


def test_a_route_without_statements_does_not_wait_for_the_pool() -> None:
    """An endpoint that never asks the database is stuck on something else."""
    pool = PoolSummary("main", "QueuePool", 2, 2, 0, 2, None, 0, waiting=9, longest_wait_ms=12_000.0)
    route = a_route("GET /pay", [20.0] * 100, sql_per_request=0.0)
    assert found(STUCK, replace(in_flight(12.5), pools=(pool,), routes=(route,)))


def test_a_long_poll_is_not_stuck_before_its_time_is_over() -> None:
    """A chat that mostly answers at once, and then waits for news: up to a minute, as the app has set."""
    summary = in_flight(42.0)
    (row,) = summary.in_flight
    waits = replace_struct(row.request, on_purpose=True, gives_up_ns=60_000_000_000)

    def aged(age_s: float) -> Summary:
        request = replace_struct(waits, age_ns=round(age_s * 1e9))
        return replace(summary, in_flight=(replace(row, request=request),))

    assert not found(STUCK, aged(42.0))
    assert not found(STUCK, aged(119.0))
    assert found(STUCK, aged(121.0))
