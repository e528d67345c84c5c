"""Lanes: what passes by one counts as what is handed over with its record, and nothing else passes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import perf_counter_ns
from typing import Any

import pytest
from fastapi import FastAPI

from perftui_agent.handover import count, hand_over
from perftui_agent.lane import CLOSED_NS, LONGEST_NS, Lane
from perftui_agent.records import MAX_PENDING, RequestRecord, Shape, SpanRecord, current_request
from perftui_agent.window.routes import OFTEN
from tests.support.timed import Timed, http_scope, timed

ANY_NS = 10**12

serving: list[Timed] = []
kept: list[RequestRecord] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer; a path says what is not as with most requests."""
    kind, window, request = scope["path"][1:], serving[-1].window, current_request.get()
    assert request is not None
    now = perf_counter_ns()
    if kind == "fails":
        raise ValueError
    if kind == "puts a part":
        window.put_part(SpanRecord(request, "cache", "get", now, now + 1))
    if kind == "leaves a part":
        assert hand_over(request, SpanRecord(None, "cache", "get", now, now + 1))
    if kind == "counts a statement":
        request.followed = False
        assert count(request, Shape("1", "SELECT", "SELECT 1"), 1)
    if kind == "keeps":
        kept[:] = [request]
    if kind == "leaves":
        assert (await receive())["type"] == "http.disconnect"
    headers = [(b"content-encoding", b"gzip")] if kind == "large" else []
    await send(
        {"type": "http.response.start", "status": 404 if kind == "missing" else 200, "headers": headers}
    )
    if kind == "streams":
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
    await send({"type": "http.response.body", "body": b"x" * (2_000 if kind == "large" else 1)})


@pytest.fixture
def service() -> Iterator[Timed]:
    with timed(app) as service:
        serving[:] = [service]
        yield service


def ask(service: Timed, times: int = 1) -> None:
    service.call_all(http_scope() for _ in range(times))


def lane_of(service: Timed) -> Lane:
    """Have the one route be asked for often; return its lane, which takes whatever is not too slow for it."""
    ask(service, times=OFTEN)
    assert service.requests == {"GET (unmatched)": OFTEN}
    (lane,) = service.window.lanes.values()
    assert lane.below_ns == CLOSED_NS
    lane.below_ns = ANY_NS
    return lane


def test_what_passes_counts_as_what_is_handed_over(service: Timed) -> None:
    """How many, how long they took, how large they were."""
    lane = lane_of(service)
    ask(service, times=30)
    assert (len(lane.passed), len(service.window.ended), service.window.in_flight) == (30, 0, [])
    (route,) = service.seen.last.routes
    assert (route.status.success, route.latency.count, route.ttfb.count) == (30, 30, 30)
    assert (route.body_bytes.total, route.queue_known) == (30, 0)
    assert 0 < route.latency.max < ANY_NS
    assert lane.passed == []


def test_the_headers_of_large_responses_are_read(service: Timed) -> None:
    """Whether they are compressed is told of all of them."""
    lane = lane_of(service)
    service.call_all([http_scope("/large"), http_scope(), http_scope("/large")])
    assert len(lane.passed) == 3
    (route,) = service.seen.last.routes
    assert (route.compressed, route.body_bytes.total) == (2, 4_001)


def test_one_that_is_not_followed_passes_as_such(service: Timed) -> None:
    """Under load most are none that is told of in full."""
    lane = lane_of(service)
    service.window.one_in = ANY_NS
    ask(service, times=5)
    assert len(lane.passed) == 5
    (route,) = service.seen.last.routes
    assert (route.status.success, route.unfollowed) == (5, 5)


@pytest.mark.parametrize(
    "kind",
    ["missing", "fails", "streams", "leaves", "puts a part", "leaves a part", "counts a statement"],
)
def test_whatever_there_is_to_tell_of_goes_with_its_record(service: Timed, kind: str) -> None:
    """An error, a stream, a client that left, and what was done for the request."""
    lane = lane_of(service)
    try:
        asyncio.run(service._call(http_scope(f"/{kind}"), []))
    except ValueError:
        assert kind == "fails"
    assert (lane.passed, len(service.window.ended)) == ([], 1)
    (route,) = service.seen.last.routes
    assert route.status.total() == 1
    assert route.cache_count == (kind in {"puts a part", "leaves a part"})


def test_who_is_slower_than_what_is_told_of_goes_with_its_record(service: Timed) -> None:
    """One of the slowest may be among those that pass no lane alone."""
    lane = lane_of(service)
    lane.below_ns = 1
    ask(service)
    assert (lane.passed, len(service.window.ended)) == ([], 1)


def test_a_lane_opens_when_the_slowest_are_known(service: Timed) -> None:
    """For those that are no slower, and take no more than some milliseconds."""
    lane = lane_of(service)
    lane.below_ns = CLOSED_NS
    ask(service, times=2)
    service.window.fold_pending()
    assert lane.below_ns == CLOSED_NS
    ask(service)
    service.window.fold_pending()
    assert 0 < lane.below_ns <= LONGEST_NS
    assert [slow.status for slow in service.seen.last.slowest] == [200, 200, 200]


def test_a_lane_that_is_full_is_passed_by_nobody(service: Timed) -> None:
    """When nobody has taken out anything for as long as it takes to fill it."""
    lane = lane_of(service)
    lane.passed.extend([(1, 0, 0, -1, True)] * MAX_PENDING)
    ask(service)
    assert (len(lane.passed), len(service.window.ended)) == (MAX_PENDING, 1)


def test_a_route_that_is_seldom_asked_for_has_none(service: Timed) -> None:
    """What was on its way by one that is no more is counted all the same."""
    lane = lane_of(service)
    assert service.seen.last.routes == []
    assert (service.window.lanes, lane.below_ns) == ({}, CLOSED_NS)
    lane.passed.append((1, 0, 0, -1, True))
    assert [route.status.success for route in service.seen.last.routes] == [1]


def test_a_request_that_has_passed_has_ended(service: Timed) -> None:
    """Who asks whether any has since a moment, or begun since the last look, is told so."""
    lane_of(service)
    window, now = service.window, perf_counter_ns()
    begun = window.begun_so_far
    assert not window.have_ended_since(now)
    ask(service)
    assert (window.have_ended_since(now), window.have_ended_since(perf_counter_ns())) == (True, False)
    assert (window.begun_so_far, window.may_be_in_flight) == (begun + 1, True)
    window.fold_pending()
    assert (window.begun_so_far, window.may_be_in_flight) == (begun + 1, False)


def test_what_comes_later_is_no_part_of_one_that_has_passed(service: Timed) -> None:
    """A thread that goes on may put what had begun before."""
    lane = lane_of(service)
    service.call_all([http_scope("/keeps")])
    (record,) = kept
    assert len(lane.passed) == 1
    service.window.put_part(SpanRecord(record, "cache", "get", record.started_ns, perf_counter_ns()))
    assert [(route.status.success, route.cache_count) for route in service.seen.last.routes] == [(1, 0)]


def test_a_route_that_takes_any_path_has_none() -> None:
    """Its paths are told of, which records alone have."""
    files = FastAPI()

    @files.get("/files/{path:path}")
    async def file(path: str) -> str:
        return path

    with timed(files) as service:
        for _ in range(2):
            service.call_all(http_scope(f"/files/shared/{number}") for number in range(OFTEN))
            (route,) = service.seen.last.routes
            assert sum(path.requests for path in route.paths) == OFTEN
            assert service.window.lanes == {}
