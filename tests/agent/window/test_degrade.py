"""Under load the agent follows one request in so many, says so, and goes on counting all."""

from __future__ import annotations

import pytest

from perftui_agent.handover import count, hand_over
from perftui_agent.records import RequestRecord, StatementRecord, StatementText
from perftui_agent.window.degrade import (
    LEAST_PERCENT,
    LITTLE_PERCENT,
    MORE_AFTER,
    MOST,
    OFTEN_AFTER,
    SELDOM_AFTER,
    SPANS_S,
    TOO_MUCH_PERCENT,
    Degradation,
    Spent,
    wanted,
)
from perftui_agent.window.window import Window
from perftui_agent.wire.frames import Frame
from tests.support.requests import begin, end
from tests.support.timed import http_scope, timed

MS = 1_000_000


def spent(rest: float, following_all: float, one_in: int) -> Spent:
    """What a span costs under a load whose requests would take `following_all` to follow."""
    following = following_all / one_in
    return Spent(total=rest + following, following=following)


def settled(degradation: Degradation, rest: float, following_all: float, spans: int = 20) -> list[int]:
    """Return what one request in so many was followed after each span under this load."""
    numbers = []
    for _ in range(spans):
        degradation.after_span(spent(rest, following_all, degradation.one_in))
        numbers.append(degradation.one_in)
    return numbers


@pytest.mark.parametrize(
    ("rest", "following_all", "one_in"),
    [
        (0.3, 0.0, 1),
        (0.4, 1.0, 1),
        (0.5, 1.5, 2),
        (0.5, 7.5, 8),
        (1.0, 40.0, 128),
        (1.45, 3.0, 32),
        (5.0, 3.0, 32),
        (5.0, 1000.0, MOST),
    ],
)
def test_what_is_followed_fits_into_the_budget(rest: float, following_all: float, one_in: int) -> None:
    """As many requests as there is room for beside the rest; even if there is none, somebody is followed."""
    degradation = Degradation()
    assert settled(degradation, rest, following_all)[-1] == one_in
    if rest < TOO_MUCH_PERCENT - LEAST_PERCENT:
        assert spent(rest, following_all, one_in).total <= TOO_MUCH_PERCENT


def test_one_slow_span_is_no_load() -> None:
    """As at start-up: two in a row are."""
    degradation = Degradation()
    for following in (0.2, 60.0, 0.2, 60.0, 0.2):
        degradation.after_span(Spent(following + 0.3, following))
        assert degradation.one_in == 1
    assert settled(degradation, 0.5, 7.5, spans=2) == [1, 8]


def test_all_are_followed_again_when_the_load_goes() -> None:
    """Within a few spans, however bad it was."""
    degradation = Degradation()
    assert settled(degradation, 1.4, 1000.0)[-1] == MOST
    assert settled(degradation, 0.3, 0.2, spans=MORE_AFTER)[-1] == 1


@pytest.mark.parametrize("following_all", [0.9, 1.0, 1.3, 1.5, 2.0, 3.1, 9.7, 24.0])
def test_it_does_not_hunt(following_all: float) -> None:
    """A load that stays the same, give or take a tenth, has one number."""
    degradation = Degradation()
    numbers = set()
    for span in range(200):
        wobble = 1.0 + 0.1 * (-1) ** span
        degradation.after_span(spent(0.4, following_all * wobble, degradation.one_in))
        if span > 20:
            numbers.add(degradation.one_in)
    assert len(numbers) == 1


def test_more_is_wanted_only_with_room_to_spare() -> None:
    """What just fits is not taken up again, since it would be given up at the next breath."""
    just = Spent(total=0.4 + (TOO_MUCH_PERCENT - 0.41) / 2, following=(TOO_MUCH_PERCENT - 0.41) / 2)
    assert wanted(just, 2, TOO_MUCH_PERCENT) == 1
    assert wanted(just, 2, LITTLE_PERCENT) == 2


def test_frames_come_more_seldom_where_they_are_what_costs() -> None:
    """Five spans in which closing the frame is most of what is too much; and again when they cost less."""
    degradation = Degradation()
    for _ in range(SELDOM_AFTER):
        assert degradation.span_s == SPANS_S[0]
        degradation.after_span(Spent(total=2.4, frame=2.0))
    assert degradation.span_s == SPANS_S[1] < 2.5, "clients would take the worker for silent"
    for _ in range(50):
        degradation.after_span(Spent(total=1.4, frame=1.0))
    assert degradation.span_s == SPANS_S[1], "every second they would be too much"
    for _ in range(OFTEN_AFTER):
        degradation.after_span(Spent(total=0.5, frame=0.3))
    assert degradation.span_s == SPANS_S[0]


def test_it_says_what_is_left_out() -> None:
    """In full detail nothing is said."""
    degradation = Degradation()
    assert degradation.told == ""
    settled(degradation, 0.5, 7.5)
    assert degradation.told == "1 request in 8 is followed in full"


@pytest.fixture
def window() -> Window:
    window = Window()
    window.open = True
    return window


def known(window: Window) -> StatementText:
    return window.shapes.know(1, "SELECT * FROM t WHERE id = ?")


def executes(record: RequestRecord, text: StatementText, times: int, ms: int = 1) -> None:
    """Have a request run a statement, as the probe notes it."""
    began_ns = record.started_ns
    for binds in range(times):
        if not record.followed and count(record, text.shape, ms * MS):
            continue
        part = StatementRecord(None, "sql", "", began_ns, began_ns + ms * MS, False, text, binds)
        assert hand_over(record, part)


def closed(window: Window) -> Frame:
    window.find_ended(piece=1)
    while window.fold_pending(500):
        pass
    return window.close(seq=1, ended_at_ns=1, span_ns=1000 * MS)


def test_what_is_not_followed_is_counted_and_timed_all_the_same(window: Window) -> None:
    """Requests, statements by shape and by route, total times: exact. Repeats and stories: of the others."""
    text = known(window)
    for number in range(40):
        record = begin(window, followed=number % 8 == 0)
        executes(record, text, times=5, ms=2)
        end(record, ns=20 * MS)
    frame = closed(window)
    (route,), (statement,) = frame.routes, frame.statements
    assert (route.status.success, route.latency.count, route.unfollowed) == (40, 40, 35)
    assert (route.sql_count, route.sql_ns) == (200, 400 * MS)
    assert (statement.latency.count, statement.latency.total) == (200, 400 * MS)
    assert sum(statement.latency.buckets.values()) == 200, "quantiles rest on all of them"
    assert (statement.routes, statement.unfollowed) == ({"GET /": 200}, 175)
    (repeats,) = route.repeats
    assert (repeats.requests, repeats.executions) == (5, 25)
    assert [sum(span.count for span in slow.spans) for slow in frame.slowest] == [5, 5, 5]


def test_a_long_request_that_is_not_followed_is_counted_as_it_goes(window: Window) -> None:
    """Its statements are in the second they ran in, its route's sums in the one it ends in."""
    text = known(window)
    record = begin(window, followed=False)
    executes(record, text, times=10)
    first = closed(window)
    assert [statement.latency.count for statement in first.statements] == [10]
    executes(record, text, times=5)
    end(record)
    second = closed(window)
    assert [statement.latency.count for statement in second.statements] == [5]
    assert [statement.routes for statement in second.statements] == [{"GET /": 15}]
    assert [(route.sql_count, route.sql_ns) for route in second.routes] == [(15, 15 * MS)]
    assert (second.slowest, sum(statement.unfollowed for statement in second.statements)) == ([], 5)


def test_requests_are_followed_as_the_window_says() -> None:
    """All of them at first; under load those that are drawn."""

    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    with timed(app) as service:
        for one_in, followed in ((1, True), (10**12, False)):
            service.window.one_in = one_in
            service.call(http_scope())
            assert [record.followed for record in service.window.begun] == [followed]
            service.window.begun.clear()


def test_about_one_in_so_many_is_followed(window: Window) -> None:
    """By lot: what alternates with the requests is met all the same."""
    window.one_in = 8
    followed = [window.follows() for _ in range(8_000)]
    for alternating in (followed, followed[::2], followed[1::2], followed[::8]):
        assert 0.07 < sum(alternating) / len(alternating) < 0.18
