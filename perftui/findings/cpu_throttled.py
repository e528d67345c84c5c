"""`cpu-throttled`: a quota of CPU stops a worker, and requests wait for it.

A quota is given by the period: 0.5 of a core is 50 ms in each 100. Once they are used up the kernel stops
everything in the group until the next period, whatever it is at. The mean over a second looks well by then:
four threads that start at once have used up a whole core's period after 25 ms.

Periods that were used up while nobody had anything to do hurt nobody: what counts is for how long the
worker's own threads were ready to run and did not get to, and that its loop was late.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.cost import waited_for_loops
from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, percent
from perftui.findings.rule import Bar, Standing, graded
from perftui.findings.workers import at_work, name_of
from perftui.model.happenings import Finding, Severity
from perftui.model.machine import Quota
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary

KIND = "cpu-throttled"

MIN_COVERED_S = 5.0
MIN_PERIODS = 20
"""Two seconds of the usual ones."""

MIN_REQUESTS = 10
"""Of a worker that hardly gets on there are few."""

PERIODS = Bar(0.2, 0.1)
"""Of its periods, those that were too short."""

STOPPED = Bar(0.10, 0.05)
"""Of the time: 100 ms of each second."""

LAG_P99_MS = Bar(30.0, 20.0)
"""A stop within the usual period lasts longer as soon as it is worth a word."""

MEDIUM_STOPPED = Bar(0.2, 0.15)
HIGH_STOPPED = Bar(0.4, 0.3)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each worker that is stopped while somebody waits for it."""
    for worker in at_work(summary):
        quota = worker.contention.quota
        if quota is None or quota.periods < MIN_PERIODS or worker.covered_s < MIN_COVERED_S:
            continue
        if worker.requests + (worker.in_flight or 0) < MIN_REQUESTS:
            continue
        stands = worker.identity.id in standing
        if (
            PERIODS.reached(quota.throttled_share, stands)
            and STOPPED.reached(quota.stopped_share, stands)
            and LAG_P99_MS.reached(worker.loop_lag_p99_ms, stands)
        ):
            yield _finding(summary, worker, quota, standing.get(worker.identity.id))


def _finding(summary: Summary, worker: WorkerSummary, quota: Quota, was: Severity | None) -> Finding:
    lag_ms, stopped_ms = worker.loop_lag_p99_ms or 0.0, 1000 * quota.stopped_share
    sharing = [each for each in at_work(summary) if each is not worker and _share_it(worker, each)]
    together = f", shared by {len(sharing) + 1} workers" if sharing else ""
    return Finding(
        kind=KIND,
        severity=graded(quota.stopped_share, MEDIUM_STOPPED, HIGH_STOPPED, was),
        subject=name_of(worker, summary),
        sentence=f"quota {quota_text(quota.cores)}{together}; stopped {ms(stopped_ms)} of each second, "
        f"in {quota.throttled:,} of {quota.periods:,} periods; its loop answers {ms(lag_ms)} late (p99)",
        evidence={
            "pid": worker.pid,
            "quota_cores": round(quota.cores, 4),
            "group": quota.group or None,
            "periods": quota.periods,
            "throttled": quota.throttled,
            "throttled_share": round(quota.throttled_share, 4),
            "throttled_ms": round(quota.ms, 3),
            "stopped_share": round(quota.stopped_share, 4),
            "waited_share": _rounded(worker.contention.waited_share),
            "workers_in_it": len(sharing) + 1,
            "cpu_mean_percent": _rounded(worker.cpu_mean_percent),
            "loop_lag_p99_ms": round(lag_ms, 3),
            "requests": worker.requests,
            "covered_s": round(worker.covered_s, 3),
        },
        advice=_advice(worker, quota, len(sharing) + 1),
        impact=waited_for_loops(summary, {worker.identity.id}),
        key=worker.identity.id,
        worker=worker.identity.id,
    )


def quota_text(cores: float) -> str:
    """Return what a quota allows: `0.5 of a core`, `2 cores`."""
    return f"{cores:.3g} of a core" if cores < 1.0 else f"{cores:.3g} core{'' if cores == 1.0 else 's'}"


def _share_it(one: WorkerSummary, other: WorkerSummary) -> bool:
    mine, theirs = one.contention.quota, other.contention.quota
    same_host = one.identity.host == other.identity.host
    return same_host and mine is not None and theirs is not None and mine.group == theirs.group


def _advice(worker: WorkerSummary, quota: Quota, sharing: int) -> str:
    where = f" of {quota.group}" if quota.group else ""
    used = worker.cpu_mean_percent
    uses = f"It uses {percent(used / 100)} of a core on average: " if used is not None else ""
    fewer = "fewer workers within it, " if sharing > 1 else ""
    return (
        f"{uses}raise the quota{where} (limits.cpu in Kubernetes, docker --cpus, CPUQuota= of systemd), run "
        f"{fewer}fewer threads at once, or profile worker {worker.pid} to see what it spends it on."
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


CRITERIA = Criteria(
    kind=KIND,
    means="the cgroup's quota of CPU stops a worker, and requests wait for it",
    subject="worker",
    when=(
        At("of the quota's periods, those that were used up before their end", PERIODS, "share"),
        At("of the time, stopped while a thread of the worker was ready to run", STOPPED, "share"),
        At("p99 of how late its loop answers", LAG_P99_MS, "ms"),
        f"over {MIN_COVERED_S:g} s and {MIN_PERIODS} periods and more, with {MIN_REQUESTS} requests and more",
    ),
    medium=graded_by(MEDIUM_STOPPED, "share"),
    high=graded_by(HIGH_STOPPED, "share"),
    never="periods that are used up while nobody of the worker has anything to do",
)
