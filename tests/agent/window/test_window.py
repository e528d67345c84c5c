"""How the window comes by its requests: they are handed over as they begin, and looked at until they end."""

from __future__ import annotations

import pytest

from perftui_agent.records import MAX_PENDING, RequestRecord, SpanRecord
from perftui_agent.window.window import Window
from perftui_agent.wire.requests import RouteFrame
from tests.support.requests import begin, end
from tests.support.timed import http_scope, timed


@pytest.fixture
def window() -> Window:
    window = Window()
    window.take()
    return window


def looks_something_up(window: Window, record: RequestRecord, times: int = 1) -> None:
    for _ in range(times):
        window.put(SpanRecord(record, "cache", "get", record.started_ns, record.started_ns + 1000))


def routes(window: Window) -> list[RouteFrame]:
    return window.close(seq=1, ended_at_ns=1, span_ns=1).routes


def test_a_request_counts_once_when_it_has_ended(window: Window) -> None:
    """However often it is looked at before, and after."""
    record = begin(window)
    window.fold_pending()
    assert (routes(window), window.in_flight) == ([], [record])
    end(record)
    window.fold_pending()
    window.fold_pending()
    (route,) = routes(window)
    assert (route.status.success, window.in_flight) == (1, [])
    assert routes(window) == []


def test_a_request_brings_all_its_parts(window: Window) -> None:
    """Folded a few records at a time, a request's parts come before it."""
    record = begin(window)
    looks_something_up(window, record, times=5)
    end(record)
    assert (window.fold_pending(3), routes(window)) == (3, [])
    assert window.fold_pending(3) >= 3
    (route,) = routes(window)
    assert (route.status.success, route.cache_count) == (1, 5)


def test_parts_without_end_keep_no_request_from_being_counted(window: Window) -> None:
    """Even if more is put than there is time to fold."""
    busy, ended = begin(window), begin(window)
    end(ended)
    counted = 0
    for _ in range(5):
        looks_something_up(window, busy, times=20)
        window.fold_pending(10)
        counted += sum(route.status.success for route in routes(window))
    assert counted == 1
    assert len(window.pending) > 0


def test_thousands_in_flight_take_turns(window: Window) -> None:
    """A beat does not look at each of them; before a frame is closed, all are looked at."""
    records = [begin(window) for _ in range(5000)]
    end(records[-1])
    assert window.fold_pending(500) == 0
    assert len(window.in_flight) == 4999
    window.find_ended()
    assert window.fold_pending(500) == 1
    assert len(window.in_flight) == 4999


def test_a_request_outlives_the_thread(window: Window) -> None:
    """What began while one thread folded, and ends while the next does, is counted."""
    record = begin(window)
    window.let_go()
    window.take()
    assert window.in_flight == [record]
    end(record)
    window.fold_pending()
    assert [route.status.success for route in routes(window)] == [1]


def test_requests_beyond_the_bound_are_served_and_counted_as_dropped() -> None:
    """When the agent's thread has not come to take any for as long as it takes to fill the queue."""

    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    with timed(app) as service:
        service.window.begun.extend([RequestRecord()] * MAX_PENDING)
        sent = service.call(http_scope())
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        assert service.window.records_dropped == 1
        service.window.begun.clear()
