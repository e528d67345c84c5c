"""What workers compete with, over a window of frames: what is counted adds up, what is read is the latest."""

from __future__ import annotations

import msgspec
import pytest

from perftui.model.gil import Holder, margin
from perftui.model.machine import MachineSummary
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.documents.snapshot import document
from perftui_agent.wire.codec import decode_from_agent, encode
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.gil import GilHolder, GilStats
from perftui_agent.wire.machine import CpuWait, Host, Machine, Pressure, Throttled
from perftui_agent.wire.merging import merge_into
from tests.support.frames import T, dashboard_of, frame, joined, received, worker

SECOND = 1_000_000_000

STOPPED = Throttled(cores=0.5, group="pod1", over_ns=SECOND, periods=10, throttled=9, ns=412_000_000)


QUARTER = GilStats(looks=20, over_ns=2 * SECOND, held_ns=SECOND // 2)


def machine_of(
    load: float = 1.0, *, throttled: Throttled | None = STOPPED, waited_ns: int | None = None
) -> Machine:
    """Return what one frame tells."""
    wait = None if waited_ns is None else CpuWait(over_ns=SECOND, longest_ns=waited_ns, thread="MainThread")
    host = Host(cores=2, load=load, busy=0.9, steal=0.1, pressure={"cpu": Pressure(some=0.5)})
    return Machine(throttled=throttled, cpu_wait=wait, host=host)


def seconds(*told: Machine | None, gil: list[GilStats] | None = None) -> list[Frame]:
    """Return one frame a second."""
    frames = []
    for number, machine in enumerate(told, 1):
        sent = frame(number, T + number)
        sent.machine = machine
        sent.gil = gil[number - 1] if gil else None
        frames.append(sent)
    return frames


def summary_of(frames: list[Frame]) -> Summary:
    events = [received(worker(), sent) for sent in frames]
    return summarize(dashboard_of(joined(worker()), *events), T + len(frames) + 0.1, 60.0)


def test_a_quota_is_told_over_the_window() -> None:
    """Periods and times add up; the quota is the one that holds now; nobody stood still who did not wait."""
    doubled = msgspec.structs.replace(STOPPED, cores=1.0, throttled=1, ns=88_000_000)
    summary = summary_of(seconds(machine_of(), machine_of(), machine_of(throttled=doubled)))
    quota = summary.workers[0].contention.quota
    assert quota is not None
    assert (quota.cores, quota.group, quota.periods, quota.throttled) == (1.0, "pod1", 30, 19)
    assert quota.ms == pytest.approx(912.0)
    assert quota.stopped_share == pytest.approx(0.304)
    waited = summary_of(seconds(machine_of(waited_ns=100_000_000), machine_of(waited_ns=100_000_000)))
    quota = waited.workers[0].contention.quota
    assert quota is not None
    assert quota.stopped_share == pytest.approx(0.1)


def test_stops_of_several_processors_are_no_more_than_all_of_the_time() -> None:
    """Four workers of a container on eight processors are stopped on each of those."""
    of_many = msgspec.structs.replace(STOPPED, ns=3 * SECOND)
    quota = summary_of(seconds(machine_of(throttled=of_many))).workers[0].contention.quota
    assert quota is not None
    assert quota.stopped_share == 1.0


def test_a_worker_without_a_quota_has_none() -> None:
    """And one that nobody tells of is not known, in the document too."""
    told = summary_of(seconds(machine_of(throttled=None), None))
    assert told.workers[0].contention.quota is None
    row = document(told)["workers"][0]
    told_of = (row["throttled"], row["cpu_wait_percent"], row["pressure"], row["gil"])
    assert told_of == (None, None, None, None)


def test_a_machine_is_told_once_by_whoever_was_heard_last() -> None:
    """Two workers of a host tell of the same machine."""
    first, second = worker(1), worker(2)
    frames = [frame(1, T + 1), frame(1, T + 1.5)]
    frames[0].machine, frames[1].machine = machine_of(1.0), machine_of(7.0)
    dashboard = dashboard_of(
        joined(first), joined(second), received(first, frames[0]), received(second, frames[1])
    )
    (told,) = summarize(dashboard, T + 2.0, 60.0).machines
    assert told == MachineSummary("box", frames[1].machine.host or Host(), (1, 2))
    (row,) = document(summarize(dashboard, T + 2.0, 60.0))["machine"]
    assert row == {
        "host": "box",
        "pids": [1, 2],
        "cores": 2,
        "load": 7.0,
        "runnable": None,
        "busy_percent": 90.0,
        "steal_percent": 10.0,
        "pressure": {"cpu": {"some_percent": 50.0, "full_percent": None}},
    }


def test_older_seconds_are_merged_without_loss() -> None:
    """A black box thins what is old: ten frames are one, and what they have counted is in it."""
    frames = seconds(
        *[machine_of(n, waited_ns=50_000_000) for n in (1.0, 2.0, 3.0)],
        gil=[QUARTER] * 3,
    )
    first, *others = [decode_from_agent(encode(each)) for each in frames]
    assert isinstance(first, Frame)
    for other in others:
        assert isinstance(other, Frame)
        merge_into(first, other)
    machine = first.machine or Machine()
    assert machine.host is not None
    assert machine.host.load == 3.0
    assert machine.throttled == msgspec.structs.replace(
        STOPPED, over_ns=3 * SECOND, periods=30, throttled=27, ns=3 * 412_000_000
    )
    assert machine.cpu_wait == CpuWait(over_ns=3 * SECOND, longest_ns=150_000_000, thread="MainThread")
    assert first.gil == GilStats(looks=60, over_ns=6 * SECOND, held_ns=3 * SECOND // 2)


def test_who_holds_the_gil_is_a_share_with_its_error() -> None:
    """Of the looks, and of those that found it held: in half of the time, of which one had three quarters."""
    by = [
        GilHolder(thread="MainThread", where="app/x.py:7 f", route="GET /x", looks=1.5),
        GilHolder(thread="Thread (burn)", where="app/y.py:3 g", looks=0.5),
    ]
    frames = seconds(
        *[machine_of()] * 10, gil=[GilStats(looks=20, over_ns=2 * SECOND, held_ns=SECOND, by=by)] * 10
    )
    summary = summary_of(frames)
    told = summary.workers[0].gil
    assert told is not None
    assert (told.looks, told.share, told.known) == (200, 0.5, 20.0)
    assert told.error == pytest.approx(0.0687, abs=0.001)
    assert told.by == (
        Holder("MainThread", "app/x.py:7 f", "GET /x", 0.375),
        Holder("Thread (burn)", "app/y.py:3 g", "", 0.125),
    )
    assert document(summary)["workers"][0]["gil"] == {
        "held_percent": 50.0,
        "error_percent": pytest.approx(6.87, abs=0.01),
        "looks": 200,
        "looks_by": 20,
        "by": [
            {"thread": "MainThread", "where": "app/x.py:7 f", "route": "GET /x", "percent": 37.5},
            {"thread": "Thread (burn)", "where": "app/y.py:3 g", "route": None, "percent": 12.5},
        ],
    }


def test_too_few_looks_say_nothing() -> None:
    """Of a worker that has only just come; and never is nothing known for sure."""
    assert (
        summary_of(seconds(machine_of(), gil=[GilStats(looks=9, over_ns=SECOND, held_ns=SECOND)]))
        .workers[0]
        .gil
        is None
    )
    assert 0.005 < margin(0.0, 200) < 0.02
    assert margin(0.0, 2000) < margin(0.0, 200)
