"""How long requests waited before the app, over workers and time."""

from __future__ import annotations

import pytest

from perftui.model.summarize import summarize
from perftui.model.waiting import not_asked, queued_of
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import Listener
from tests.support.frames import T, dashboard_of, frame, joined, received, route, sketch, worker

A, B = worker(1), worker(2)


def test_requests_that_did_not_wait_are_zeros_of_the_quantile() -> None:
    """Of a hundred, ten waited: p95 is in the middle of those ten; of a thousand, it is none at all."""
    waits = [float(ms) for ms in range(100, 200, 10)]
    assert queued_of(sketch(waits), 100).p95_ms == pytest.approx(140.0, rel=0.01)
    assert queued_of(sketch(waits), 1000).p95_ms == 0.0
    assert queued_of(sketch(waits), 1000).ms_per_request == pytest.approx(1.45)


def test_what_nobody_could_ask_is_no_data() -> None:
    """Without a request that is known of there is no figure, and none is 0 when nobody waited."""
    assert queued_of(sketch([]), 0).p95_ms is None
    assert queued_of(sketch([]), 0).ms_per_request is None
    assert (queued_of(sketch([]), 5).p95_ms, queued_of(sketch([]), 5).ms_per_request) == (0.0, 0.0)


def test_more_waits_than_requests_are_taken_at_their_word() -> None:
    """A frame from outside may claim anything."""
    assert queued_of(sketch([20.0] * 10), 3).known == 10


def test_waits_add_up_over_workers_and_seconds() -> None:
    """Of totals, a route and a worker; a worker that can't be asked leaves the others' figures alone."""
    idle = route("GET /b", [1.0] * 20, [])
    events = [
        received(A, frame(1, T + 1, [route("GET /", [30.0] * 60, [20.0] * 6)])),
        received(A, frame(2, T + 2, [route("GET /", [30.0] * 40, [20.0] * 4), idle])),
        received(B, frame(1, T + 1, [route("GET /", [300.0] * 50)])),
    ]
    summary = summarize(dashboard_of(joined(A), joined(B), *events), T + 2.5)
    assert summary.totals.queued.known == 120
    row = summary.route("GET /")
    assert row is not None
    assert (row.requests, row.queued.known) == (150, 100)
    assert row.queued.p95_ms == pytest.approx(20.0, rel=0.01)
    assert row.queued.ms_per_request == pytest.approx(2.0)
    first, second = summary.workers
    assert first.queued.known == 120
    assert second.queued.p95_ms is None


def test_a_worker_that_cannot_be_asked_says_why() -> None:
    """The reason is the probe's own, beside the workers that have it."""
    blind = frame(1, T + 1)
    blind.probes = {"queue": "off: a Unix socket has no such clock"}
    told = [received(A, blind), received(B, frame(1, T + 1))]
    summary = summarize(dashboard_of(joined(A), joined(B), *told), T)
    assert not_asked(summary.workers) == {"off: a Unix socket has no such clock": [1]}


def heard(seq: int, waiting: int, most: int | None, overflows: int | None) -> Frame:
    """Return a frame that tells of one listening socket."""
    sent = frame(seq, T + seq)
    sent.listeners = [Listener(address="127.0.0.1:8000", waiting=waiting, limit=100, most=most)]
    sent.listen_overflows = overflows
    return sent


def test_the_fullest_moment_of_an_accept_queue_is_kept_over_the_window() -> None:
    """It drains in a moment: what counts is how full it was at most, and what was refused in all."""
    sent = [heard(1, 3, 5, 0), heard(2, 0, 90, 7), heard(3, 1, None, None)]
    (row,) = summarize(dashboard_of(joined(A), *[received(A, each) for each in sent]), T + 3.5).workers
    assert [each.waiting for each in row.listeners] == [1]
    assert [each.most for each in row.backlogs] == [90]
    assert row.listen_overflows == 7


def test_what_no_host_tells_of_refusals_is_no_data() -> None:
    """None is not 0."""
    (row,) = summarize(dashboard_of(joined(A), received(A, heard(1, 0, 0, None))), T + 1.5).workers
    assert row.listen_overflows is None
