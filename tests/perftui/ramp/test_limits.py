"""What gave, told from pictures of the step that was kept up and of the one that was not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from perftui.model.happenings import Finding
from perftui.model.machine import Contention, Quota
from perftui.model.measures import Latency, Queued
from perftui.model.outside_summary import PoolSummary, QuerySummary, UpstreamSummary
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui.ramp.judgement import Observation, Step
from perftui.ramp.limit import Limit
from perftui.ramp.limits import following, limits
from perftui.ramp.resources import saturation
from perftui.ramp.search import Search
from perftui_agent.wire.machine import Host
from perftui_agent.wire.process import Listener, ThreadpoolStats
from tests.support.frames import sketch, worker

SEARCH = Search(
    start=5, limit=500, phase="done",
    low=Step(Observation(rate=96, sent=960, done=960, p95_ms=80)),
    high=Step(Observation(rate=104, sent=1040, done=900, p95_ms=900), "missed p95<250ms"),
)  # fmt: skip


def gave(before: Summary, after: Summary, findings: tuple[Finding, ...] = ()) -> tuple[Limit, ...]:
    """Return what gave, by how full the agents say all was."""
    return limits(SEARCH, [before], after, saturation(after), findings)


def picture(mean_ms: float, *, worker_has: dict[str, Any] | None = None, **has: Any) -> Summary:
    """Return a service with one route of 1,000 requests; `has` are its figures, or the summary's."""
    of_route = {name: has.pop(name) for name in list(has) if name in RouteSummary.__struct_fields__}
    row = RouteSummary(
        route="GET /x", requests=1000, rps=100.0, errors=0, error_rate=0.0, status={},
        latency=Latency(count=1000, mean_ms=mean_ms), sketch=sketch([mean_ms]), total_ms=1000 * mean_ms,
    )  # fmt: skip
    one = WorkerSummary(identity=worker(101), state="ok", cpu_mean_percent=30.0)
    return Summary(
        target="8000", service="shop", at=0.0, window_s=10.0, routes=(replace(row, **of_route),),
        workers=(replace(one, **(worker_has or {})),), **has,
    )  # fmt: skip


CALM = picture(20.0)

POOL = PoolSummary(name="main", kind="QueuePool", size=5, checked_out=5, overflow=0, max=5, wait_p95_ms=400.0,
                   timeouts=2, waiting=12)  # fmt: skip
UPSTREAM = UpstreamSummary(host="rates.example", method="GET", library="httpx", count=1000, answer_p95_ms=900,
                           total_ms=700_000.0)  # fmt: skip
QUERY = QuerySummary("SELECT 1", "f", 1000, 0, Latency(1000, p95_ms=300.0), 280_000.0)
LOCK = Finding("db-lock", "high", "POST /checkout", "two sessions wait for it", {}, "commit sooner")

PLANTED: dict[str, tuple[Summary, tuple[Finding, ...]]] = {
    "pool": (picture(400.0, pool_wait_ms_per_request=370.0, pools=(POOL,)), ()),
    # A pool whose connections all wait for a lock is full as well: the lock is the cause.
    "lock": (
        picture(400.0, pool_wait_ms_per_request=250.0, sql_ms_per_request=120.0, pools=(POOL,)),
        (LOCK,),
    ),
    "threadpool": (
        picture(
            300.0, threadpool_wait_ms_per_request=270.0,
            worker_has={"threadpool": ThreadpoolStats(used=40, total=40, waiting=70)},
        ),
        (),
    ),
    "upstream": (picture(700.0, http_ms_per_request=680.0, upstreams=(UPSTREAM,)), ()),
    "client-pool": (
        picture(
            700.0, http_ms_per_request=680.0,
            upstreams=(replace(UPSTREAM, pool_wait_ms=650_000.0, pool_wait_p95_ms=640.0, limit=10,
                               connections=10, idle=0),),
        ),
        (),
    ),
    "loop": (
        picture(300.0, queued=Queued(known=1000, ms_per_request=270), worker_has={"cpu_mean_percent": 99}),
        (),
    ),
    "quota": (
        picture(
            300.0, queued=Queued(known=1000, ms_per_request=270),
            worker_has={
                "contention": Contention(Quota(0.3, "/x", 100, 96, 6000.0, 0.6)), "cpu_mean_percent": 29.0,
            },
        ),
        (),
    ),
    "database": (picture(300.0, sql_ms_per_request=280.0, queries=(QUERY,)), ()),
    "accept-queue": (
        picture(
            900.0, queued=Queued(known=1000, ms_per_request=880.0),
            worker_has={
                "backlogs": (Listener(address="127.0.0.1:8000", waiting=8, most=8, limit=8),),
                "listen_overflows": 40,
            },
        ),
        (),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANTED)
def test_what_was_planted_is_named(kind: str) -> None:
    """With a sentence that has the figures, and what to do about it."""
    after, findings = PLANTED[kind]
    first, *_ = gave(CALM, after, findings)
    assert first.kind == kind, first
    assert any(char.isdigit() for char in first.sentence) or kind == "lock"
    assert first.advice


def test_a_mend_says_what_it_should_give_until_the_next_is_full() -> None:
    """A pool of five at a third of the CPU: three times as much, then the loop is full."""
    first, *_ = gave(CALM, PLANTED["pool"][0])
    assert first.advice.startswith("pool 5 → 14")
    assert first.then_rps == pytest.approx(272, abs=3)
    assert (first.next_kind, first.next_rps) == ("loop", first.then_rps)
    after = following((first,))
    assert after is not None
    assert (after.kind, after.sentence[:32]) == ("loop", "a worker's core is full at some 272"[:32])


def test_the_size_of_a_pool_is_told_as_one_sets_it_for_each_process() -> None:
    """Two workers with clients of ten connections have twenty together."""
    of_two = replace(UPSTREAM, pool_wait_ms=650_000.0, pool_wait_p95_ms=640.0, limit=20, processes=2)
    first, *_ = gave(CALM, picture(700.0, http_ms_per_request=680.0, upstreams=(of_two,)))
    assert first.kind == "client-pool"
    assert re.match(r"max_connections 10 → \d+ a process", first.advice)


def test_a_worker_that_gets_no_processor_is_told_of_before_what_that_brings_about() -> None:
    """Statements take longer as well, and the loop is late: none of that is the database's, or the loop's."""
    starved = picture(
        90.0, sql_ms_per_request=30.0, queries=(QUERY,), queued=Queued(known=1000, ms_per_request=25.0),
        worker_has={"contention": Contention(waited_share=0.42), "loop_lag_p99_ms": 60.0},
    )  # fmt: skip
    first, *_ = gave(CALM, starved)
    assert first.kind == "cpu"
    assert first.sentence.startswith("worker 101 was ready to run and did not get to for 42 % of the time")


@pytest.mark.parametrize("waited", [None, 0.05, 0.3])
def test_a_full_pool_is_what_gave_where_others_have_all_processors_and_workers_want_few(
    waited: float | None,
) -> None:
    """A crowded machine makes everything a little later; what it did not fill it does not explain."""
    busy = Contention(waited_share=waited, host=Host(cores=2, busy=1.0))
    crowded = picture(
        200.0, pool_wait_ms_per_request=110.0, queued=Queued(known=1000, ms_per_request=40.0), pools=(POOL,),
        worker_has={"contention": busy, "cpu_mean_percent": 12.0, "loop_lag_p99_ms": 30.0},
    )  # fmt: skip
    first, *others = gave(CALM, crowded)
    assert first.kind == "pool"
    # How long it waited a short step may not tell.
    assert [each.kind for each in others] == (["loop"] if waited == 0.05 else ["cpu", "loop"])


def test_others_that_take_all_processors_are_what_gave_where_workers_want_them() -> None:
    """Though a pool is full as well: whose connections are held for as long as nobody runs."""
    busy = Contention(waited_share=0.7, host=Host(cores=2, busy=1.0))
    crowded = picture(
        200.0, pool_wait_ms_per_request=90.0, queued=Queued(known=1000, ms_per_request=60.0), pools=(POOL,),
        worker_has={"contention": busy, "cpu_mean_percent": 25.0},
    )  # fmt: skip
    first, *_ = gave(CALM, crowded)
    assert first.kind == "cpu"
    assert first.sentence.startswith("all 2 cores are busy, the workers take 25 of 200 %, others the rest")


def test_who_computes_in_threads_is_named_by_them_where_no_look_found_who_has_the_gil() -> None:
    """A short step has few looks."""
    threads = {"threadpool": ThreadpoolStats(used=3, total=40, waiting=0), "cpu_mean_percent": 88}
    queued = Queued(known=1000, ms_per_request=270)
    first, *_ = gave(CALM, picture(300.0, queued=queued, worker_has=threads))
    assert first.kind == "gil"


def test_long_waits_for_locks_are_a_lock_though_nobody_could_ask_the_database() -> None:
    """As the agents saw them; a small part of what statements take is none."""
    waits = picture(300.0, sql_ms_per_request=280.0, lock_ms_per_request=150.0, queries=(QUERY,))
    first, *_ = gave(CALM, waits)
    assert first.kind == "lock"
    assert first.sentence == "statements wait 150 of the 280 ms that they take longer for locks"
    slow = picture(300.0, sql_ms_per_request=280.0, lock_ms_per_request=20.0, queries=(QUERY,))
    first, *_ = gave(CALM, slow)
    assert first.kind == "database"


def test_what_has_grown_right_below_the_knee_already_is_told_from_the_calm_before() -> None:
    """A pool whose waits hardly grow over the bracket, beside statements that took some ms more by chance."""
    below = picture(300.0, pool_wait_ms_per_request=235.0, sql_ms_per_request=12.0, pools=(POOL,))
    beyond = picture(
        310.0, pool_wait_ms_per_request=237.0, sql_ms_per_request=16.0, pools=(POOL,), queries=(QUERY,)
    )
    cold = picture(60.0, sql_ms_per_request=40.0)
    first, *_ = limits(SEARCH, [cold, CALM, below], beyond, saturation(beyond))
    assert (first.kind, first.grew_ms) == ("pool", 237.0)


@pytest.mark.parametrize(("checkouts", "named"), [(300, "pool"), (3000, "database")])
def test_a_full_pool_is_explained_by_what_prolongs_the_time_its_connections_are_held(
    checkouts: int, named: str
) -> None:
    """By Little's law: five of them for 167 ms each, in which statements take 40 ms more, or for 17."""
    pool = replace(POOL, checkouts=checkouts)
    after = picture(
        150.0, pool_wait_ms_per_request=60.0, sql_ms_per_request=40.0, pools=(pool,), queries=(QUERY,)
    )
    first, *_ = gave(CALM, after)
    assert first.kind == named


def test_nothing_that_grew_is_no_limit() -> None:
    """Then it is not made up."""
    assert gave(CALM, CALM) == ()


def test_a_quota_twice_as_large_gives_twice_as_much_and_no_more_than_a_core_does() -> None:
    """What it had stopped bounds nothing by itself; the processor time that a request takes does."""
    small = picture(20.0, worker_has={"contention": Contention(Quota(0.3, "/x", 100, 5, 9.0, 0.01))})
    first, *_ = gave(small, PLANTED["quota"][0])
    assert (first.kind, first.sentence[:18], first.advice[:22]) == (
        "quota", "a quota of 0.3 cor", "quota 0.3 → 0.6 cores ",
    )  # fmt: skip
    assert first.then_rps == pytest.approx(200, abs=1)
    large = picture(20.0, worker_has={"cpu_mean_percent": 60.0})
    first, *_ = gave(large, PLANTED["quota"][0])
    assert first.then_rps == pytest.approx(136, abs=1)


def test_a_lock_and_an_upstream_promise_twice_as_much_for_half_as_long_and_twice_as_many() -> None:
    """With the figures that make it so: who has a lock passes one by one, an upstream serves what it does."""
    lock, *_ = gave(CALM, *PLANTED["lock"])
    assert lock.advice == "hold it 10 → 5 ms a request: commit sooner"
    assert lock.then_rps == pytest.approx(200, abs=1)
    upstream, *_ = gave(CALM, *PLANTED["upstream"])
    assert "have it serve 100 → 200/s" in upstream.advice
    assert upstream.then_rps == pytest.approx(200, abs=1)
