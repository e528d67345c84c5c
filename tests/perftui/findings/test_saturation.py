"""What requests wait for: connections, threads, CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perftui.model.happenings import FlightRow
from perftui.model.machine import Contention
from perftui.model.outside_summary import PoolSummary
from perftui.model.worker_summary import WorkerSummary
from perftui.present.details.pool import pool_rows
from perftui.present.picture import Picture
from perftui.present.text.cells import text_of
from perftui_agent.wire.machine import Host
from perftui_agent.wire.process import ThreadpoolStats
from perftui_agent.wire.requests import InFlight
from tests.perftui.findings.pictures import a_route, a_worker, found, only, picture
from tests.support.frames import sketch, worker

POOL, THREADS, CPU = "pool-exhausted", "threadpool-exhausted", "cpu-saturated"


def a_pool(wait_p95_ms: float | None = 0.01, **more: Any) -> PoolSummary:
    """Return a pool of fifteen connections, all of which are out."""
    values: dict[str, Any] = {
        "name": "main",
        "kind": "QueuePool",
        "size": 5,
        "checked_out": 15,
        "overflow": 10,
        "max": 15,
        "timeouts": 0,
        "checkouts": 400,
        "waits": 400,
    }
    return PoolSummary(wait_p95_ms=wait_p95_ms, **{**values, **more})


def test_a_pool_that_is_waited_for_is_found() -> None:
    """How full, how long, how often in vain; and which route waits most."""
    routes = [
        a_route("POST /checkout", pool_wait_ms_per_request=120.0),
        a_route("GET /", pool_wait_ms_per_request=1.0),
    ]
    finding = only(POOL, picture(pools=(a_pool(310.0, timeouts=2),), routes=routes))
    assert finding.subject == "main"
    assert finding.sentence == "15 of 15 connections out, p95 wait 310 ms over 400 checkouts, 2 time-outs"
    assert finding.severity == "high"
    assert (finding.pool, finding.route) == ("main", "POST /checkout")


def test_who_holds_the_connections_of_a_pool_is_named_with_the_line() -> None:
    """By those that have one while others wait; who waits himself is none of them."""

    def at(place: str | None, number: int, holds: str = "main") -> list[FlightRow]:
        row = InFlight("POST /checkout", "POST", "/checkout", 9_000_000, waiting_at=place, holds=holds)
        return [FlightRow(worker(1).id, 1, row)] * number

    flights = [*at("app/pay.py:7 charge", 11), *at("app/pay.py:5 load", 4), *at("app/pay.py:5 load", 30, "")]
    shown = picture(pools=(a_pool(310.0),), in_flight=flights)
    finding = only(POOL, shown)
    assert finding.advice.startswith("POST /checkout holds 11 of them, at app/pay.py:7 charge: ")
    assert [each["connections"] for each in finding.evidence["holders"]] == [11, 4]
    text = [text_of(row.line) for row in pool_rows(Picture(shown), "main", 80, 40)]
    assert "    11×  POST /checkout  app/pay.py:7 charge" in text
    assert sum("9.0ms  POST /checkout" in line for line in text) == 8


def test_a_full_pool_that_nobody_waits_for_is_healthy() -> None:
    """Steadily used to its last connection, it has the right size."""
    assert not found(POOL, picture(pools=(a_pool(0.4),)))


def test_the_first_checkouts_are_healthy() -> None:
    """Ten checkouts, the first of which connect, are no queue."""
    assert not found(POOL, picture(pools=(a_pool(90.0, checkouts=10, waits=10),)))


def test_two_long_waits_of_thirty_are_chance_and_three_are_a_queue() -> None:
    """They are p95 of so few, and every pool has two that long some minute."""
    few = {"checkouts": 30, "waits": 30}
    assert not found(POOL, picture(pools=(a_pool(90.0, third_wait_ms=0.1, **few),)))
    assert only(POOL, picture(pools=(a_pool(90.0, third_wait_ms=60.0, **few),))).pool == "main"


def test_a_time_out_is_enough_and_high() -> None:
    """Somebody waited half a minute for nothing."""
    assert only(POOL, picture(pools=(a_pool(None, waits=0, timeouts=1),))).severity == "high"


def test_a_wait_that_is_not_over_shows() -> None:
    """An empty pool has no finished wait for half a minute."""
    finding = only(POOL, picture(pools=(a_pool(None, waits=0, waiting=9, longest_wait_ms=12_000.0),)))
    assert finding.sentence == "15 of 15 connections out, 9 waiting for up to 12.0 s"


def test_a_pool_without_a_size_shows_no_usage() -> None:
    """NullPool and unbounded pools have no maximum to compare with."""
    pool = a_pool(80.0, size=None, checked_out=None, overflow=None, max=None)
    assert only(POOL, picture(pools=(pool,))).sentence == "p95 wait 80 ms over 400 checkouts"


def test_a_pool_finding_stays_until_waits_are_short() -> None:
    """At 15 ms it stays if it stands."""
    assert not found(POOL, picture(pools=(a_pool(15.0),)))
    assert found(POOL, picture(pools=(a_pool(15.0),)), {"main": "low"})
    assert not found(POOL, picture(pools=(a_pool(5.0),)), {"main": "low"})


def test_calls_that_wait_for_a_thread_are_found() -> None:
    """Threads in use, how many calls waited and for how long."""
    worker = a_worker(
        threadpool=ThreadpoolStats(used=40, total=40, waiting=12), threadpool_wait=sketch([250.0] * 30)
    )
    finding = only(THREADS, picture(workers=(worker,)))
    assert finding.subject == "worker 4121"
    assert finding.sentence == "40 of 40 threads in use, 12 waiting; 30 calls waited for one, p95 250 ms"
    assert finding.severity == "medium"
    assert finding.worker == worker.identity.id


def test_all_threads_in_use_and_none_waited_for_is_healthy() -> None:
    """Full use is not exhaustion."""
    assert not found(
        THREADS, picture(workers=(a_worker(threadpool=ThreadpoolStats(used=40, total=40, waiting=0)),))
    )


def test_one_burst_of_short_waits_is_healthy() -> None:
    """Three calls that waited 30 ms, or thirty that waited 2 ms, hurt nobody."""
    few, short = sketch([30.0] * 3), sketch([2.0] * 30)
    assert not found(
        THREADS, picture(workers=(a_worker(threadpool_wait=few), a_worker(2, threadpool_wait=short)))
    )


def test_threads_that_never_come_back_are_found() -> None:
    """When all are stuck, no wait ever ends: the queue itself tells."""
    stuck = a_worker(threadpool=ThreadpoolStats(used=40, total=40, waiting=25))
    assert only(THREADS, picture(workers=(stuck,))).severity == "high"


def test_a_worker_without_cpu_to_spare_is_found_when_work_queues() -> None:
    """CPU over the window, and how late its loop answers."""
    worker = a_worker(cpu_mean_percent=97.0, loop_lag_p99_ms=180.0, in_flight=14)
    finding = only(CPU, picture(workers=(worker,)))
    assert finding.sentence == "uses 97 % of a core while its loop answers 180 ms late (p99), 14 in flight"
    assert finding.severity == "medium"


def test_a_busy_worker_that_keeps_up_is_healthy() -> None:
    """Well used is not saturated: its loop answers at once."""
    assert not found(CPU, picture(workers=(a_worker(cpu_mean_percent=97.0, loop_lag_p99_ms=4.0),)))


def test_a_batch_job_without_requests_is_healthy() -> None:
    """Nobody waits for it; of what is under way somebody does."""
    worker = a_worker(cpu_mean_percent=100.0, loop_lag_p99_ms=400.0, latencies_ms=[5.0] * 3, in_flight=1)
    assert not found(CPU, picture(workers=(worker,)))
    assert found(CPU, picture(workers=(replace(worker, in_flight=10),)))


def test_a_short_burst_of_cpu_is_healthy() -> None:
    """Four seconds at full speed are what a CPU is for."""
    worker = a_worker(cpu_mean_percent=100.0, loop_lag_p99_ms=400.0, covered_s=4.0)
    assert not found(CPU, picture(workers=(worker,)))


def test_a_worker_without_cpu_is_late_with_what_it_tells() -> None:
    """What it is late by counts, unless it has told next to nothing, or has long been silent."""

    def heard(covered_s: float, ago_s: float) -> WorkerSummary:
        picture_at = picture().at
        return a_worker(
            cpu_mean_percent=97.0, loop_lag_p99_ms=800.0, covered_s=covered_s, told_until=picture_at - ago_s
        )

    assert found(CPU, picture(workers=(heard(3.0, 5.0),)))
    assert not found(CPU, picture(workers=(heard(3.0, 2.0),)))
    assert not found(CPU, picture(workers=(heard(1.0, 6.0),)))
    assert not found(CPU, picture(workers=(heard(4.0, 30.0),)))


def test_the_limit_of_a_container_counts_for_all_its_workers() -> None:
    """Four workers at 48 % each are at the end of two cores."""
    workers = [
        a_worker(pid, cpu_mean_percent=48.0, cpu_limit=2.0, loop_lag_p99_ms=90.0) for pid in range(1, 5)
    ]
    finding = found(CPU, picture(workers=workers))[0]
    assert finding.sentence.startswith("and its siblings use 96 % of the 2 cores they may")
    assert not found(CPU, picture(workers=workers[:3]))


def test_a_worker_that_waits_for_others_on_its_host_has_no_cpu_left_either() -> None:
    """What it could use is what it gets and what it waits for; its host is what there is to look at."""
    crowded = Contention(waited_share=0.6, host=Host(cores=2, load=27.0))
    worker = a_worker(cpu_mean_percent=35.0, loop_lag_p99_ms=600.0, contention=crowded)
    finding = only(CPU, picture(workers=(worker,)))
    assert finding.sentence.startswith(
        "uses 35 % of a core, and waits for one 60 % of the time, while its loop"
    )
    assert "a load of 27 on 2 cores" in finding.advice
    assert finding.severity == "high"
    assert not found(CPU, picture(workers=(replace(worker, contention=Contention(waited_share=0.3)),)))
    assert not found(CPU, picture(workers=(replace(worker, loop_lag_p99_ms=10.0),)))
