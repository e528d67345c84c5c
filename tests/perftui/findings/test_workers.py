"""Workers that suffer, grow, pause, or vanish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import exp
from typing import Any

import pytest

from perftui.findings.find import find
from perftui.model.happenings import Event
from perftui.model.measures import Share
from perftui.model.quantiles import latency_of
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from tests.perftui.findings.pictures import a_block, a_route, a_worker, found, only, picture
from tests.support.frames import T, sketch

IMBALANCE, GROWTH, GC = "worker-imbalance", "memory-growth", "gc-pause"
LOST, RESTARTED = "worker-lost", "worker-restarted"

MB = 1_000_000


def beside(odd: WorkerSummary, siblings: int = 3, **each: Any) -> Summary:
    """Return a picture of one worker and its siblings, which are well."""
    return picture(workers=[odd, *(a_worker(pid, **each) for pid in range(1, siblings + 1))])


def test_a_worker_slower_than_its_siblings_is_found() -> None:
    """Its p95 and theirs."""
    finding = only(IMBALANCE, beside(a_worker(latencies_ms=[400.0] * 200)))
    assert finding.subject == "worker 4121"
    assert finding.sentence == "p95 400 ms, its siblings 20 ms"
    assert finding.severity == "high"
    assert finding.evidence["times"] == 20.0


def test_a_worker_that_fails_where_its_siblings_do_not_is_found() -> None:
    """One of them has lost its database, say."""
    finding = only(IMBALANCE, beside(a_worker(errors=40)))
    assert finding.sentence == "fails 20 % of its requests, its siblings 0.0 %"


def test_a_worker_that_gets_most_requests_is_found_when_it_is_busy() -> None:
    """Requests and CPU, its own and theirs."""
    loaded = a_worker(latencies_ms=[20.0] * 2000, cpu_mean_percent=92.0)
    finding = only(IMBALANCE, beside(loaded, cpu_mean_percent=8.0))
    assert finding.sentence == "serves 2,000 requests, its siblings 200 each, at 92 % CPU against 8.0 %"


def test_one_kept_alive_connection_is_no_imbalance() -> None:
    """A single client loads a single worker, which is bored all the same."""
    assert not find(beside(a_worker(latencies_ms=[20.0] * 2000, cpu_mean_percent=30.0), cpu_mean_percent=1.0))


def test_a_few_requests_are_no_imbalance() -> None:
    """Of forty requests each, two slow ones make a p95."""
    assert not find(beside(a_worker(latencies_ms=[900.0] * 40), latencies_ms=[20.0] * 40))
    assert not find(beside(a_worker(latencies_ms=[900.0] * 200), latencies_ms=[20.0] * 40))


def test_milliseconds_are_no_imbalance() -> None:
    """Four times of two milliseconds is nothing."""
    assert not find(beside(a_worker(latencies_ms=[8.0] * 300), latencies_ms=[2.0] * 300))


@pytest.mark.parametrize("worse", [1, 9], ids=["as they do", "worse than they do"])
def test_a_worker_is_compared_by_what_its_siblings_serve_as_well(
    worse: int,
) -> None:
    """A kept-alive connection brings it other routes: by these it is no worse than they are, or it is."""
    told = beside(a_worker(latencies_ms=[20.0] * 150 + [400.0] * 50, errors=40))
    odd, sibling = (row.identity.id for row in told.workers[:2])

    def share(who: str, requests: int, each_ms: float, errors: int) -> Share:
        return Share(who, 1, requests, errors, latency_of(sketch([each_ms] * requests)))

    items = [share(row.identity.id, 100, 20.0, 0) for row in told.workers]
    export = [share(odd, 50, 400.0, 40), share(sibling, 10, 400.0 / worse, 8 // worse)]
    rows = (
        a_route("GET /items", shares=items),
        a_route("GET /export", [400.0] * 60, errors=48, shares=export),
    )
    assert bool(found(IMBALANCE, replace(told, routes=rows))) == (worse > 1)


def test_a_worker_that_has_just_come_is_not_compared() -> None:
    """It has less of everything, and warms up."""
    assert not find(beside(a_worker(latencies_ms=[400.0] * 200, covered_s=12.0)))


def test_a_single_worker_has_no_siblings() -> None:
    """There is nothing to compare it with."""
    assert not find(picture(workers=(a_worker(latencies_ms=[400.0] * 200),)))


def growing(
    rss_mb: Callable[[float], float], minutes: float = 8.0, age_s: float = 3600.0, **more: Any
) -> Summary:
    """Return a picture of a worker whose memory was so large, by seconds since the first reading."""
    begin = T - minutes * 60
    memory = tuple(
        (begin + 10.0 * step, round(rss_mb(10.0 * step) * MB)) for step in range(round(minutes * 6))
    )
    return picture(workers=(a_worker(age_s=age_s, memory=memory, **more),))


def test_memory_that_climbs_is_found() -> None:
    """From what to what, in what time, and how fast."""
    finding = only(GROWTH, growing(lambda at: 150 + at * 0.2))
    assert finding.subject == "worker 4121"
    assert finding.sentence.startswith(
        "grew from 150 MB to 222 MB in 8 m, 12 MB a minute, and does not level off"
    )
    assert finding.severity == "medium"
    assert finding.evidence["floors_bytes"] == [150 * MB, 174 * MB, 198 * MB, 222 * MB]


def test_a_limit_that_is_near_makes_it_high() -> None:
    """At this pace the container ends it in minutes."""
    finding = only(GROWTH, growing(lambda at: 150 + at * 0.2, memory_limit_bytes=300 * MB))
    assert finding.severity == "high"
    assert finding.sentence.endswith("; its limit of 300 MB is 5 m away")


def steps(at: float) -> float:
    """Return memory that three big responses have raised, one after the other, long ago."""
    return 100.0 + 20.0 * sum(at >= moment for moment in (10.0, 20.0, 60.0))


@pytest.mark.parametrize(
    "healthy",
    [
        growing(lambda at: 180.0),
        growing(lambda at: 80 + 100 * (1 - exp(-at / 60))),
        growing(lambda at: 150 + (60 if at % 50 == 0 else 0)),
        growing(steps),
        growing(lambda at: 150 + at * 0.02),
        growing(lambda at: 400 + 200 * (at < 240)),
    ],
    ids=["steady", "warming up", "big responses", "a ratchet that stopped", "a trickle", "given back"],
)
def test_memory_that_levels_off_is_healthy(healthy: Summary) -> None:
    """Only a floor that rises in every quarter is a leak."""
    assert not find(healthy)


def test_a_worker_in_its_first_minute_is_healthy() -> None:
    """Imports, pools and first requests are its size, not its growth."""
    assert not find(growing(lambda at: 60 + at * 2.0, minutes=1.5, age_s=90.0))


def test_half_a_minute_of_growth_is_not_enough() -> None:
    """A burst of work takes memory too."""
    assert not find(growing(lambda at: 150 + at * 3.0, minutes=0.5))


def lately(*rss_mb: float, left_mb: float = 2000, **more: Any) -> Summary:
    """Return a picture of a worker whose memory was so large in each of the last seconds."""
    begin = T - len(rss_mb) + 1
    memory = tuple((float(begin + second), round(rss * MB)) for second, rss in enumerate(rss_mb))
    room = {"memory_left_bytes": round(left_mb * MB), "memory_left_in": "host"}
    return picture(workers=(a_worker(**{"memory_lately": memory, **room, **more}),))


def test_memory_that_will_be_used_up_in_minutes_is_found_within_seconds() -> None:
    """How fast, and how long what is left will last: there is no time for quarters of a minute."""
    finding = only(GROWTH, lately(180, 180, 240, 300, 360))
    assert finding.severity == "high"
    assert finding.sentence == (
        "grows by 60 MB a second, from 180 MB to 360 MB in 3 s: the 2.0 GB that the host has left last 33 s"
    )
    assert finding.evidence["left_s"] == 33.3
    in_container = lately(180, 240, 300, 360, left_mb=600, memory_left_in="container")
    assert "the 600 MB that the container has left last 10 s" in only(GROWTH, in_container).sentence


def test_the_further_the_end_the_longer_it_must_climb() -> None:
    """60 MB a second of 7 GB: two minutes; of 24 GB eight seconds must pass; of 100 GB there is time."""
    climb = [180.0 + 60 * second for second in range(10)]
    assert found(GROWTH, lately(*climb[:4], left_mb=7000))
    assert not found(GROWTH, lately(*climb[:8], left_mb=24_000))
    assert found(GROWTH, lately(*climb, left_mb=24_000))
    assert not found(GROWTH, lately(*climb, left_mb=100_000))


@pytest.mark.parametrize(
    "healthy",
    [
        lately(180, 380, 380, 380, 380, left_mb=2000),
        lately(180, 480, 490, 500, 505, 510, left_mb=2000),
        lately(180, 240, 300, 360, 360, 360, left_mb=500),
        lately(180, 240, 300, left_mb=500),
        lately(180, 400, 180, 400, 180, 400, left_mb=500),
        lately(180, 182, 184, 186, 188, left_mb=500),
        lately(500, 440, 380, 320, 260, left_mb=500),
    ],
    ids=[
        "one leap",
        "a leap and a trickle",
        "levelled off",
        "too few seconds",
        "to and fro",
        "slow",
        "falls",
    ],
)
def test_memory_that_is_taken_once_is_healthy(healthy: Summary) -> None:
    """Big responses, caches that fill, what is given back."""
    assert not found(GROWTH, healthy)


def test_a_worker_that_loads_a_model_is_healthy() -> None:
    """It has hardly served yet, and takes 1 GB of 7; only if it heads for the end it is told."""
    loads = [180.0 + 150 * second for second in range(8)]
    young: dict[str, Any] = {"uptime_s": 12.0, "latencies_ms": [20.0] * 2}
    assert not found(GROWTH, lately(*loads, left_mb=6000, **young))
    assert found(GROWTH, lately(*loads, left_mb=900, **young))
    assert found(GROWTH, lately(*loads, left_mb=6000, uptime_s=12.0))


def test_where_it_is_not_known_how_much_is_left_the_quarters_decide() -> None:
    """No guess is made."""
    assert not found(GROWTH, lately(180, 240, 300, 360, memory_left_bytes=None))


def test_one_second_of_rest_does_not_end_a_climb() -> None:
    """The collector gives a little back, and it goes on."""
    assert found(GROWTH, lately(180, 240, 300, 298, 360, 420, left_mb=2000))


def test_a_climb_that_stands_stays_while_it_lasts() -> None:
    """At 11 minutes to go it stays if it stands."""
    climb = lately(*[180.0 + 10 * second for second in range(28)], left_mb=6600)
    key = climb.workers[0].identity.id
    assert not found(GROWTH, climb)
    assert found(GROWTH, climb, {key: "high"})


def collecting(pauses_ms: Sequence[float]) -> Summary:
    """Return a picture of a worker that its collector stopped for so long."""
    return picture(workers=(a_worker(gc_pauses=sketch(pauses_ms)),))


def test_long_collections_are_found() -> None:
    """The longest, how many were long, and how much of the time they took."""
    finding = only(GC, collecting([2.0] * 500 + [180.0, 170.0, 160.0, 150.0]))
    assert (
        finding.sentence
        == "collecting garbage stopped it up to 180 ms, 4× over 50 ms and 2.8 % of the time in 1 m"
    )
    assert finding.severity == "medium"


@pytest.mark.parametrize(
    "pauses_ms",
    [[5.0] * 100, [0.3] * 3000, [2.0] * 100 + [90.0], []],
    ids=["5 ms", "many", "one long", "none"],
)
def test_ordinary_collections_are_healthy(pauses_ms: list[float]) -> None:
    """Collections of 5 ms, hundreds of short ones, one that a busy machine has stretched."""
    assert not find(collecting(pauses_ms))


def test_collecting_all_the_time_is_found_however_short_the_pauses() -> None:
    """A tenth of a worker's time is gone."""
    assert only(GC, collecting([12.0] * 500)).severity == "medium"


def a_gone_worker(ago_s: float = 20.0, **more: Any) -> WorkerSummary:
    """Return a worker that is no more."""
    return a_worker(state="gone", gone_since=T - ago_s, **more)


def replaced(worker: WorkerSummary) -> Event:
    """Return the event of another worker taking its place."""
    return Event(T - 18.0, "worker-restarted", str(worker.pid), f"worker 9 has replaced {worker.pid}")


def test_a_lost_worker_is_found_with_its_last_words() -> None:
    """When, after how long, and how it was when it was last seen."""
    finding = only(LOST, picture(workers=(a_gone_worker(lost_in_flight=9), a_worker(1))))
    assert finding.severity == "high"
    assert finding.sentence == (
        "is gone, and nothing has taken its place, 20 s ago after 60 m; "
        "last seen: 180 MB, CPU 40 %, 9 requests in flight"
    )
    assert finding.since == T - 20.0


def test_what_held_its_loop_at_the_end_is_told() -> None:
    """A supervisor may have lost patience."""
    summary = picture(workers=(a_gone_worker(),), incidents=(a_block(9000.0, ago_s=30.0),))
    assert "loop held 9.0 s by app/reports.py:42 build" in only(LOST, summary).sentence
    assert "ended it" in only(LOST, summary).advice


def test_a_short_block_at_the_end_is_no_last_word() -> None:
    """Nobody ends a worker for 200 ms."""
    summary = picture(workers=(a_gone_worker(),), incidents=(a_block(200.0, ago_s=21.0),))
    assert "loop held" not in only(LOST, summary).sentence


def test_a_memory_limit_that_was_near_is_told() -> None:
    """The kernel's log is where to look then."""
    worker = a_gone_worker(memory_limit_bytes=190 * MB)
    assert "OOM" in only(LOST, picture(workers=(worker,))).advice


def test_a_replaced_worker_is_restarted_and_not_lost() -> None:
    """One event, one finding; it is worse when requests were in flight."""
    for worker, severity in ((a_gone_worker(lost_in_flight=3), "medium"), (a_gone_worker(), "low")):
        summary = picture(workers=(worker, a_worker(9)), events=(replaced(worker),))
        assert only(RESTARTED, summary).severity == severity
        assert not found(LOST, summary)


def test_what_went_before_the_window_is_history() -> None:
    """After a minute it is no news, and the timeline keeps it."""
    assert not find(picture(workers=(a_gone_worker(ago_s=90.0), a_worker(1))))


def test_workers_that_are_well_are_healthy() -> None:
    """Nothing stands out."""
    assert not find(picture(workers=[a_worker(pid) for pid in range(1, 5)]))
