"""What is said of other services: each kind where it holds, and next to where it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from perftui.model.outside_summary import UpstreamSummary
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.model.upstreams import key_of, upstream_of, upstream_rows
from perftui_agent.wire.called import NewClients, UpstreamPath
from perftui_agent.wire.outside import UpstreamFrame
from perftui_agent.wire.requests import RepeatedCalls
from tests.perftui.findings.pictures import a_route, found, only, picture
from tests.support.frames import sketch

HOST = "rates.internal:8080"
PLACE = "app/rates.py:12 load"


def a_call(count: int = 100, answer_ms: float = 300.0, **more: Any) -> UpstreamSummary:
    """Return an upstream that `GET /quote` asks once each time, over one client that all share."""
    values: dict[str, Any] = {
        "answer_p50_ms": answer_ms,
        "answer_p95_ms": answer_ms,
        "answer_p95_least_ms": answer_ms,
        "answers": count,
        "answer_ms": answer_ms * count,
        "total_ms": answer_ms * count,
        "pool_wait_p95_ms": 0.0,
        "requests": count,
        "clients": 1,
        "opened": 1,
        "reused": count - 1,
        "routes": {"GET /quote": count},
        "spent_ms": {"GET /quote": answer_ms * count},
        "call_sites": {PLACE: 3},
    }
    return UpstreamSummary(host=HOST, method="GET", library="httpx", count=count, **{**values, **more})


def summed(answers_ms: Sequence[float]) -> UpstreamSummary:
    """Return what a summary makes of a worker's answers."""
    answers = sketch(answers_ms)
    frame = UpstreamFrame(
        host=HOST,
        method="GET",
        library="httpx",
        latency=answers,
        answer=answers,
        routes={"GET /quote": len(answers_ms)},
        spent={"GET /quote": answers.total},
    )
    (row,) = upstream_rows({key_of(frame): upstream_of([frame])}, [])
    return row


def quoting(*rows: UpstreamSummary, route_ms: float = 320.0, http_ms: float = 300.0) -> Summary:
    """Return a picture of a route that calls these."""
    route: RouteSummary = a_route("GET /quote", [route_ms] * 100, http_ms_per_request=http_ms)
    return picture(routes=[route], upstreams=list(rows))


def beside_a_busy_path(slow: int, **more: Any) -> UpstreamSummary:
    """Return a host asked 2,000 times for its health, and now and then for a charge that takes 900 ms."""
    quick, charges = sketch([2.0] * 2000), sketch([900.0] * slow)
    paths = [
        UpstreamPath(path="/health", calls=2000, answer=quick, ns=quick.total, spent={"GET /": quick.total}),
        UpstreamPath(
            path="/cards/{…}/charge",
            calls=slow,
            answer=charges,
            ns=charges.total,
            spent={"GET /quote": charges.total},
            call_sites={"app/pay.py:9 charge": slow},
            **more,
        ),
    ]
    both = sketch([*[2.0] * 2000, *[900.0] * slow])
    errors = sum(path.errors for path in paths)
    row = UpstreamFrame(host=HOST, method="POST", library="httpx", latency=both, answer=both, paths=paths)
    row.errors, row.routes = errors, {"GET /": 2000, "GET /quote": slow}
    row.spent, row.call_sites = {"GET /": quick.total, "GET /quote": charges.total}, {PLACE: 1}
    (summed,) = upstream_rows({key_of(row): upstream_of([row])}, [])
    return summed


def repeated(calls: int, requests: int = 10, distinct: int | None = None) -> tuple[RepeatedCalls, ...]:
    """Return that so many requests made so many calls each."""
    each = calls if distinct is None else distinct
    return (
        RepeatedCalls(
            route="GET /quote",
            call_site=PLACE,
            requests=requests,
            calls=calls * requests,
            distinct=each * requests,
            most=calls,
            ns=requests * 60_000_000,
        ),
    )


def test_a_slow_upstream_is_named_with_its_route() -> None:
    """It takes long to answer, and that is most of the route's time."""
    finding = only("upstream-slow", quoting(a_call()))

    assert (finding.subject, finding.route, finding.severity) == (HOST, "GET /quote", "low")
    assert "p95 300 ms to answer 100 GET calls" in finding.sentence
    assert "94 % of the time of GET /quote" in finding.sentence


@pytest.mark.parametrize(
    "summary",
    [
        quoting(a_call(answer_ms=120.0), route_ms=140.0, http_ms=120.0),
        quoting(a_call(), route_ms=900.0),
        quoting(a_call(count=10)),
        # The answers lay here: it is the loop that was held.
        quoting(a_call(answer_ms=20.0, total_ms=30_000.0, held_ms=28_000.0), http_ms=20.0),
        # The calls waited for the client's own pool.
        quoting(a_call(answer_ms=20.0, total_ms=30_000.0, pool_wait_ms=28_000.0, pool_wait_p95_ms=280.0)),
    ],
    ids=["answers soon", "is not most of it", "few calls", "the loop was held", "the pool was empty"],
)
def test_near_a_slow_upstream(summary: Summary) -> None:
    """What only looks like one is none."""
    assert found("upstream-slow", summary) == []


def test_six_of_a_hundred_slow_answers_may_be_chance() -> None:
    """They make a p95, and stay one once it is told; fifteen of a hundred are no chance."""

    def answered(slow: int) -> Summary:
        row = summed([90.0] * (100 - slow) + [260.0] * slow)
        return quoting(row, route_ms=110.0, http_ms=100.0)

    assert found("upstream-slow", answered(6)) == []
    assert found("upstream-slow", answered(6), {HOST: "low"})
    assert found("upstream-slow", answered(15))


def test_a_slow_path_is_named_beside_a_busy_one() -> None:
    """One call in seventy: the host's own p95 is that of its health check."""
    row = beside_a_busy_path(30)
    finding = only("upstream-slow", quoting(row, route_ms=300.0, http_ms=270.0))

    assert row.answer_p95_ms is not None
    assert row.answer_p95_ms < 3.0
    assert (finding.subject, finding.route) == (HOST, "GET /quote")
    assert finding.sentence.startswith(
        "p95 900 ms to answer 30 POST /cards/{…}/charge calls from app/pay.py:9 charge, "
    )


def test_near_a_slow_path_beside_a_busy_one() -> None:
    """Too few to say anything of, or no great part of the route."""
    assert found("upstream-slow", quoting(beside_a_busy_path(10), route_ms=100.0, http_ms=90.0)) == []
    assert found("upstream-slow", quoting(beside_a_busy_path(30), route_ms=3000.0, http_ms=900.0)) == []


def test_a_path_that_fails_is_named_beside_a_busy_one() -> None:
    """Of the host's calls it is one in two hundred."""
    row = beside_a_busy_path(12, errors=10, failures={"503": 10})
    finding = only("upstream-errors", quoting(row))

    assert finding.subject == HOST
    assert finding.sentence == (
        "83 % of 12 POST /cards/{…}/charge calls failed from app/pay.py:9 charge: 10× 503"
    )
    assert finding.route == "GET /quote"


def test_failures_are_told_by_name() -> None:
    """How many, and with what."""
    row = a_call(errors=12, timeouts=4, retries=3, failures={"503": 8, "ReadTimeout": 4})
    finding = only("upstream-errors", quoting(row))

    assert finding.severity == "medium"
    assert "12 % of 100 calls failed" in finding.sentence
    assert "8× 503, 4× ReadTimeout, 3 retries" in finding.sentence


@pytest.mark.parametrize(
    "row",
    [
        a_call(errors=4, failures={"503": 4}),
        a_call(count=1000, errors=20, failures={"503": 20}),
        a_call(errors=30, timeouts=30, pool_timeouts=30, failures={"PoolTimeout": 30}),
        a_call(cancelled=50),
    ],
    ids=["a few", "a small share", "the client's own pool", "given up by the caller"],
)
def test_near_failures(row: UpstreamSummary) -> None:
    """What networks do, and what is no fault of the upstream's."""
    assert found("upstream-errors", quoting(row)) == []


def test_a_client_s_pool_that_is_waited_for() -> None:
    """Waits, time-outs, and one that goes on: each is enough."""
    for row in (
        a_call(pool_wait_p95_ms=60.0, pool_waits=40, pool_wait_ms=2400.0),
        a_call(pool_timeouts=1, timeouts=1, errors=1),
        a_call(waiting=3, longest_wait_ms=4000.0),
    ):
        assert only("client-pool-exhausted", quoting(row)).subject == HOST


@pytest.mark.parametrize(
    "row",
    [
        a_call(pool_wait_p95_ms=15.0),
        a_call(connections=100, limit=100, idle=0),
        a_call(waiting=3, longest_wait_ms=200.0),
    ],
    ids=["short waits", "all in use", "waits that have just begun"],
)
def test_near_an_exhausted_pool(row: UpstreamSummary) -> None:
    """A pool that is used up, and waited for by nobody for long, is well sized."""
    assert found("client-pool-exhausted", quoting(row)) == []


def test_many_calls_by_one_request() -> None:
    """The route, the place and how often; asked for the same thing, the advice is another."""
    finding = only("chatty-upstream", quoting(a_call(repeats=repeated(20))))
    same = only("chatty-upstream", quoting(a_call(repeats=repeated(20, distinct=1))))

    assert (finding.subject, finding.route) == (HOST, "GET /quote")
    assert finding.sentence == f"20× GET per request of GET /quote from {PLACE}, 60 ms per request"
    assert "for the same thing" in same.sentence
    assert same.advice != finding.advice


@pytest.mark.parametrize("repeats", [repeated(4), repeated(20, requests=2)], ids=["a few", "odd requests"])
def test_near_many_calls(repeats: tuple[RepeatedCalls, ...]) -> None:
    """What code does, and what one argument makes it do."""
    assert found("chatty-upstream", quoting(a_call(repeats=repeats))) == []


def test_a_client_for_each_request_is_named_by_its_place() -> None:
    """Where it is made is what has to change."""
    finding = only(
        "client-per-request", quoting(a_call(clients=100, opened=100, reused=0, connect_ms=4000.0))
    )

    assert finding.subject == PLACE
    assert "100 % of 100 requests made a client of their own" in finding.sentence
    assert "40 ms per request to connect" in finding.sentence


def a_client_by(route: str, clients: int, calls: int) -> UpstreamSummary:
    """Return a host that others ask 2,000 times over a client they share."""
    made = NewClients(route=route, call_site="app/pay.py:9 charge", clients=clients, connect_ns=9_000_000)
    return a_call(
        count=2000 + calls,
        clients=clients + 1,
        requests=2000 + calls,
        routes={"GET /": 2000, route: calls},
        made=(made,),
    )


def test_a_client_for_each_request_of_one_route_is_named_beside_a_shared_one() -> None:
    """By the route and the line that make it."""
    finding = only("client-per-request", quoting(a_client_by("GET /quote", 18, 20)))

    assert (finding.subject, finding.route) == ("app/pay.py:9 charge", "GET /quote")
    assert "90 % of 20 requests of GET /quote made a client of their own" in finding.sentence


@pytest.mark.parametrize(
    "row",
    [
        a_call(count=8, clients=4),
        a_call(clients=12, opened=12),
        a_client_by("GET /quote", 4, 4),
        a_client_by("GET /quote", 18, 90),
    ],
    ids=["workers that begin", "one here and there", "a route that begins", "few of a route's"],
)
def test_near_a_client_for_each_request(row: UpstreamSummary) -> None:
    """A shared client is new once in each worker."""
    assert found("client-per-request", quoting(row)) == []


@pytest.mark.parametrize(
    ("kind", "key", "row"),
    [
        ("upstream-slow", HOST, a_call(answer_ms=170.0)),
        ("upstream-errors", HOST, a_call(count=200, errors=8, failures={"503": 8})),
        ("client-pool-exhausted", HOST, a_call(pool_wait_p95_ms=12.0)),
        ("chatty-upstream", HOST, a_call(repeats=repeated(4))),
        ("client-per-request", PLACE, a_call(clients=40)),
    ],
)
def test_they_go_lower_than_they_come(kind: str, key: str, row: UpstreamSummary) -> None:
    """A figure between the two thresholds keeps what stands, and brings nothing."""
    summary = quoting(row, route_ms=200.0, http_ms=170.0)

    assert found(kind, summary) == []
    assert [finding.key for finding in found(kind, summary, {key: "low"})] == [key]
