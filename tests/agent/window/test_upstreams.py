"""Outgoing calls on their way into a frame: however they are gathered, they come to the same."""

from __future__ import annotations

from random import Random
from time import perf_counter_ns

import msgspec
import pytest

from perftui_agent.records import CallDetails, CallRecord, Upstream
from perftui_agent.window import upstreams
from perftui_agent.window.called import MAX_PATHS
from perftui_agent.window.routes import MAX_ROUTES, NEWCOMERS
from perftui_agent.window.window import Window
from perftui_agent.wire.frames import Frame
from tests.support.requests import begin, end

MS = 1_000_000
RATES = Upstream("rates.internal", "GET", "httpx")
PAY = Upstream("pay.example", "POST", "aiohttp")


def call(
    started_ns: int, ns: int, *, to: Upstream = RATES, target: str = "/rates", **rare: object
) -> CallRecord:
    """Return a call that is over; of its time, a tenth went into the body."""
    record = CallRecord()
    record.request = None
    record.upstream, record.target = to, target
    record.started_ns = record.ready_ns = started_ns
    record.body_ns = ns // 10
    record.answered_ns = started_ns + ns - record.body_ns
    record.ended_ns = started_ns + ns
    record.received_bytes, record.status, record.place = 100, 200, 1
    record.details = CallDetails(**rare) if rare else None  # type: ignore[arg-type]
    return record


def some_calls(random: Random, began_ns: int) -> list[CallRecord]:
    """Return what one request asked: once or often, of one or two, in turn or at once, well or not."""
    calls = []
    at_once, both, fails = random.random() < 0.3, random.random() < 0.3, random.random() < 0.2
    for number in range(random.choice([1, 1, 1, 2, 3, 7])):
        ns = random.randrange(1, 50) * MS
        rare = {"failed": True, "error": "ReadTimeout"} if fails and random.random() < 0.5 else {}
        to = PAY if both and random.random() < 0.5 else RATES
        target = f"/rates/{number % 3}" if number % 2 else "/health"
        calls.append(call(began_ns, ns, to=to, target=target, **rare))
        began_ns += ns // 3 if at_once else ns + MS
    calls.sort(key=lambda each: each.ended_ns)  # as they are handed over
    return calls


def frame_of(window: Window) -> Frame:
    """Fold everything, and close."""
    window.find_ended()
    while window.fold_pending(10_000):
        pass
    return window.close(seq=1, ended_at_ns=1, span_ns=1_000 * MS)


def frame_of_many(seed: int) -> Frame:
    """Return what two hundred requests of three routes come to."""
    random, window = Random(seed), Window()
    window.open = True
    for number in range(200):
        request = begin(window, started_ns=number * 1_000 * MS)
        request.parts = [*some_calls(random, request.started_ns + MS)]
        end(request, f"GET /{number % 3}", ns=900 * MS)
    return frame_of(window)


@pytest.mark.parametrize("seed", range(5))
def test_calls_that_are_counted_at_once_come_to_what_they_do_one_by_one(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests whose calls are like most have them counted with those of others: no figure differs."""
    at_once = frame_of_many(seed)
    monkeypatch.setattr(upstreams, "are_alike", lambda records: False)
    one_by_one = frame_of_many(seed)
    assert sum(row.latency.count for row in at_once.upstreams) > 200
    for frame in (at_once, one_by_one):
        frame.slowest.clear()
        frame.upstreams.sort(key=lambda row: (row.host, row.method))
        for row in frame.upstreams:
            row.repeats.sort(key=lambda each: (each.route, each.call_site))
            row.paths.sort(key=lambda each: each.path)
    assert msgspec.to_builtins(at_once) == msgspec.to_builtins(one_by_one)


def test_calls_that_wait_to_be_counted_go_where_their_route_has_gone() -> None:
    """A route that becomes one of the others before its calls were counted takes them with it."""
    window, number = Window(), 3 * (MAX_ROUTES + NEWCOMERS)
    window.open = True
    for place in range(number):
        request = begin(window)
        request.parts = [call(request.started_ns, MS)]
        end(request, f"GET /{place}", ns=2 * MS)
        if place % 500 == 0:
            window.fold_pending(10_000)
    frame = frame_of(window)
    (row,) = frame.upstreams
    assert sum(route.http_count for route in frame.routes) == number
    assert sum(route.http_ns for route in frame.routes) == number * MS
    assert sum(row.routes.values()) == number == row.requests
    assert sum(row.spent.values()) == number * MS


def test_a_call_outside_of_any_request_is_counted_by_itself() -> None:
    """A job that belongs to nobody: the upstream has it, no route does."""
    window = Window()
    window.take()
    window.put(call(perf_counter_ns(), MS))
    frame = frame_of(window)
    (row,) = frame.upstreams
    assert row.latency.count == 1
    assert list(row.routes.values()) == [1]
    assert not frame.routes


def asked(*requests: tuple[str, list[CallRecord]], window: Window | None = None) -> Frame:
    """Return what requests of these routes come to that have made these calls."""
    window = window or Window()
    window.open = True
    for route, calls in requests:
        request = begin(window)
        request.parts = [*calls]
        end(request, route, ns=900 * MS)
    return frame_of(window)


def test_a_slow_path_is_told_apart_from_a_quick_one_of_the_same_host() -> None:
    """With its times, its route and its line; what both come to is what the upstream has."""
    quick = ("GET /", [call(1, MS, target="/health")])
    slow = ("POST /pay", [call(1, 400 * MS, target="/cards/42/charge?key=s3cret", call_site="pay.py:9 pay")])

    (row,) = asked(*[quick] * 90, *[slow] * 5).upstreams
    charge, health = sorted(row.paths, key=lambda each: each.path)

    assert (charge.path, charge.calls, charge.spent) == ("/cards/{…}/charge", 5, {"POST /pay": 2_000 * MS})
    assert (health.path, health.calls, health.spent) == ("/health", 90, {"GET /": 90 * MS})
    assert charge.call_sites == {"pay.py:9 pay": 5}
    assert charge.answer is not None
    assert charge.answer.max > 300 * MS
    assert charge.ns + health.ns == row.latency.total
    assert "s3cret" not in str(msgspec.to_builtins(row))


def test_the_only_path_of_an_upstream_costs_its_name() -> None:
    """All else the upstream has already; ids are not told, so they make one path."""
    (row,) = asked(*[("GET /", [call(1, MS, target=f"/users/{number}")]) for number in range(300)]).upstreams

    assert [msgspec.to_builtins(path) for path in row.paths] == [{"path": "/users/{…}"}]


def test_paths_are_bounded_and_none_of_their_calls_is_lost() -> None:
    """The costliest are told; what was asked for once is nobody's word."""
    words = [a + b + c for a in "bd" for b in "aeio" for c in "lmnrs"]
    often = [("GET /", [call(1, (place + 1) * MS, target=f"/{word}")]) for place, word in enumerate(words)]
    random = [("GET /", [call(1, MS, target=f"/x/{number}/{word}")]) for number, word in enumerate(words)]

    (row,) = asked(*often * 3, *random * 10).upstreams

    assert len(row.paths) == MAX_PATHS + 1
    assert row.paths[-1].path == "(other)"
    assert f"/{words[-1]}" in {path.path for path in row.paths}
    assert sum(path.calls for path in row.paths) == row.latency.count == 13 * len(words)
    assert sum(path.ns for path in row.paths) == row.latency.total


def test_a_client_is_told_with_the_route_and_the_line_that_made_it() -> None:
    """The others of the upstream share theirs."""
    shared = call(1, MS)
    own = call(1, 5 * MS, new_client=True, connect_ns=3 * MS, opened=True, call_site="pay.py:9 pay")

    (row,) = asked(*[("GET /", [shared])] * 50, *[("POST /pay", [own])] * 4).upstreams

    assert msgspec.to_builtins(row.made) == [
        {"route": "POST /pay", "call_site": "pay.py:9 pay", "clients": 4, "connect_ns": 12 * MS}
    ]
    assert row.clients == 4
