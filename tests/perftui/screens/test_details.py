"""The details of a route and of a worker."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from msgspec.structs import replace as replace_struct

from perftui.model.happenings import Finding
from perftui.model.measures import Queued
from perftui.present.details.route import route_rows
from perftui.present.details.worker import worker_rows
from perftui.present.picture import Picture
from perftui.present.text.cells import text_of, width_of
from perftui.present.text.evidence import Subject
from perftui_agent.wire.process import Listener
from tests.perftui.screens.seen import HUGE, LARGE, SMALL, look, opened
from tests.support.fake_feed import FakeFeed

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE, HUGE], ids=["80x24", "120x40", "200x50"])


def route(feed: FakeFeed, label: str = "GET /orders", size: tuple[int, int] = LARGE) -> str:
    lines = [row.line for row in route_rows(Picture(feed.summary(60.0)), label, *size)]
    assert all(width_of(line) <= size[0] for line in lines)
    return "\n".join(map(text_of, lines))


@SIZES
def test_a_route_tells_how_its_latencies_lie(size: tuple[int, int]) -> None:
    """Quantiles, a histogram with its axis and marks, how requests ended, and who served them."""
    text = route(FakeFeed(), size=size)
    for word in ("p95 717ms", "LATENCY", "┴100ms", "▴p50", "▴p95", "ENDED AS", "2xx 2,260", "4124"):
        assert word in text


def test_only_what_was_measured_is_told() -> None:
    """A part of the time that nobody measured has no line."""
    text = route(FakeFeed())
    assert "pool wait" in text
    assert "thread wait" not in text


@SIZES
def test_what_a_request_waited_before_the_app_comes_first(size: tuple[int, int]) -> None:
    """The first bar of where its time goes, with what it is; and p95 of it among the figures."""
    text = route(FakeFeed(), size=size)
    assert "of it queued p95 63ms" in text
    heading = text.index("WHERE AN AVERAGE REQUEST SPENDS ITS")
    assert text.index("queued  ", heading) < text.index("SQL  ", heading)
    assert "waits in the kernel" in text


def test_where_nobody_can_ask_how_long_requests_waited_the_route_says_why() -> None:
    """No bar and no 0, but the reason."""
    summary = FakeFeed().summary(60.0)
    blind = tuple(replace(each, probes={"queue": "off: not Linux"}) for each in summary.workers)
    routes = tuple(replace(each, queued=Queued()) for each in summary.routes)
    lines = route_rows(Picture(replace(summary, workers=blind, routes=routes)), "GET /orders", *LARGE)
    text = "\n".join(text_of(row.line) for row in lines)
    assert "of it queued" not in text
    assert "queued        not known: off: not Linux" in text


def test_exceptions_stand_with_type_and_place() -> None:
    """What failed and where it was raised, with how often."""
    text = route(FakeFeed(troubles=("errors",)), "POST /checkout")
    assert "CardDeclinedError" in text
    assert "app/pay.py:88 charge" in text


def test_a_finding_about_something_else_is_named_on_the_route_and_leads_there() -> None:
    """Whoever opened the route reads the line that holds the loop, and ⏎ opens it."""
    summary = FakeFeed().summary(60.0)
    held = Finding(
        kind="loop-blocked",
        severity="high",
        subject="app/reports.py:42 build.<locals>.<lambda>",
        sentence="held worker 4121 up to 1.9 s, 14× in 1 m",
        evidence={},
        advice="Take it off the loop.",
        impact=1.0,
        key="app/reports.py build",
        route="GET /orders",
    )
    many = replace(held, kind="n-plus-one", subject="GET /orders", sentence="50× SELECT", statement="f")
    rows = route_rows(Picture(summary, findings=(held, many)), "GET /orders", *SMALL)
    told = {text_of(row.line).strip(): row.subject for row in rows}
    found = next(text for text in told if "loop-blocked" in text)
    assert found.startswith("▲ loop-blocked  reports.py:42 build  held worker 4121 up to 1.9 s")
    assert told[found] == Subject("place", "app/reports.py build")
    own = next(text for text in told if "n-plus-one" in text)
    assert own == "▲ n-plus-one  50× SELECT"
    assert told[own] is None


def test_a_route_without_requests_says_so() -> None:
    """The window may have moved past the last request while one looked."""
    assert "no request in the last 60 s" in route(FakeFeed(), "GET /nothing")


def test_what_has_no_room_can_be_scrolled_to() -> None:
    """The last line counts what is below; scrolling down brings it up."""
    assert re.search(r"\+ \d+ more", look(FakeFeed(), "enter").splitlines()[-2])
    assert "4124" not in look(FakeFeed(), "enter")
    assert "4124" in look(FakeFeed(), "enter", "pagedown", "pagedown")


def test_a_worker_tells_of_its_process_and_its_agent() -> None:
    """CPU, memory, lag, threadpool, and what the agent itself costs."""
    text = look(FakeFeed(), "tab", "enter", size=LARGE)
    for word in (
        "worker 4121",
        "cpu 39%",
        "memory 183 MB",
        "lag p99",
        "threadpool 0/40",
        "Python 3.12.4",
        "about 4.1 MB",
    ):
        assert word in text
    for word in ("THE AGENT'S OWN COST", "✓ http", "redis", "off: not imported"):
        assert word in text


def test_a_worker_tells_what_waits_before_the_app() -> None:
    """How long its requests waited, how many connections wait to be accepted, and the most that did."""
    summary = FakeFeed().summary(60.0)
    socket = Listener(address="127.0.0.1:8000", waiting=3, limit=128)
    first = replace(
        summary.workers[0],
        listeners=(socket,),
        backlogs=(replace_struct(socket, most=97),),
        probes={"queue": "off: a Unix socket has no such clock"},
    )
    picture = Picture(replace(summary, workers=(first,)))
    text = "\n".join(text_of(row.line) for row in worker_rows(picture, first.identity.id, *LARGE))
    assert "of it queued p95" in text
    assert "to accept 3/128, 97 at most" in text
    assert "· queue         off: a Unix socket has no such clock" in text


def test_a_blocked_worker_tells_what_holds_it() -> None:
    """State, time, place and request come first; what it did before follows."""
    text = look(FakeFeed(troubles=("blocked",)), "tab", "tab", "enter")
    assert "blocked 1.9 s   at app/reports.py:42 build_report  serving GET /reports" in text
    assert "HELD THE LOOP" in text
    assert "IN FLIGHT" in text


def test_a_silent_worker_points_to_the_dump() -> None:
    """What to do about it is said where it is seen."""
    assert "D" in look(FakeFeed(troubles=("silent",)), "tab", "tab", "enter").splitlines()[1]


def test_a_silent_worker_without_siblings_points_to_a_shell() -> None:
    """Nobody else's agent could look at it."""
    line = look(FakeFeed(workers=1, troubles=("silent",)), "tab", "tab", "enter", size=LARGE).splitlines()[1]
    assert "py-spy dump --pid 4121 in a shell tells" in line


def test_an_unknown_worker_is_said_to_be_unknown() -> None:
    """A life that ended long ago has nothing to show."""
    rows = worker_rows(Picture(FakeFeed().summary(60.0)), "web-9/1/0", 80, 24)
    assert "not known any more" in text_of(rows[1].line)


def test_a_detail_goes_on_living() -> None:
    """The picture moves below an open detail as well."""
    moment = [1_795_262_400.0]

    async def scene() -> bool:
        async with opened(FakeFeed(clock=lambda: moment[0])) as seen:
            await seen.press("enter")
            before = seen.text()
            moment[0] += 30
            await seen.repaint()
            return before != seen.text()

    assert asyncio.run(scene())


def test_a_route_that_waits_on_purpose_says_so() -> None:
    """Beside its figures, and how that is known; so does its name in the table."""
    summary = FakeFeed().summary(60.0)
    routes = tuple(replace(each, long_poll="seen") for each in summary.routes)
    lines = route_rows(Picture(replace(summary, routes=routes)), "GET /orders", *LARGE)
    text = "\n".join(text_of(row.line) for row in lines)
    assert "waits on purpose, as is seen: each ends at its time-out; left out of the latencies" in text
