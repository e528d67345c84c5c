"""What a worker competes with, as one reads it on its screen."""

from __future__ import annotations

from perftui.model.gil import Gil, Holder
from perftui.model.machine import Contention, Quota
from perftui.present.details.contention import contention_figures, gil, machine
from perftui.present.tables.workers import where
from perftui.present.text.cells import Line
from perftui_agent.wire.machine import Host, Pressure
from tests.perftui.findings.pictures import a_worker

QUOTA = Quota(cores=0.5, group="pod1", periods=600, throttled=540, ms=24_720.0, stopped_share=0.412)
HOST = Host(cores=2, load=3.2, runnable=6, busy=0.98, steal=0.07, pressure={"cpu": Pressure(some=0.31)})


def text(lines: list[Line]) -> list[str]:
    return ["".join(cell.text for cell in line).rstrip() for line in lines]


def test_a_quota_is_told_with_what_it_stops() -> None:
    """In colour when it does; one that is never used up is told as well."""
    figures = contention_figures(a_worker(contention=Contention(quota=QUOTA, waited_share=0.45)))
    assert figures == [
        ("quota", "0.5 cores, stopped 412ms of each second, used up in 540 of 600 periods", "medium"),
        ("waits for a CPU", "45%", "medium"),
    ]
    roomy = Quota(cores=1.0, group="", periods=600, throttled=0, ms=0.0, stopped_share=0.0)
    assert contention_figures(a_worker(contention=Contention(quota=roomy))) == [
        ("quota", "1 core, never used up", "text")
    ]


def test_of_what_is_not_known_there_is_no_word() -> None:
    """No quota, no scheduler's account, no machine, no GIL."""
    worker = a_worker()
    assert contention_figures(worker) == []
    assert machine(worker, 80) == []
    assert gil(worker, 80) == []


def test_the_machine_is_told_in_a_line() -> None:
    """How busy it is, what is stolen, what waits, and for what."""
    worker = a_worker(contention=Contention(host=HOST, pressure={"cpu": Pressure(some=0.6, full=0.5)}))
    title, *lines = text(machine(worker, 120))
    assert title.split() == ["ITS", "MACHINE", "web-1"]
    told = " ".join(" ".join(lines).split())
    assert told == (
        "cores 2 busy 98% steal 7.0% load 3.2 run or want to 6 pressure cpu 31% pressure in its group cpu 60%"
    )


def test_who_holds_the_gil_is_told_by_thread_place_and_route() -> None:
    """What is within its own error is left out: it may be nothing."""
    by = (
        Holder("MainThread", "app/x.py:7 f", "GET /x", 0.70),
        Holder("AnyIO worker thread", "", "", 0.12),
        Holder("Thread (burn)", "app/y.py:3 g", "", 0.01),
    )
    worker = a_worker(gil=Gil(looks=1200, share=0.83, error=0.021, known=240.0, by=by))
    title, first, second = text(gil(worker, 120))
    assert "an estimate from 1,200 looks: 83% ±2.1 points" in title
    assert first.split()[0] == "70%"
    assert first.endswith("MainThread              app/x.py:7 f  GET /x")
    assert "AnyIO worker thread" in second
    assert contention_figures(worker) == [("GIL held", "83% ±2.1", "medium")]


def test_a_worker_that_its_quota_stops_says_so_in_the_table() -> None:
    """Where others say what blocks them."""
    stopped = a_worker(contention=Contention(quota=QUOTA))
    assert where(stopped, 0.0) == "its quota of 0.5 stops it 41% of the time"
    assert where(a_worker(), 0.0) == ""
