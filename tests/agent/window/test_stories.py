"""The slowest requests with what they spent their time on, and the sums of each route."""

from __future__ import annotations

from itertools import count

import pytest

from perftui_agent.records import (
    EVENTS,
    RequestRecord,
    SpanRecord,
    StatementRecord,
    StatementText,
)
from perftui_agent.window.stories import MAX_SPANS_IN_FLIGHT
from perftui_agent.window.window import Window
from perftui_agent.wire.codec import decode_from_agent, encode
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import RouteFrame, SlowRequest, Span
from tests.support.requests import begin, end

MS = 1_000_000
NOW = 1_000_000 * MS

_seconds = count(1)


@pytest.fixture
def window() -> Window:
    window = Window()
    window.open = True
    return window


def started(route: str = "GET /", at: int = NOW) -> RequestRecord:
    return begin(started_ns=at, route=route, path="/path")


def ended(window: Window, record: RequestRecord, ms: float) -> RequestRecord:
    end(record, record.route, round(ms * MS))
    window.begun.append(record)
    return record


def spent(
    window: Window, record: RequestRecord | None, kind: str, name: str, at_ms: float = 0, ms: float = 1
) -> None:
    began_ns = NOW + round(at_ms * MS)
    window.put(SpanRecord(record, kind, name, began_ns, began_ns + round(ms * MS)))


def closed(window: Window) -> Frame:
    window.fold_pending()
    frame = window.close(seq=next(_seconds), ended_at_ns=NOW, span_ns=1000 * MS)
    assert decode_from_agent(encode(frame)) == frame
    return frame


def only_route(frame: Frame) -> RouteFrame:
    (route,) = frame.routes
    return route


def only_slow(frame: Frame) -> SlowRequest:
    (slow,) = frame.slowest
    return slow


def test_a_request_tells_what_it_spent_its_time_on(window: Window) -> None:
    """Its spans come in the order they began, from its own beginning on."""
    record = started()
    spent(window, record, "cache", "config get", at_ms=5, ms=1)
    spent(window, record, "pool", "main", at_ms=2, ms=3)
    ended(window, record, ms=20)
    slow = only_slow(closed(window))
    assert (slow.route, slow.method, slow.path, slow.status) == ("GET /", "GET", "/path", 200)
    assert slow.total_ns == 20 * MS
    assert slow.spans == [
        Span(kind="pool", name="main", start_ns=2 * MS, ns=3 * MS),
        Span(kind="cache", name="config get", start_ns=5 * MS, ns=1 * MS),
    ]


def test_repeats_are_one_span(window: Window) -> None:
    """Fifty-one executions are one span, with their count, their sum and the first one's beginning."""
    record = started()
    for number in range(51):
        spent(window, record, "cache", "a", at_ms=10 + number, ms=0.5)
    ended(window, record, ms=100)
    assert only_slow(closed(window)).spans == [
        Span(kind="cache", name="a", start_ns=10 * MS, ns=25_500_000, count=51)
    ]


def test_statements_bring_their_call_site_and_their_values(window: Window) -> None:
    """A span of statements says where they come from and how many different values they had."""
    record = started()
    text = "SELECT * FROM t WHERE id = ?"
    known: StatementText | None = None
    for number in range(6):
        execution = StatementRecord(
            record,
            "sql",
            "",
            NOW,
            NOW + MS,
            known=known,
            text=text,
            binds=number % 3,
            call_site="app.py:4 get",
        )
        window.put(execution)
        window.fold_pending()
        known = execution.known
    ended(window, record, ms=10)
    frame = closed(window)
    (span,) = only_slow(frame).spans
    assert (span.kind, span.count, span.call_site, span.distinct_binds) == ("sql", 6, "app.py:4 get", 3)
    assert (only_route(frame).sql_count, only_route(frame).sql_ns) == (6, 6 * MS)


def test_sums_go_to_the_route(window: Window) -> None:
    """Each kind of part has its sum over all requests of the route that ended in the span."""
    for _ in range(2):
        record = started()
        spent(window, record, "sql", "s", ms=1)
        spent(window, record, "cache", "c", ms=2)
        spent(window, record, "pool", "p", ms=3)
        spent(window, record, "threadpool", "t", ms=4)
        ended(window, record, ms=20)
    route = only_route(closed(window))
    assert (route.sql_count, route.sql_ns) == (2, 2 * MS)
    assert (route.cache_count, route.cache_ns) == (2, 4 * MS)
    assert (route.pool_wait_ns, route.threadpool_wait_ns) == (6 * MS, 8 * MS)


def test_parts_count_when_their_request_has_ended(window: Window) -> None:
    """What a request did seconds ago counts in the frame it ends in, and not before."""
    record = started()
    spent(window, record, "sql", "s")
    assert closed(window).routes == []
    ended(window, record, ms=3000)
    assert only_route(closed(window)).sql_count == 1


def test_what_comes_after_the_last_byte_is_no_part_of_the_request(window: Window) -> None:
    """A background task's statements are not what the client waited for."""
    record = started()
    ended(window, record, ms=5)
    spent(window, record, "sql", "background", at_ms=6)
    frame = closed(window)
    assert only_route(frame).sql_count == 0
    assert only_slow(frame).spans == []


def test_parts_outside_of_any_request_are_nobodys(window: Window) -> None:
    """A cron job's statements belong to no story."""
    spent(window, None, "sql", "cron")
    assert closed(window).slowest == []


def test_serializing_is_a_part(window: Window) -> None:
    """How long it took to make the bytes is in the story and in the route's sum."""
    record = started()
    record.serialize_started_ns, record.serialize_ns = NOW + 4 * MS, 2 * MS
    ended(window, record, ms=10)
    frame = closed(window)
    assert only_slow(frame).spans == [Span(kind="serialize", name="the response", start_ns=4 * MS, ns=2 * MS)]
    route = only_route(frame)
    assert (route.serialized, route.serialize_ns) == (1, 2 * MS)


def test_the_slowest_of_each_route_are_kept(window: Window) -> None:
    """Of a hundred requests of each of two routes the three slowest are told of, the slowest first."""
    for number in range(100):
        ended(window, started("GET /a"), ms=10 + number)
        ended(window, started("GET /b"), ms=1000 + number)
    assert [(slow.route, slow.total_ns // MS) for slow in closed(window).slowest] == [
        ("GET /b", 1099),
        ("GET /b", 1098),
        ("GET /b", 1097),
        ("GET /a", 109),
        ("GET /a", 108),
        ("GET /a", 107),
    ]


def test_a_frame_has_at_most_thirty(window: Window) -> None:
    """However many routes there are, a frame stays small."""
    for number in range(300):
        ended(window, started(f"GET /{number}"), ms=10 + number)
        ended(window, started(f"GET /{number}"), ms=500 + number)
    frame = closed(window)
    assert len(frame.slowest) == 30
    assert [slow.total_ns // MS for slow in frame.slowest[:2]] == [799, 798]


def test_past_ten_only_what_is_slower_than_usual_is_told(window: Window) -> None:
    """Once it is known what is usual for a route, only the slowest ten come without being slower."""
    for _ in range(2):
        for route in range(20):
            ended(window, started(f"GET /{route}"), ms=100)
        ended(window, started("GET /quick"), ms=1)
        frame = closed(window)
    assert len(frame.slowest) == 10
    for route in range(20):
        ended(window, started(f"GET /{route}"), ms=100)
    ended(window, started("GET /quick"), ms=5)
    assert [slow.route for slow in closed(window).slowest[10:]] == ["GET /quick"]


def test_ids_are_never_given_twice(window: Window) -> None:
    """The requests of a worker can be told apart, over all its frames."""
    ids = []
    for _ in range(3):
        for number in range(5):
            ended(window, started(), ms=number)
        ids += [slow.id for slow in closed(window).slowest]
    assert len(ids) == len(set(ids)) == 9


def test_listening_to_events_is_not_slow(window: Window) -> None:
    """An event stream lasts as long as somebody listens."""
    record = started()
    record.streaming = EVENTS
    ended(window, record, ms=60_000)
    assert closed(window).slowest == []


def test_the_moment_of_the_end_is_by_the_wall_clock(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ended_at` is the wall clock's reading when the request ended, not when the frame was closed."""
    monkeypatch.setattr("perftui_agent.window.stories.perf_counter_ns", lambda: NOW + 700 * MS)
    monkeypatch.setattr("perftui_agent.window.stories.time.time_ns", lambda: 5_000_000 * MS)
    ended(window, started(), ms=200)
    assert only_slow(closed(window)).ended_at == 5_000_000 * MS - 500 * MS


def test_others_wait_while_one_holds_the_loop(window: Window) -> None:
    """A block is a part of each request that was in flight then, but of the one that held the loop."""
    holder, waiting, later = (
        started("GET /holds"),
        started("GET /waits"),
        started("GET /late", NOW + 900 * MS),
    )
    window.loop_was_held("app.py:1 f", NOW + 100 * MS, NOW + 400 * MS, holder)
    ended(window, holder, ms=450)
    ended(window, waiting, ms=500)
    ended(window, later, ms=10)
    frame = closed(window)
    assert {route.route: route.loop_wait_ns for route in frame.routes} == {
        "GET /holds": 0,
        "GET /waits": 300 * MS,
        "GET /late": 0,
    }
    assert [slow.spans for slow in frame.slowest] == [
        [Span(kind="loop", name="app.py:1 f", start_ns=100 * MS, ns=300 * MS)],
        [],
        [],
    ]


def test_only_the_overlap_with_a_block_is_waiting(window: Window) -> None:
    """Who came in the middle of a block waited for the rest of it; two blocks by one place add up."""
    record = started(at=NOW + 50 * MS)
    for began_ms, ended_ms in ((0, 100), (200, 250), (400, 900)):
        window.loop_was_held("app.py:1 f", NOW + began_ms * MS, NOW + ended_ms * MS, None)
    ended(window, record, ms=250)
    frame = closed(window)
    assert only_route(frame).loop_wait_ns == 100 * MS
    assert only_slow(frame).spans == [Span(kind="loop", name="app.py:1 f", start_ns=0, ns=100 * MS, count=2)]


def test_a_story_has_at_most_a_hundred_spans(window: Window) -> None:
    """Further ones are counted, and are in the sums."""
    record = started()
    for number in range(250):
        spent(window, record, "sql", f"SELECT {number}")
        spent(window, record, "sql", f"SELECT {number}")
    ended(window, record, ms=900)
    frame = closed(window)
    slow = only_slow(frame)
    assert (len(slow.spans), slow.spans_dropped) == (100, 300)
    assert (only_route(frame).sql_count, only_route(frame).sql_ns) == (500, 500 * MS)


def test_requests_that_never_end_stay_bounded(window: Window) -> None:
    """1,000 requests with 300 different statements each keep what there is room for, and say so."""
    records = [started() for _ in range(1000)]
    window.begun.extend(records)
    for record in records:
        for number in range(300):
            spent(window, record, "sql", f"SELECT {number}")
        window.fold_pending()
    kept = sum(len(record.story.parts) for record in records)
    assert kept == MAX_SPANS_IN_FLIGHT
    closed(window)
    assert window.bounded["spans"] == 1


def test_room_comes_back(window: Window) -> None:
    """Requests that ended, or whose records were dropped, leave room for others' spans."""
    for _ in range(3):
        for _ in range(200):
            record = started()
            for number in range(100):
                spent(window, record, "sql", f"SELECT {number}")
            window.fold_pending()
            ended(window, record, ms=1)
        closed(window)
    for _ in range(200):  # their own records never come
        lost = started()
        for number in range(100):
            spent(window, lost, "sql", f"SELECT {number}")
        window.fold_pending()
    closed(window)
    record = started()
    spent(window, record, "sql", "SELECT 1")
    ended(window, record, ms=1)
    assert only_slow(closed(window)).spans_dropped == 0


def test_long_paths_are_cut(window: Window) -> None:
    """A path is told of with 300 characters at most."""
    record = started()
    record.path = "/x" * 10_000
    ended(window, record, ms=1)
    assert only_slow(closed(window)).path == "/x" * 150
