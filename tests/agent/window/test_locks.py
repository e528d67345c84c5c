"""Waits for locks become spans of the request whose statement they are a part of, and sums of its route."""

from __future__ import annotations

import pytest

from perftui_agent.locked import Stuck, see, see_none
from perftui_agent.records import RequestRecord, StatementRecord
from perftui_agent.window.window import Window
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import RouteFrame, Span
from tests.support.requests import begin, end

MS = 1_000_000

UPDATE = "UPDATE items SET stock = ?"


@pytest.fixture
def window() -> Window:
    """A window that is taken from."""
    window = Window()
    window.open = True
    return window


def stuck(request: RequestRecord, since_ms: int = 0) -> Stuck:
    began_ns = request.started_ns
    return Stuck("shop", "shop", 7, request, began_ns + since_ms * MS, began_ns)


def ran(window: Window, request: RequestRecord, from_ms: int, to_ms: int, text: str = UPDATE) -> None:
    """Have a statement of a request be over."""
    began_ns = request.started_ns
    record = StatementRecord(request, "sql", "", began_ns + from_ms * MS, began_ns + to_ms * MS)
    record.text, record.text_hash = text, hash(text)
    window.put(record)


def told(window: Window, request: RequestRecord, ms: int = 1_000) -> tuple[RouteFrame, list[Span]]:
    """End the request; return its route and its spans of locks."""
    end(request, "POST /buy", ns=ms * MS)
    frame = closed(window)
    (route,), (slow,) = frame.routes, frame.slowest
    return route, [span for span in slow.spans if span.kind == "lock"]


def closed(window: Window) -> Frame:
    window.find_ended(piece=1)
    while window.fold_pending():
        pass
    return window.close(seq=1, ended_at_ns=0, span_ns=1_000 * MS)


def at(request: RequestRecord, ms: float) -> int:
    return request.started_ns + int(ms * MS)


def test_a_wait_that_lasted_as_long_as_its_statement(window: Window) -> None:
    """One look is enough where it is known when it began: to the statement's end it is the lock's."""
    request = begin(window)
    see(stuck(request), "a row of items", at(request, 20), at(request, 300))
    ran(window, request, 10, 900)
    route, spans = told(window, request)
    assert (route.sql_ns, route.lock_ns, route.transaction_lock_ns) == (890 * MS, 880 * MS, 0)
    assert [(span.name, span.start_ns, span.ns, span.count) for span in spans] == [
        ("a row of items", 20 * MS, 880 * MS, 1)
    ]


def test_a_wait_that_was_over_before_its_statement(window: Window) -> None:
    """It ended half way between the last look that saw it and the first that did not."""
    request = begin(window)
    see(stuck(request), "items", at(request, 0), at(request, 200))
    see(stuck(request), "items", at(request, 0), at(request, 400))
    see_none(stuck(request), at(request, 600))
    see_none(stuck(request), at(request, 800))
    ran(window, request, 0, 900)
    route, _ = told(window, request)
    assert route.lock_ns == 500 * MS


def test_a_wait_that_began_with_its_statement(window: Window) -> None:
    """Where nobody knows since when, it is the statement that says; a look that missed it parts nothing."""
    request = begin(window)
    for ms in (200, 300):
        see(stuck(request, 5), "the write lock of shop.db", 0, at(request, ms))
    see_none(stuck(request, 5), at(request, 350))
    see(stuck(request, 5), "the write lock of shop.db", 0, at(request, 400))
    ran(window, request, 10, 410)
    route, spans = told(window, request)
    assert (route.lock_ns, len(spans)) == (400 * MS, 1)


def test_two_waits_of_one_statement(window: Window) -> None:
    """Each row that it waits for is a wait of its own, and no moment counts twice."""
    request = begin(window)
    see(stuck(request), "a row of items", at(request, 0), at(request, 200))
    see(stuck(request), "a row of items", at(request, 300), at(request, 400))
    ran(window, request, 0, 500)
    route, spans = told(window, request)
    assert route.lock_ns == (250 + 200) * MS
    assert [span.count for span in spans] == [2]


def test_a_transactions_wait(window: Window) -> None:
    """What begins a transaction by waiting for the write lock has a sum of its own."""
    request = begin(window)
    see(stuck(request), "the write lock of shop.db", 0, at(request, 200))
    ran(window, request, 0, 500, "BEGIN IMMEDIATE")
    ran(window, request, 500, 510)
    route, spans = told(window, request)
    assert (route.transaction_ns, route.lock_ns, route.transaction_lock_ns) == (500 * MS, 0, 500 * MS)
    assert [span.ns for span in spans] == [500 * MS]


def test_a_request_that_goes_on(window: Window) -> None:
    """What it waits for is kept until its statement is over, however many frames close before."""
    request = begin(window)
    see(stuck(request), "a row of items", at(request, 0), at(request, 200))
    assert closed(window).routes == []
    ran(window, request, 0, 3_000)
    assert closed(window).routes == []
    ran(window, request, 3_000, 3_010)
    route, spans = told(window, request, 3_020)
    assert (route.lock_ns, [span.ns for span in spans]) == (3_000 * MS, [3_000 * MS])


def test_a_wait_that_is_no_statements(window: Window) -> None:
    """What no statement of the request accounts for is told of by nobody."""
    request = begin(window)
    see(stuck(request), "a row of items", at(request, 0), at(request, 200))
    ran(window, request, 300, 400)
    route, spans = told(window, request)
    assert (route.lock_ns, spans) == (0, [])
    assert request.locks is None
