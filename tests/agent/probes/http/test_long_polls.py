"""Which routes wait on purpose, and which only wait."""

from __future__ import annotations

from time import perf_counter_ns

import pytest

from perftui_agent.probes.http.long_polls import DECLARED, MAX_REQUESTS, MAX_ROUTES, SEEN, LongPolls
from perftui_agent.probes.http.news import Wait
from perftui_agent.records import RequestRecord
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import RouteFrame, StatusCounts
from tests.support.requests import begin

ROUTE = "GET /poll"


def news(ends_in_s: float) -> Wait:
    return Wait("news", ends_in_s=ends_in_s)


NAP = Wait("nap")


def asked(polls: LongPolls, wait: Wait | None, age_s: float = 2.0) -> RequestRecord:
    """Return a request of that age, whom `polls` knows to wait so."""
    record = begin(started_ns=perf_counter_ns() - round(age_s * 1e9))
    polls.note([record], {} if wait is None else {record: wait})
    return record


def ended(record: RequestRecord, took_s: float, status: int = 200, route: str = ROUTE) -> None:
    record.route, record.status = route, status
    record.ended_ns = record.left_ns = record.started_ns + round(took_s * 1e9)


def kind(polls: LongPolls, route: str = ROUTE) -> str:
    """Close a frame, and return what it says of the route."""
    frame = Frame(seq=1, ended_at=0, span_ns=0)
    frame.routes = [RouteFrame(route=route, status=StatusCounts(), latency=LatencySketch())]
    polls.mark(frame)
    return frame.routes[0].long_poll


def run(wait: Wait | None, took_s: float, *, times: int = 5, status: int = 200) -> str:
    """Return what is said of a route whose requests waited so, two seconds after they began, and ended so."""
    polls = LongPolls()
    for _ in range(times):
        ended(asked(polls, wait), took_s, status)
    return kind(polls)


def test_who_answers_as_its_time_is_over_waits_on_purpose() -> None:
    """Twenty-five seconds, with a little for a late loop; three of them are enough."""
    assert run(news(23.0), 25.0) == SEEN
    assert run(news(23.0), 25.8) == SEEN
    assert run(news(23.0), 25.0, times=3) == SEEN
    assert run(news(23.0), 25.0, times=2) == ""


def test_a_thread_tells_only_for_how_long_it_waits() -> None:
    """It may have begun a little later than the request."""
    assert run(Wait("news", within_s=25.0), 27.0) == SEEN
    assert run(Wait("news", within_s=25.0), 32.0) == ""


@pytest.mark.parametrize(
    ("wait", "took_s", "status"),
    [
        (news(28.0), 3.0, 200),
        (news(23.0), 25.0, 504),
        (news(23.0), 40.0, 200),
        (Wait("news"), 25.0, 200),
        (None, 25.0, 200),
        (NAP, 2.5, 200),
        (NAP, 25.0, 500),
    ],
    ids=["done in time", "fails", "goes on", "no end", "an upstream", "a short nap", "a nap that fails"],
)
def test_who_waits_for_something_else_is_like_any_other(
    wait: Wait | None, took_s: float, status: int
) -> None:
    """A job that is done after 3 s of 30, a pool that gives up with a 504, work after the wait."""
    assert run(wait, took_s, status=status) == ""


def test_news_is_what_a_long_poll_waits_for() -> None:
    """Most get news at some moment, some wait in vain: those tell what it is."""
    polls = LongPolls()
    for took_s in (3.0, 25.0, 9.0, 25.1, 14.0, 2.5, 25.0):
        ended(asked(polls, news(23.0)), took_s)
    assert kind(polls) == SEEN


def test_naps_of_one_length_are_on_purpose() -> None:
    """Ten seconds and more, each time the same; not whatever comes."""
    assert run(NAP, 25.0) == SEEN
    polls = LongPolls()
    for took_s in (11.0, 19.0, 14.0, 28.0):
        ended(asked(polls, NAP), took_s)
    assert kind(polls) == ""


def test_a_route_that_works_as_well_is_none() -> None:
    """Half of its long requests ask an upstream."""
    polls = LongPolls()
    for _ in range(5):
        ended(asked(polls, news(23.0)), 25.0)
        ended(asked(polls, None), 25.0)
    assert kind(polls) == ""


def test_what_was_at_work_once_did_not_only_wait() -> None:
    """It asked an upstream for three seconds, and then waited."""
    polls = LongPolls()
    for _ in range(5):
        record = asked(polls, None)
        polls.note([record], {record: news(20.0)})
        ended(record, 25.0)
    assert kind(polls) == ""


def test_clients_that_leave_say_nothing() -> None:
    """They close the page."""
    polls = LongPolls()
    for _ in range(9):
        record = asked(polls, news(23.0))
        record.disconnected = True
        ended(record, 25.0)
    assert kind(polls) == ""


def test_a_route_that_has_changed_its_ways_is_known_no_more() -> None:
    """After a flag was turned it works instead of waiting."""
    polls = LongPolls()
    for _ in range(5):
        ended(asked(polls, news(23.0)), 25.0)
    assert kind(polls) == SEEN
    for _ in range(20):
        ended(asked(polls, None), 25.0)
    assert kind(polls) == ""


def test_the_app_may_say_so() -> None:
    """Where it can't be seen, or from the first request on."""
    polls = LongPolls([ROUTE])
    assert (kind(polls), kind(polls, "GET /other")) == (DECLARED, "")


def test_all_of_it_is_bounded() -> None:
    """Requests that never end, and routes without number."""
    polls = LongPolls()
    for _ in range(MAX_REQUESTS + 50):
        asked(polls, news(20.0))
    assert len(polls._followed) == MAX_REQUESTS
    polls = LongPolls()
    for number in range(MAX_ROUTES + 50):
        ended(asked(polls, None), 5.0, route=f"GET /{number}")
        kind(polls)
    assert len(polls._endings) == MAX_ROUTES
