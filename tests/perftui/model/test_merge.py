"""The fold of events into the dashboard."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from perftui.model.events import (
    FrameReceived,
    HistoryReceived,
    LinkChanged,
    SourceEvent,
    WorkerFound,
    WorkerGone,
)
from perftui.model.history import KEPT_S
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui_agent.wire.identity import SloTarget
from tests.support.frames import T, dashboard_of, frame, gone, joined, received, route, worker

A, B = worker(1), worker(2)


def summary_of(*events: SourceEvent, at: float = T + 5.0) -> Summary:
    return summarize(dashboard_of(*events), at)


def test_a_frame_that_comes_twice_counts_once() -> None:
    """Counters never show what didn't happen."""
    sent = received(A, frame(1, T + 1, [route("GET /", [5.0])]))
    assert summary_of(joined(A), sent, sent).totals.requests == 1


@given(st.lists(st.integers(1, 20), min_size=1, max_size=40))
def test_whatever_is_repeated_each_frame_counts_once(seqs: list[int]) -> None:
    """In any order and with any repeats, the total is that of the distinct frames."""
    frames = [frame(seq, T + seq, [route("GET /", [5.0])]) for seq in seqs]
    summary = summary_of(joined(A), *(FrameReceived(A.id, each, T + 20.5) for each in frames), at=T + 21.0)
    assert summary.totals.requests == len(set(seqs))
    assert summary.coverage.frames_dropped == max(seqs) - min(seqs) + 1 - len(set(seqs))


def test_a_frame_of_an_unknown_worker_changes_nothing() -> None:
    """Who never said hello isn't counted."""
    before = dashboard_of(joined(A))
    assert merge(before, received(B, frame(1, T + 1))) is before


def test_history_fills_the_time_before_the_connection() -> None:
    """What an agent kept is there at once, is no gap, and repeats of it in the stream don't count."""
    past = tuple(frame(seq, T - 10 + seq, [route("GET /", [5.0])]) for seq in range(1, 11))
    live = received(A, frame(10, T, [route("GET /", [5.0])]))
    new = received(A, frame(11, T + 1, [route("GET /", [5.0])]))
    summary = summary_of(joined(A), HistoryReceived(A.id, past, T + 0.1), live, new)
    assert summary.totals.requests == 11
    assert summary.coverage.frames_dropped == 0


def test_history_that_comes_again_after_a_dropped_connection_fills_only_the_gap() -> None:
    """Frames missed between two connections turn up in the history of the second."""
    past = tuple(frame(seq, T + seq, [route("GET /", [5.0])]) for seq in range(1, 5))
    events = [received(A, past[0]), received(A, frame(5, T + 5, [route("GET /", [5.0])]))]
    summary = summary_of(joined(A), *events, HistoryReceived(A.id, past, T + 5.1))
    assert summary.totals.requests == 5
    assert summary.coverage.frames_dropped == 0


@given(st.permutations(range(1, 31)))
def test_history_adds_up_in_any_order(order: list[int]) -> None:
    """The latest second comes first, and not every worker's at the same time: the sum is the same."""
    events: list[SourceEvent] = [joined(A), joined(B)]
    for seq in order:
        who = A if seq % 2 else B
        events.append(
            HistoryReceived(who.id, (frame(seq, T - 31 + seq // 2, [route("GET /", [5.0])]),), T + 0.1)
        )
    summary = summary_of(*events, received(A, frame(31, T, [route("GET /", [5.0])])))
    assert (summary.totals.requests, summary.totals.latency.count) == (31, 31)
    assert sum(row.requests for row in summary.workers) == 31


def test_what_a_worker_remembers_last_stands_for_it_until_it_speaks() -> None:
    """Its gauges are there with the first picture, and what it remembers from before doesn't change them."""
    past = [frame(seq, T - 3 + seq, in_flight=seq) for seq in (3, 2, 1)]
    events = [HistoryReceived(A.id, (each,), T + 0.1) for each in past]
    (row,) = summary_of(joined(A), *events, at=T + 0.2).workers
    assert (row.in_flight, row.cpu_percent) == (3, 12.5)


def test_thinned_history_counts_whole() -> None:
    """A frame that stands for ten seconds brings the requests of ten seconds."""
    past = (frame(10, T - 20, [route("GET /", [5.0] * 10)], span_s=10.0),)
    summary = summary_of(joined(A), HistoryReceived(A.id, past, T), received(A, frame(31, T + 1)))
    assert summary.totals.requests == 10
    assert summary.coverage.frames_dropped == 0


def test_a_thinned_frame_fills_the_gap_it_stands_for_and_counts_once() -> None:
    """Ten missed frames come as one, and are no longer lost."""
    live: list[SourceEvent] = [
        received(A, frame(seq, T + seq, [route("GET /", [5.0])])) for seq in (1, 2, 13)
    ]
    thinned = frame(12, T + 12, [route("GET /", [5.0] * 10)], span_s=10.0)
    before = summary_of(joined(A), *live, at=T + 13.5)
    assert (before.totals.requests, before.coverage.frames_dropped) == (3, 10)
    events = [*live, HistoryReceived(A.id, (thinned,), T + 13.2)]
    after = summary_of(joined(A), *events, at=T + 13.5)
    assert (after.totals.requests, after.coverage.frames_dropped) == (13, 0)


def test_a_thinned_frame_of_which_a_part_came_live_is_passed_over() -> None:
    """Better a frame that is said to be lost than a request that is counted twice."""
    live = [received(A, frame(seq, T + seq, [route("GET /", [5.0])])) for seq in (1, 2, 3, 4, 13)]
    thinned = frame(12, T + 12, [route("GET /", [5.0] * 10)], span_s=10.0)
    summary = summary_of(joined(A), *live, HistoryReceived(A.id, (thinned,), T + 13.2), at=T + 13.5)
    assert (summary.totals.requests, summary.coverage.frames_dropped) == (5, 8)


def test_history_that_goes_on_after_the_last_live_frame_is_no_gap() -> None:
    """After a reconnect the history may end where the next live frame begins, and come before it."""
    missed = tuple(frame(seq, T + seq, [route("GET /", [5.0])]) for seq in range(1, 5))
    events: list[SourceEvent] = [
        received(A, missed[0]),
        HistoryReceived(A.id, missed, T + 4.5),
        received(A, frame(5, T + 5, [route("GET /", [5.0])])),
    ]
    summary = summary_of(joined(A), *events, at=T + 5.5)
    assert (summary.totals.requests, summary.coverage.frames_dropped) == (5, 0)


def test_an_agent_that_starts_anew_in_the_same_process_counts_anew() -> None:
    """Its frames begin with 1 again, live or from its new box, and none of them is taken for an old one."""
    first = [received(A, frame(seq, T + seq, [route("GET /", [5.0])])) for seq in range(1, 4)]
    past = tuple(frame(seq, T + 10 + seq, [route("GET /", [5.0])]) for seq in (1, 2))
    again: list[SourceEvent] = [
        joined(A, T + 12.5),
        HistoryReceived(A.id, past, T + 12.6),
        received(A, frame(3, T + 13, [route("GET /", [5.0])])),
    ]
    summary = summary_of(joined(A), *first, *again, at=T + 13.5)
    assert (summary.totals.requests, summary.coverage.frames_dropped) == (6, 0)


def test_the_last_words_of_the_dead_count_and_are_no_sign_of_life() -> None:
    """What a killed worker had written down is what was seen of it last."""
    last_words = frame(2, T + 2, [route("GET /", [5.0])], in_flight=7)
    events: list[SourceEvent] = [received(A, frame(1, T + 1, [route("GET /", [5.0])])), gone(A, T + 2.5)]
    summary = summary_of(joined(A), *events, HistoryReceived(A.id, (last_words,), T + 2.6))
    (row,) = summary.workers
    assert (row.state, row.requests, row.lost_in_flight) == ("gone", 2, 7)
    assert summary.totals.requests == 2


def test_a_worker_turns_silent_even_if_the_clock_was_set_back() -> None:
    """An hour that comes twice isn't an hour of grace."""
    before = received(A, frame(1, T + 7200))
    after = received(A, frame(2, T + 1))
    summary = summary_of(joined(A, T + 7199), before, after, at=T + 4.0)
    assert [row.state for row in summary.workers] == ["silent"]


def test_a_frame_cannot_cover_more_than_is_kept() -> None:
    """A span of a century is a lie, and would make every rate 0."""
    sent = msgspec.structs.replace(frame(1, T + 1, [route("GET /", [5.0])]), span_ns=2**61)
    assert summary_of(joined(A), received(A, sent)).window_s == KEPT_S


def test_a_recycled_pid_is_another_worker() -> None:
    """The same pid with another start time starts from nothing; what the old one did still counts."""
    reborn = worker(1, started_at=T + 3.0)
    summary = summary_of(
        joined(A),
        received(A, frame(7, T + 1, [route("GET /", [5.0] * 3)])),
        gone(A, T + 2.0),
        joined(reborn, at=T + 3.5),
        received(reborn, frame(1, T + 4, [route("GET /", [5.0])])),
    )
    assert [(row.pid, row.state, row.requests) for row in summary.workers] == [(1, "ok", 1), (1, "gone", 3)]
    assert summary.totals.requests == 4


def test_the_death_of_a_worker_and_its_replacement_are_events() -> None:
    """The time axis tells who went and who took the place."""
    newcomer = worker(3, started_at=T + 3.0)
    summary = summary_of(joined(A), joined(B), gone(A, T + 2.0), joined(newcomer, at=T + 3.5))
    told = [(event.kind, event.at, event.sentence) for event in summary.events]
    assert told == [
        ("worker-lost", T + 2.0, "worker 1 is gone"),
        ("worker-restarted", T + 3.5, "worker 3 has replaced 1"),
    ]


def test_workers_that_were_there_from_the_beginning_are_no_news() -> None:
    """Connecting to four workers isn't four events; one that starts later without a death before is one."""
    later = worker(3, started_at=T + 1.0)
    summary = summary_of(joined(A), joined(B), joined(later, at=T + 2.0))
    assert [event.kind for event in summary.events] == ["worker-joined"]


def test_a_death_is_told_once() -> None:
    """A second word of it changes nothing."""
    dashboard = dashboard_of(joined(A), gone(A, T + 2.0))
    assert merge(dashboard, WorkerGone(A.id, T + 3.0)) is dashboard


def test_text_from_outside_is_cleaned_at_the_door() -> None:
    """No control character of an identity or a frame gets behind merge."""
    evil = worker(9)
    evil_service = msgspec.structs.replace(evil, service="sh\x1b[31mop")
    summary = summary_of(joined(evil_service), received(evil, frame(1, T + 1, [route("GET /\x07", [5.0])])))
    assert summary.service == "shop"
    assert [row.route for row in summary.routes] == ["GET /"]


def test_the_promises_of_the_service_come_with_its_hello() -> None:
    """Each distinct target is judged once, however many workers repeat it."""
    promise = SloTarget(p95_ms=200)
    summary = summary_of(joined(A, slo=[promise]), joined(B, slo=[promise]))
    assert [(each.slo, each.met) for each in summary.slo] == [("p95<200ms", None)]


def test_a_frame_from_the_future_is_taken_as_of_now() -> None:
    """A worker's clock that is an hour ahead doesn't push everyone else's history out."""
    ahead = FrameReceived(A.id, frame(1, T + 3600, [route("GET /", [5.0])]), T + 1.0)
    summary = summary_of(joined(A), joined(B), ahead, received(B, frame(1, T + 2, [route("GET /", [5.0])])))
    assert summary.totals.requests == 2


def test_a_clock_that_was_set_back_starts_history_anew() -> None:
    """Time that hasn't come yet is forgotten, and what happens now is shown."""
    dashboard = dashboard_of(joined(A), received(A, frame(1, T + 7200, [route("GET /", [5.0])])))
    dashboard = merge(dashboard, received(A, frame(2, T + 1, [route("GET /", [5.0] * 3)])))
    assert summarize(dashboard, T + 1.5).totals.requests == 3


def test_the_state_of_the_link_is_taken_from_the_source() -> None:
    """A stale link says for how long nothing has come."""
    summary = summary_of(joined(A), received(A, frame(1, T + 1)), LinkChanged("stale", T + 4.0), at=T + 13.01)
    assert summary.link == "stale"
    assert summary.stale_s is not None
    assert round(summary.stale_s, 6) == 12.0


def test_a_worker_that_was_only_found_is_known_and_not_seen() -> None:
    """Coverage tells a worker that is there from one that talks."""
    summary = summary_of(joined(A), received(A, frame(1, T + 4)), WorkerFound(B, T + 4.0))
    assert (summary.coverage.workers_seen, summary.coverage.workers_known) == (1, 2)


def test_merging_leaves_the_dashboard_before_it_as_it_was() -> None:
    """A dashboard is a value: whoever holds one may look at it for ever."""
    before = dashboard_of(joined(A), received(A, frame(1, T + 1, [route("GET /", [5.0])])))
    copy = replace(before)
    merge(before, received(A, frame(2, T + 2, [route("GET /", [5.0])])))
    merge(before, gone(A, T + 2.0))
    assert before == copy
    assert summarize(before, T + 2.0).totals.requests == 1
