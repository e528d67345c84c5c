"""One picture of a window."""

from __future__ import annotations

import msgspec
import pytest

from perftui.model.events import FrameReceived, LinkChanged, SourceEvent
from perftui.model.history import KEPT_S
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui.model.summary import LinkState
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.outside import CacheFrame, PoolFrame, StatementFrame
from perftui_agent.wire.requests import ExceptionCount, InFlight, SlowRequest
from tests.support.frames import (
    T,
    dashboard_of,
    frame,
    gone,
    joined,
    received,
    route,
    sketch,
    traffic,
    worker,
)

A, B = worker(1), worker(2)


def test_quantiles_come_from_merged_sketches_not_from_averages() -> None:
    """One slow worker of two makes the p95 slow, where an average of p95s would halve it."""
    fast = received(A, frame(1, T + 1, [route("GET /", [10.0] * 90)]))
    slow = received(B, frame(1, T + 1, [route("GET /", [1000.0] * 10)]))
    summary = summarize(dashboard_of(joined(A), joined(B), fast, slow), T + 1.5)
    p50, p95 = summary.totals.latency.p50_ms, summary.totals.latency.p95_ms
    assert p50 is not None
    assert p95 is not None
    assert abs(p50 / 10 - 1) < 0.01
    assert abs(p95 / 1000 - 1) < 0.01


def test_rates_are_over_the_time_that_is_covered() -> None:
    """Five seconds after joining, a window of a minute holds five seconds."""
    events = [received(A, frame(seq, T + seq, [route("GET /", [5.0] * 4)])) for seq in range(1, 6)]
    summary = summarize(dashboard_of(joined(A), *events), T + 5.5, 60)
    assert summary.window_s == 5.0
    assert summary.totals.rps == 4.0
    assert summary.routes[0].rps == 4.0


def test_the_window_ends_with_the_newest_frame() -> None:
    """A window of ten seconds holds ten frames although the next one is due."""
    events = [received(A, frame(seq, T + seq, [route("GET /", [5.0])])) for seq in range(1, 31)]
    dashboard = dashboard_of(joined(A), *events)
    assert summarize(dashboard, T + 30.9, 10).totals.requests == 10
    assert summarize(dashboard, T + 31.05, 10).totals.requests == 10


def test_nobody_was_silent_in_a_past_that_is_told_in_tens_of_seconds() -> None:
    """Wherever in the ten the cursor stands; who had fallen silent before was so."""
    events: list[SourceEvent] = [joined(A), joined(B)]
    for second in range(1, 301):
        events += [
            received(each, frame(second, T + second, [route("GET /", [5.0])]))
            for each in (A, B)
            if each is A or second <= 100
        ]
    dashboard = dashboard_of(*events)
    for at in range(120, 140):
        then = summarize(dashboard, T + 300.5, 60, cursor=T + at + 0.5)
        assert {row.pid: row.state for row in then.workers} == {1: "ok", 2: "silent"}
        assert (then.coverage.workers_seen, then.coverage.workers_known) == (1, 2)


def test_a_cursor_shows_what_was_there_then() -> None:
    """Rewinding gives the window, the workers and their states as they were."""
    events = [
        received(A, frame(seq, T + seq, [route("GET /", [5.0])], in_flight=seq)) for seq in range(1, 61)
    ]
    dashboard = dashboard_of(joined(A), joined(B), *events, gone(B, T + 50.0))
    then = summarize(dashboard, T + 61.0, 10, cursor=T + 30.0)
    assert then.totals.requests == 10
    assert then.totals.in_flight == 30
    assert [row.state for row in then.workers] == ["ok", "silent"]
    assert then.events == ()
    assert [point.at for point in then.points] == [T + second for second in range(21, 31)]


def test_states_of_workers() -> None:
    """Blocked for a second, silent after two and a half, gone when the process is."""
    c, d = worker(3), worker(4)
    dashboard = dashboard_of(
        *(joined(each) for each in (A, B, c, d)),
        received(A, frame(1, T + 10)),
        received(B, frame(1, T + 10, blocked_ms=1000.0)),
        received(c, frame(1, T + 8)),
        received(d, frame(1, T + 9)),
        gone(d, T + 9.5),
    )
    summary = summarize(dashboard, T + 10.9)
    states = [(row.pid, row.state, row.gone_since) for row in summary.workers]
    assert states == [(1, "ok", None), (2, "blocked", None), (3, "silent", None), (4, "gone", T + 9.5)]
    assert summary.workers[1].blocked_ms == 1000.0
    assert (summary.coverage.workers_seen, summary.coverage.workers_known) == (2, 3)


def test_a_gone_worker_stays_for_the_window_and_its_requests_with_it() -> None:
    """What the dead served counts until the window has passed it."""
    events: list[SourceEvent] = [received(A, frame(1, T + 1, [route("GET /", [5.0])])), gone(A, T + 2.0)]
    events += [received(B, frame(seq, T + seq, [route("GET /", [5.0])])) for seq in range(1, 100)]
    dashboard = dashboard_of(joined(A), joined(B), *events)
    soon = summarize(dashboard_of(joined(A), joined(B), *events[:12]), T + 11.0, 60)
    assert [(row.pid, row.requests) for row in soon.workers] == [(2, 10), (1, 1)]
    assert soon.totals.requests == 11
    later = summarize(dashboard, T + 99.5, 60)
    assert [row.pid for row in later.workers] == [2]
    assert later.totals.requests == 60


def test_in_flight_is_that_of_the_last_frames_of_the_living() -> None:
    """Requests in flight aren't added up over time, nor over the dead."""
    dashboard = dashboard_of(
        joined(A),
        joined(B),
        received(A, frame(1, T + 1, in_flight=5)),
        received(A, frame(2, T + 2, in_flight=2)),
        received(B, frame(1, T + 2, in_flight=7)),
        gone(B, T + 2.5),
    )
    assert summarize(dashboard, T + 2.6).totals.in_flight == 2


def test_statuses_go_by_the_names_people_know() -> None:
    """Errors are 5xx; clients that left are neither errors nor lost."""
    sent = route("GET /", [], success=5, redirect=1, client_error=2, server_error=3, disconnected=1)
    summary = summarize(dashboard_of(joined(A), received(A, frame(1, T + 1, [sent]))), T + 1.5)
    row = summary.routes[0]
    assert row.status == {"2xx": 5, "3xx": 1, "4xx": 2, "5xx": 3, "disconnected": 1}
    assert (row.requests, row.errors, row.error_rate) == (12, 3, 0.25)
    assert summary.totals.error_rate == 0.25


def test_what_seldom_goes_on_after_a_response_is_no_work_of_the_route() -> None:
    """What frameworks tidy up is measured as well, where it took long: once in twenty requests is chance."""
    for took, expected in (([30.0], None), ([30.0] * 2, 30.0), ([4000.0], 4000.0)):
        sent = route("GET /", [5.0] * 20)
        sent.background = sketch(took)
        row = summarize(dashboard_of(joined(A), received(A, frame(1, T + 1, [sent]))), T + 1.5).routes[0]
        told = row.background_p95_ms
        assert told == (None if expected is None else pytest.approx(expected, rel=0.01))


def test_what_nobody_measures_is_no_data() -> None:
    """Without a probe for SQL a route has no statements per request, and not 0 of them."""
    sent = frame(1, T + 1, [route("GET /", [5.0])])
    row = summarize(dashboard_of(joined(A), received(A, sent)), T + 1.5).routes[0]
    assert row.sql_per_request is None
    assert row.sql_ms_per_request is None
    assert row.background_p95_ms is None
    assert row.serialize_ms_per_request is None
    sent.probes["sqlalchemy"] = "on"
    row = summarize(dashboard_of(joined(A), received(A, sent)), T + 1.5).routes[0]
    assert row.sql_per_request == 0.0


def test_transactions_are_part_of_a_routes_database_time() -> None:
    """Their steps are apart from its statements; together they are what it spent in databases."""

    def sent(seq: int) -> FrameReceived:
        one = frame(seq, T + seq, [route("GET /", [50.0, 50.0])])
        one.probes["sqlalchemy"] = "on"
        one.routes[0].sql_count, one.routes[0].sql_ns = 4, 8_000_000
        one.routes[0].transaction_count, one.routes[0].transaction_ns = 2, 60_000_000
        one.statements = [StatementFrame(fingerprint="s", statement="SELECT ?", latency=sketch([2.0] * 4))]
        one.transactions = [StatementFrame(fingerprint="c", statement="COMMIT", latency=sketch([30.0] * 2))]
        return received(A, one)

    summary = summarize(dashboard_of(joined(A), sent(1), sent(2)), T + 2.5)
    row = summary.routes[0]
    assert (row.sql_per_request, row.sql_ms_per_request, row.transaction_ms_per_request) == (2.0, 34.0, 30.0)
    assert row.statement_ms_per_request == 4.0
    assert summary.totals.transaction_ms_per_request == 30.0
    assert [query.statement for query in summary.queries] == ["SELECT ?"]
    assert [(step.statement, step.count) for step in summary.transactions] == [("COMMIT", 4)]
    assert [asked.statement for asked in summary.asked] == ["COMMIT", "SELECT ?"]


def test_shares_tell_the_workers_apart() -> None:
    """Each worker's part of a route adds up to the route, by pid, for windows of up to a minute."""
    dashboard = dashboard_of(*traffic(workers=3, routes=2, seconds=75, requests=2))
    for window_s in (10, 60):
        for row in summarize(dashboard, T + 75.5, window_s).routes:
            assert [share.pid for share in row.shares] == [1000, 1001, 1002]
            assert sum(share.requests for share in row.shares) == row.requests
            assert sum(share.latency.count for share in row.shares) == row.latency.count


def test_shares_are_those_of_the_last_minute_at_most() -> None:
    """A longer window has the shares of its last minute, one further back none."""
    dashboard = dashboard_of(*traffic(workers=2, routes=1, seconds=200, requests=2))
    (row,) = summarize(dashboard, T + 200.5, 150).routes
    assert [share.requests for share in row.shares] == [120, 120]
    (row,) = summarize(dashboard, T + 200.5, 60, cursor=T + 100.5).routes
    assert row.requests > 0
    assert tuple(row.shares) == ()


def test_a_second_look_at_a_trend_is_the_first() -> None:
    """What is worked out when it is looked at is a sequence like any other."""
    events = [received(A, frame(seq, T + seq, [route("GET /", [5.0])])) for seq in (1, 3)]
    row = summarize(dashboard_of(joined(A), *events), T + 3.5, 3).routes[0]
    assert row.trend == list(row.trend) == list(row.trend[:])
    assert (len(row.trend), row.trend[1], row.trend[-1]) == (3, None, row.trend[0])
    assert repr(row.trend) == repr(tuple(row.trend))


def test_the_steps_of_a_route_make_up_its_window() -> None:
    """Their latencies add up to those of the route, the oldest first; a quiet stretch is an empty step."""
    events = [received(A, frame(seq, T + seq, [route("GET /", [5.0] * seq)])) for seq in (*range(1, 11), 60)]
    row = summarize(dashboard_of(joined(A), *events), T + 60.5, 60).routes[0]
    assert [step.at - T for step in row.steps] == [5.0 * number for number in range(1, 13)]
    assert [step.latency.count for step in row.steps] == [15, 40, *[0] * 9, 60]
    assert row.latency.count == 115


def test_a_worker_has_its_figures_at_each_point() -> None:
    """Where it sent nothing there are none; what it doesn't measure there is none of."""
    events = [
        received(A, frame(seq, T + seq, [route("GET /", [5.0] * 4 * seq)], in_flight=seq)) for seq in (1, 3)
    ]
    (row,) = summarize(dashboard_of(joined(A), *events), T + 3.5, 3).workers
    assert row.trends.rps == (4.0, None, 12.0)
    assert row.trends.in_flight == (1, None, 3)
    assert row.trends.threads == row.trends.gc_ms == (None, None, None)
    assert row.trends.cpu_percent == (12.5, None, 12.5)
    assert [value and round(value, 1) for value in row.trends.lag_ms] == [0.1, None, 0.1]


def test_long_windows_have_points_of_ten_seconds_even_where_history_was_thinned() -> None:
    """Fifteen minutes are ninety points, the oldest among them."""
    dashboard = dashboard_of(*traffic(workers=1, routes=1, seconds=KEPT_S, requests=1))
    summary = summarize(dashboard, T + KEPT_S + 0.5, KEPT_S)
    assert len(summary.points) in {90, 91}
    assert sum(point.p95_ms is not None for point in summary.points) >= 84
    assert sum(value is not None for value in summary.routes[0].trend) >= 84


def test_everything_else_of_a_frame_finds_its_place() -> None:
    """Statements, pools, caches, slow requests, incidents and exceptions are added up over workers."""

    def full(seq: int) -> Frame:
        sent = route("GET /orders", [5.0], server_error=1)
        sent.exceptions = [ExceptionCount(type="ValueError", place="app.py:3 pay", count=2)]
        return msgspec.structs.replace(
            frame(seq, T + seq, [sent]),
            statements=[
                StatementFrame(
                    fingerprint="f", statement="SELECT 1", latency=sketch([2.0]), routes={"GET /orders": 1}
                )
            ],
            pools=[PoolFrame(name="db", kind="QueuePool", size=5, checked_out=2, max=15, wait=sketch([1.0]))],
            caches=[CacheFrame(name="config", kind="TTLCache", hits=3, misses=1, size=10, maxsize=100)],
            slowest=[
                SlowRequest(
                    id=str(seq), route="GET /orders", method="GET", path="/orders", status=500,
                    ended_at=0, total_ns=seq * 1_000_000,
                )
            ],
            incidents=[Incident(kind="loop-blocked", at=5, ns=seq, where="app.py:9 hash", ongoing=seq == 1)],
            in_flight_rows=[InFlight(route="GET /", method="GET", path="/", age_ns=seq)],
        )  # fmt: skip

    events = [received(each, full(seq)) for each in (A, B) for seq in (1, 2)]
    summary = summarize(dashboard_of(joined(A), joined(B), *events), T + 2.5)
    query, pool, cache = summary.queries[0], summary.pools[0], summary.caches[0]
    assert (query.statement, query.count, query.routes) == ("SELECT 1", 4, ("GET /orders",))
    assert (pool.size, pool.checked_out, pool.overflow, pool.max) == (10, 4, None, 30)
    assert (cache.hits, cache.misses, cache.size, cache.maxsize) == (12, 4, 20, 200)
    assert [row.request.id for row in summary.slowest] == ["2", "2", "1", "1"]
    assert [(row.pid, row.incident.ns) for row in summary.incidents] == [(1, 2), (2, 2)]
    assert [(row.pid, row.request.age_ns) for row in summary.in_flight] == [(1, 2), (2, 2)]
    assert summary.routes[0].exceptions == (ExceptionCount(type="ValueError", place="app.py:3 pay", count=8),)


def test_a_sum_that_is_remembered_is_the_sum() -> None:
    """Window after window, sliding or jumping, the total is what the frames say."""
    dashboard = dashboard_of()
    for event in traffic(workers=2, routes=3, seconds=150, requests=2):
        dashboard = merge(dashboard, event)
        if isinstance(event, FrameReceived) and event.worker == worker(1001).id:
            second = int(event.received_at) - T
            for window_s in (7, 60):
                summary = summarize(dashboard, T + second + 0.5, window_s)
                assert summary.totals.requests == min(second, window_s) * 2 * 3 * 2
                assert sum(row.requests for row in summary.routes) == summary.totals.requests


def test_when_nobody_is_heard_the_picture_stands() -> None:
    """Ten minutes after the last word the window is that of the last word; who is there is told as of now."""
    events = [received(A, frame(seq, T + seq, [route("GET /", [5.0] * seq)])) for seq in range(1, 31)]
    live = dashboard_of(joined(A), *events)
    before = summarize(live, T + 30.5, 10)
    links: tuple[LinkState, ...] = ("stale", "lost")
    for link in links:
        after = summarize(merge(live, LinkChanged(link, T + 33.0)), T + 630.0, 10)
        assert (after.totals, after.points, after.window_s) == (before.totals, before.points, 10.0)
        assert after.workers[0].state == "silent"
        assert after.stale_s is not None
        assert round(after.stale_s) == 600


def test_a_link_that_was_stale_from_the_start_tells_for_how_long() -> None:
    """A worker that said hello and then nothing was heard then."""
    summary = summarize(dashboard_of(joined(A), LinkChanged("stale", T + 3.0)), T + 12.0)
    assert summary.stale_s is not None
    assert round(summary.stale_s) == 12


def test_a_route_that_waits_on_purpose_is_shown_as_such_and_last() -> None:
    """Its requests count; its latencies are its own; it costs nobody anything."""
    polls = route("GET /poll", [25_000.0] * 5)
    polls.long_poll = "declared"
    sent = frame(1, T + 1, [polls, route("GET /", [10.0] * 20)])
    summary = summarize(dashboard_of(joined(A), received(A, sent)), T + 1.5)
    assert [(row.route, row.long_poll) for row in summary.routes] == [
        ("GET /", ""),
        ("GET /poll", "declared"),
    ]
    assert summary.totals.requests == 25
    assert summary.totals.latency.count == summary.workers[0].latency.count == 20
    assert summary.points[-1].p99_ms == summary.totals.latency.p99_ms
