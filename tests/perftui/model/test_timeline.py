"""What happened, for the time axis."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from perftui.model.events import (
    ClockStepped,
    FrameReceived,
    HistoryReceived,
    LinkChanged,
    Marked,
    SourceEvent,
)
from perftui.model.happenings import Event
from perftui.model.summarize import summarize
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Incident
from tests.support.frames import T, dashboard_of, frame, gone, joined, received, worker

A, B = worker(1), worker(2)
WHERE = "app/reports.py:42 build"


def events_of(*events: SourceEvent, at: float = T + 300.0) -> tuple[Event, ...]:
    return summarize(dashboard_of(*events), at).events


def newcomer(pid: int, at: float) -> WorkerIdentity:
    return worker(pid, started_at=at - 0.5)


def held(
    identity: WorkerIdentity,
    seq: int,
    *blocks: tuple[float, float],
    where: str = WHERE,
    ongoing: bool = False,
) -> FrameReceived:
    """Return a frame with blocks that each began so long after T and took so many seconds."""
    incidents = [
        Incident(
            kind="loop-blocked", at=round((T + began_s) * 1e9), ns=round(took_s * 1e9), where=where,
            route="GET /reports", ongoing=ongoing,
        )
        for began_s, took_s in blocks
    ]  # fmt: skip
    return received(identity, msgspec.structs.replace(frame(seq, T + seq), incidents=incidents))


def test_a_deploy_is_one_event_and_says_of_the_others_that_they_are_part_of_it() -> None:
    """All workers of a service replaced within a minute, whatever the order, is what people call a deploy."""
    old_first: list[SourceEvent] = [gone(A, T + 10), gone(B, T + 10.1)]
    old_first += [joined(newcomer(3, T + 12), T + 12), joined(newcomer(4, T + 13), T + 13)]
    new_first: list[SourceEvent] = [joined(newcomer(3, T + 9), T + 9), gone(A, T + 10)]
    new_first += [joined(newcomer(4, T + 11), T + 11), gone(B, T + 12)]
    for events in (old_first, new_first):
        told = events_of(joined(A), joined(B), *events)
        deploys = [event for event in told if event.kind == "deploy"]
        assert [(each.subject, each.sentence) for each in deploys] == [
            ("shop", "all 2 workers were replaced")
        ]
        assert {event.part_of for event in told if event.kind != "deploy"} == {"deploy"}


def test_a_worker_replaced_in_the_first_second_is_a_restart() -> None:
    """Start times are told up to a second too early: the successor seems older than the watch."""
    successor = worker(3, started_at=T - 0.4)
    told = events_of(joined(A), joined(B), gone(A, T + 0.2), joined(successor, T + 2.0))
    assert [event.kind for event in told] == ["worker-lost", "worker-restarted"]


def test_who_is_there_at_the_first_look_is_nobody_s_successor() -> None:
    """A service that has only just started has its workers; one that goes then leaves a gap."""
    one, other = worker(1, started_at=T - 0.2), worker(2, started_at=T - 0.2)
    told = events_of(joined(one, T), joined(other, T + 0.01), gone(one, T + 9))
    assert [event.kind for event in told] == ["worker-lost"]


def test_some_workers_replaced_are_no_deploy() -> None:
    """While one of the old is there, a new one is a restart."""
    told = events_of(joined(A), joined(B), gone(A, T + 10), joined(newcomer(3, T + 11), T + 11))
    assert [(event.kind, event.part_of) for event in told] == [("worker-lost", ""), ("worker-restarted", "")]


def test_workers_that_are_replaced_over_hours_are_no_deploy() -> None:
    """Servers that recycle their workers after so many requests do so one by one."""
    events: list[SourceEvent] = [gone(A, T + 10), joined(newcomer(3, T + 11), T + 11)]
    events += [gone(B, T + 200), joined(newcomer(4, T + 201), T + 201)]
    told = events_of(joined(A), joined(B), *events)
    assert [event.kind for event in told] == ["worker-lost", "worker-restarted"] * 2


def test_a_successor_that_came_before_is_the_successor() -> None:
    """A graceful reload starts the new worker first; the event says which pid went and opens the new one."""
    later = newcomer(3, T + 9)
    told = events_of(joined(A), joined(B), joined(later, T + 9), gone(A, T + 10))
    assert [(each.kind, each.subject, each.worker) for each in told] == [
        ("worker-joined", "3", later.id),
        ("worker-lost", "1", A.id),
        ("worker-restarted", "1", later.id),
    ]


def test_a_pid_that_comes_again_is_replaced_again() -> None:
    """Who replaced whom goes by lives, not by pids."""
    reborn = newcomer(1, T + 12)
    events: list[SourceEvent] = [
        gone(A, T + 10),
        joined(reborn, T + 12),
        gone(reborn, T + 20),
        joined(newcomer(9, T + 21), T + 21),
    ]
    told = events_of(joined(A), joined(B), *events)
    assert [each.sentence for each in told if each.kind == "worker-restarted"] == [
        "worker 1 has replaced 1",
        "worker 9 has replaced 1",
    ]


def test_blocks_of_a_second_are_told_shorter_ones_not() -> None:
    """The event names the place, how long, and what to open."""
    told = events_of(joined(A), held(A, 5, (3.0, 1.9), (4.0, 0.4)))
    sentence = f"{WHERE} held the loop of worker 1 for 1.9 s"
    assert told == (Event(T + 3.0, "loop-blocked", WHERE, sentence, "GET /reports", A.id, T + 4.9),)


def test_blocks_at_one_place_within_a_minute_are_one_event() -> None:
    """Over all workers; the next after a quiet minute is another."""
    frames = [
        held(A, 5, (3.0, 1.9)),
        held(B, 6, (4.0, 2.5)),
        held(A, 40, (38.0, 1.1)),
        held(A, 150, (148.0, 1.2)),
    ]
    told = events_of(joined(A), joined(B), *frames)
    assert [(event.at - T, round((event.until or 0.0) - T, 3), event.sentence) for event in told] == [
        (3.0, 39.1, f"{WHERE} held the loop of 2 workers 3 times, 2.5 s at worst"),
        (148.0, 149.2, f"{WHERE} held the loop of worker 1 for 1.2 s"),
    ]
    assert told[0].worker == B.id


def test_a_block_that_goes_on_over_frames_is_one_as_long_as_it_was_in_the_end() -> None:
    """Each frame tells of it anew, longer."""
    frames = [held(A, seq, (3.0, seq - 3.0), ongoing=seq < 8) for seq in range(4, 9)]
    (event,) = events_of(joined(A), *frames)
    assert event.sentence == f"{WHERE} held the loop of worker 1 for 5.0 s"


def test_history_tells_what_happened_before_the_connection() -> None:
    """Blocks of ten minutes ago are there at once."""
    past: Frame = held(A, 5, (3.0, 1.9)).frame
    (event,) = events_of(joined(A, T + 250), HistoryReceived(A.id, (past,), T + 250.1))
    assert event.kind == "loop-blocked"


def test_the_link_going_and_coming_is_told_its_beginning_not() -> None:
    """Connecting is no news; silence is, and so is the end of it."""
    changes = [("live", 0.1), ("stale", 20.0), ("lost", 30.0), ("live", 32.0)]
    told = events_of(*(LinkChanged(link, T + at) for link, at in changes))  # type: ignore[arg-type]
    assert [(event.kind, event.at - T) for event in told] == [
        ("link-stale", 20.0),
        ("link-lost", 30.0),
        ("link-back", 32.0),
    ]


@pytest.mark.parametrize(
    ("label", "sentence"), [("", "mark"), ("before\x1b[31m the fix", "mark: before the fix")]
)
def test_marks_are_events(label: str, sentence: str) -> None:
    """With what was written on them, made harmless."""
    (event,) = events_of(joined(A), Marked(T + 5.0, label))
    assert (event.kind, event.at, event.sentence) == ("mark", T + 5.0, sentence)


def test_events_are_in_order_of_time_and_end_at_the_cursor() -> None:
    """Whatever they come from; what is after the moment that is looked at hasn't happened yet."""
    dashboard = dashboard_of(joined(A), joined(B), Marked(T + 9.0), held(A, 7, (5.0, 1.5)), gone(B, T + 20.0))
    assert [event.kind for event in summarize(dashboard, T + 30.0).events] == [
        "loop-blocked",
        "mark",
        "worker-lost",
    ]
    then = summarize(dashboard, T + 30.0, cursor=T + 6.0)
    assert [event.kind for event in then.events] == ["loop-blocked"]
    assert replace(then.events[0], sentence="") == Event(
        T + 5.0, "loop-blocked", WHERE, "", "GET /reports", A.id, T + 6.5
    )


def test_a_step_of_the_clock_is_told_once_though_every_worker_tells_of_it() -> None:
    """And again when it happens again."""
    steps = [
        ClockStepped(-600.2, T + 5),
        ClockStepped(-600.2, T + 5.4, A.id),
        ClockStepped(600.0, T + 60, B.id),
    ]
    told = [event for event in events_of(joined(A), joined(B), *steps) if event.kind == "clock-stepped"]
    assert [(event.at, event.sentence) for event in told] == [
        (T + 5, "the clock of this host was set back by 600 s; times here go on as before"),
        (T + 60, "the clock of worker 2 was set forward by 600 s; times here go on as before"),
    ]
