"""A quota that stops a worker while requests wait for it, and near misses of that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perftui.findings.find import find
from perftui.model.machine import Contention, Quota
from perftui.model.worker_summary import WorkerSummary
from tests.perftui.findings.pictures import a_route, a_worker, found, only, picture, queued

KIND = "cpu-throttled"

QUOTA = Quota(cores=0.5, group="kubepods/pod1", periods=600, throttled=540, ms=24_720.0, stopped_share=0.412)


def throttled(pid: int = 4121, *, waited: float = 0.45, lag_ms: float = 62.0, **more: Any) -> WorkerSummary:
    """Return a worker that half a core is not enough for; of its quota, what is told otherwise."""
    names = {"cores", "group", "periods", "throttled", "ms", "stopped_share"}
    quota = replace(QUOTA, **{name: more.pop(name) for name in names & set(more)})
    contention = Contention(quota=quota, waited_share=waited)
    values = {"cpu_mean_percent": 49.0, "cpu_limit": 0.5, "loop_lag_p99_ms": lag_ms, **more}
    return a_worker(pid, contention=contention, **values)


def test_a_worker_that_its_quota_stops_is_found() -> None:
    """With the quota that causes it, for how long of each second, and in how many of its periods."""
    finding = only(KIND, picture(workers=(throttled(),)))
    assert finding.subject == "worker 4121"
    assert finding.sentence == (
        "quota 0.5 of a core; stopped 412 ms of each second, in 540 of 600 periods; "
        "its loop answers 62 ms late (p99)"
    )
    assert finding.severity == "high"
    assert finding.evidence["group"] == "kubepods/pod1"
    assert "raise the quota of kubepods/pod1" in finding.advice


def test_workers_that_share_a_quota_are_told_so() -> None:
    """It is the container's, and four workers in it use it up together."""
    workers = [throttled(pid, cores=2.0) for pid in range(1, 5)]
    sentences = [each.sentence for each in found(KIND, picture(workers=workers))]
    assert len(sentences) == 4
    assert all(each.startswith("quota 2 cores, shared by 4 workers; ") for each in sentences)


@pytest.mark.parametrize(
    "near_miss",
    [
        throttled(stopped_share=0.0),
        throttled(stopped_share=0.08),
        throttled(lag_ms=8.0),
        throttled(throttled=60),
        throttled(periods=10, throttled=10),
        throttled(covered_s=3.0),
        throttled(requests=3, in_flight=0),
        a_worker(contention=Contention(waited_share=0.9)),
    ],
    ids=[
        "nobody of this worker waited",
        "hardly any of the time",
        "the loop is on time all the same",
        "one period in ten",
        "only just started",
        "a short look",
        "a batch job",
        "no quota",
    ],
)
def test_a_quota_that_nobody_waits_for_is_healthy(near_miss: WorkerSummary) -> None:
    """Some periods are used up in any service that is well used."""
    assert not found(KIND, picture(workers=(near_miss,)))


def test_a_finding_of_throttling_stays_until_it_is_over() -> None:
    """At 7 % of the time it stays if it stands."""
    worker = throttled(stopped_share=0.07, lag_ms=25.0, throttled=80)
    summary = picture(workers=(worker,))
    assert not found(KIND, summary)
    assert found(KIND, summary, {worker.identity.id: "low"})
    over = picture(workers=(throttled(stopped_share=0.03),))
    assert not found(KIND, over, {worker.identity.id: "high"})


def test_the_quota_is_told_instead_of_all_that_follows_from_it() -> None:
    """A saturated CPU and requests that queue are what a quota looks like from elsewhere."""
    late = throttled(queued=queued([300.0] * 100, 200), lag_ms=180.0, in_flight=30)
    summary = picture(workers=(late,), routes=[a_route("GET /")])
    assert [each.kind for each in find(summary)] == [KIND]
    without = replace(late, contention=Contention())
    kinds = {each.kind for each in find(picture(workers=(without,), routes=[a_route("GET /")]))}
    assert kinds >= {"cpu-saturated"}
