"""Fifteen minutes in bins that thin as they age."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from perftui.model.history import BLOCK_S, KEPT_S, NO_HISTORY, SECONDS_AGE_S, History, sum_of
from perftui.model.steps import finished
from perftui.model.tally import counted, tally_of, total
from perftui_agent.wire.outside import StatementFrame
from tests.support.frames import T, frame, route, sketch, worker

A, B = worker(1).id, worker(2).id


def history_of(*seconds: int, worker: str = A) -> History:
    """Return a history with one request in each of these seconds after T."""
    history = NO_HISTORY
    for seq, second in enumerate(seconds, 1):
        history = history.with_frame(worker, frame(seq, T + second, [route("GET /", [5.0])]))
    return history


def statement(fingerprint: str, ms: float) -> StatementFrame:
    return StatementFrame(fingerprint=fingerprint, latency=sketch([ms]))


def requests(history: History, first: int, last: int) -> int:
    return finished(sum_of(history.cover(T + first, T + last))).requests


def test_frames_of_one_second_meet_in_one_bin() -> None:
    """A stagger of some milliseconds doesn't part the workers."""
    history = NO_HISTORY
    for worker_id, stagger_s in ((A, 0.0), (B, 0.12)):
        history = history.with_frame(worker_id, frame(1, T + 1 + stagger_s, [route("GET /", [5.0])]))
    assert [node.tally.requests for node in history.cover(T + 1, T + 1)] == [2]


def test_a_window_of_a_minute_is_exact_to_the_second() -> None:
    """For eighty seconds nothing is rounded, wherever the window begins."""
    history = history_of(*range(1, 300))
    for first in range(300 - 80, 299):
        assert requests(history, first, 299) == 300 - first


def test_a_window_is_covered_with_few_nodes() -> None:
    """Sixty seconds are five blocks and ten seconds, not sixty of them."""
    nodes = history_of(*range(1, 200)).cover(T + 133, T + 192)
    assert sum(node.span_s for node in nodes) == 60
    assert len(nodes) == 15


@given(st.lists(st.integers(1, 1500), min_size=1, max_size=80))
@settings(max_examples=40)
def test_no_request_is_lost_or_counted_twice_as_time_goes_by(seconds: list[int]) -> None:
    """In whatever order frames come, everything within what is kept is counted once."""
    history = NO_HISTORY
    expected = 0
    for seq, second in enumerate(seconds, 1):
        history = history.with_frame(A, frame(seq, T + second, [route("GET /", [5.0])]))
    newest = max(seconds)
    counted = requests(history, 0, newest)
    expected = sum(second > newest - KEPT_S + BLOCK_S for second in seconds)
    assert expected <= counted <= len(seconds)
    if newest <= KEPT_S:
        assert counted == len(seconds)


def test_old_time_is_coarser_and_loses_nothing() -> None:
    """What has been thinned still adds up to every request."""
    assert requests(history_of(*range(1, 841)), 0, 840) == 840


def test_time_beyond_what_is_kept_is_forgotten() -> None:
    """After an hour there are fifteen minutes of it, seconds of the newest and frames of the last alone."""
    history = history_of(*range(1, 3601))
    assert len(history.blocks) <= KEPT_S // BLOCK_S + 1
    seconds = [node for block in history.blocks.values() for node in block.seconds.values()]
    assert len(seconds) <= SECONDS_AGE_S + BLOCK_S
    assert sum(bool(node.frames) for node in seconds) <= 2


def test_a_late_frame_finds_its_place() -> None:
    """A frame of a minute that has been thinned is added to it."""
    history = history_of(*range(1, 600))
    before = requests(history, 0, 119)
    history = history.with_frame(A, frame(1000, T + 61, [route("GET /", [5.0])]))
    assert requests(history, 0, 119) == before + 1
    assert requests(history, 0, 599) == 600


def test_a_thinned_frame_lies_where_most_of_it_was() -> None:
    """Ten seconds that end in the third of a block belong to the block before it, of all workers together."""
    history = history_of(300)
    for number, worker_id in enumerate((A, B), 1):
        sent = frame(12, T + 141 + number, [route("GET /", [5.0] * 10)], span_s=10.0, in_flight=number)
        history = history.with_frame(worker_id, sent)
    (node,) = history.cover(T + 130, T + 139)
    assert (node.tally.requests, node.tally.covered_s, node.tally.in_flight) == (20, 10.0, 3)


def test_rates_of_workers_that_send_seldom_are_those_of_the_others() -> None:
    """A degraded agent sends a frame of two seconds every other second: no comb in the charts."""
    history = NO_HISTORY
    for second in range(1, 7):
        history = history.with_frame(A, frame(second, T + second, [route("GET /", [5.0] * 10)]))
        if second % 2 == 0:
            slow = frame(second, T + second, [route("GET /", [5.0] * 20)], span_s=2.0)
            history = history.with_frame(B, slow)
    rates = [node.rps for node in history.cover(T + 1, T + 6)]
    assert rates == [10.0, 20.0] * 3


def test_a_stagger_of_the_workers_does_not_make_a_second_longer() -> None:
    """Frames that end 5 to 80 ms after the second are all of that second: it covers one."""
    history = NO_HISTORY
    for number in range(16):
        sent = frame(1, T + 1 + 0.005 * number, [route("GET /", [5.0])])
        history = history.with_frame(worker(number).id, sent)
    (node,) = history.cover(T + 1, T + 1)
    assert (node.tally.covered_s, node.rps) == (1.0, 16.0)


def test_what_is_older_than_all_that_is_kept_is_passed_over() -> None:
    """A frame from an hour ago changes nothing."""
    history = history_of(3600)
    assert history.with_frame(A, frame(2, T + 1)) is history


def test_adding_a_frame_leaves_the_history_before_it_as_it_was() -> None:
    """A paused picture keeps the history it holds."""
    before = history_of(1, 2, 3)
    before.with_frame(A, frame(9, T + 3, [route("GET /", [5.0])]))
    assert requests(before, 0, 3) == 3


def test_a_sum_changes_nothing_that_it_was_made_of() -> None:
    """Parts are in other sums as well."""
    sent = frame(1, T + 1, [route("GET /", [5.0])])
    frames = [counted(A, sent, T + 1)]
    first = finished(tally_of(frames))
    twice = finished(total([first, first]))
    assert twice.routes["GET /"].latency.count == twice.workers[A].latency.count == 2
    assert first.routes["GET /"].latency.count == first.workers[A].latency.count == 1
    assert sent.routes[0].latency.count == 1


def test_a_second_that_is_asked_before_it_is_complete_is_complete_in_the_end() -> None:
    """Whoever looks in between changes nothing: each frame counts once, requests in flight add up."""
    history = NO_HISTORY
    for number, worker_id in enumerate((A, B, worker(3).id), 1):
        sent = frame(1, T + 1, [route("GET /", [5.0] * number)], in_flight=number)
        history = history.with_frame(worker_id, sent)
        tally = finished(sum_of(history.cover(T + 1, T + 1)))
        assert tally.requests == tally.in_flight == sum(range(number + 1))


def test_a_second_that_was_added_up_in_steps_is_remembered() -> None:
    """And the same as if it had been in one go, though steps were left half done before."""
    history = history_of(1, 2, 3)
    (node,) = history.cover(T + 3, T + 3)
    left = node.add_up()
    next(left)
    left.close()
    assert finished(node.add_up()) is node.tally
    assert node.tally == history_of(1, 2, 3).cover(T + 3, T + 3)[0].tally
    assert list(node.add_up()) == []


def test_routes_beyond_the_bound_become_one() -> None:
    """However many labels an agent makes up, memory stays bounded and no request is lost."""
    history = NO_HISTORY
    for second in range(1, 5):
        routes = [route(f"GET /{second}/{number}", [5.0]) for number in range(1000)]
        history = history.with_frame(A, frame(second, T + second, routes))
    tally = finished(sum_of(history.cover(T, T + 5)))
    assert len(tally.routes) == 2001
    assert tally.routes["(other)"].counts().requests == 2000
    assert tally.requests == 4000


def test_what_came_last_and_costs_most_has_its_row() -> None:
    """Of more routes and statements than there is room for, the cheapest share one; no execution is lost."""
    history = NO_HISTORY
    for second in range(1, 5):
        routes = [route(f"GET /{second}/{number}", [5.0]) for number in range(1000)]
        sent = frame(second, T + second, routes)
        sent.statements = [statement(f"{second}/{number}", 0.1) for number in range(1000)]
        history = history.with_frame(A, sent)
    last = frame(5, T + 5, [route("GET /last", [500.0])])
    last.statements = [statement("last", 50.0)]
    tally = finished(sum_of(history.with_frame(A, last).cover(T, T + 6)))
    assert "GET /last" in tally.routes
    assert "last" in tally.statements
    assert len(tally.statements) == 2001
    assert sum(each.latency.count for each in tally.statements.values()) == 4001
