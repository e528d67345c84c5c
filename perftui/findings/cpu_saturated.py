"""`cpu-saturated`: a worker has no CPU left, and work queues.

A worker's Python code runs on one core at a time; in a container with less than that, its limit counts. What
one of its threads waits for a core that others of the host have counts as well: there is no more to be had.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.cost import waited_for_loops
from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, percent
from perftui.findings.rule import Bar, Standing, graded
from perftui.findings.workers import at_work, name_of
from perftui.model.happenings import Finding, Severity
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary

KIND = "cpu-saturated"

MIN_COVERED_S = 8.0
"""A shorter burst at full speed is what a CPU is for. A worker without CPU is late with its frames as well:
of the last ten seconds it has told eight or nine, or …"""

MIN_TOLD_S = 3.0
"""… so few, and is late with the others: that counts as well."""

MAX_LATE_S = 10.0
"""Who tells nothing for longer may have been stopped."""

MIN_REQUESTS = 5
"""Answered or under way. One that has no CPU left answers few: four in ten seconds where
its sibling answered 257."""

SHARE = Bar(0.9, 0.8)
"""Of what it can get, over the window: queueing grows without bound from here on."""

WORTH_TELLING = 0.05

LAG_P99_MS = Bar(50.0, 30.0)
"""How late the loop answers: work queues for it."""

MEDIUM_LAG_MS = Bar(100.0, 70.0)
HIGH_LAG_MS = Bar(500.0, 350.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each worker at its limit. Busy without a queue is well used, without requests a batch job."""
    for worker in at_work(summary):
        cpu = worker.cpu_mean_percent
        had = worker.requests + (worker.in_flight or 0)
        stands = worker.identity.id in standing
        is_burst = not stands and round(_known_s(summary, worker)) < MIN_COVERED_S
        if cpu is None or is_burst or had < MIN_REQUESTS:
            continue
        share = max(_of_a_core(worker), _share_of_limit(summary, worker))
        if SHARE.reached(share, stands) and LAG_P99_MS.reached(worker.loop_lag_p99_ms, stands):
            yield _finding(summary, worker, share, standing.get(worker.identity.id))


def _known_s(summary: Summary, worker: WorkerSummary) -> float:
    """Return how much of the window a worker has told, with what it is late by."""
    late_s = summary.at - (worker.told_until or summary.at)
    if worker.covered_s < MIN_TOLD_S or not 0.0 <= late_s <= MAX_LATE_S:
        return worker.covered_s
    return worker.covered_s + late_s


def _of_a_core(worker: WorkerSummary) -> float:
    """Return for how much of the time it had one, or was ready to run and had none."""
    used = (worker.cpu_mean_percent or 0.0) / 100.0
    return max(used, min(used + (worker.contention.waited_share or 0.0), 1.0))


def _share_of_limit(summary: Summary, worker: WorkerSummary) -> float:
    """Return how much of its container's cores this worker and its siblings use together."""
    if not worker.cpu_limit:
        return 0.0
    together = sum(
        each.cpu_mean_percent or 0.0
        for each in at_work(summary)
        if each.identity.host == worker.identity.host
        and each.identity.supervisor_pid == worker.identity.supervisor_pid
    )
    return together / 100.0 / worker.cpu_limit


def _finding(summary: Summary, worker: WorkerSummary, share: float, was: Severity | None) -> Finding:
    lag_ms = worker.loop_lag_p99_ms or 0.0
    own = (worker.cpu_mean_percent or 0.0) / 100.0
    waited = worker.contention.waited_share
    uses = f"uses {percent(own)} of a core"
    if _of_a_core(worker) > own and waited is not None and waited >= WORTH_TELLING:
        uses += f", and waits for one {percent(waited)} of the time,"
    if share > _of_a_core(worker):
        uses = f"and its siblings use {percent(share)} of the {worker.cpu_limit:g} cores they may"
    return Finding(
        kind=KIND,
        severity=graded(lag_ms, MEDIUM_LAG_MS, HIGH_LAG_MS, was),
        subject=name_of(worker, summary),
        sentence=f"{uses} while its loop answers {ms(lag_ms)} late (p99), {worker.in_flight or 0} in flight",
        evidence={
            "pid": worker.pid,
            "cpu_mean_percent": round(worker.cpu_mean_percent or 0.0, 2),
            "cpu_limit": worker.cpu_limit,
            "share": round(share, 4),
            "waited_share": None if waited is None else round(waited, 4),
            "loop_lag_p99_ms": round(lag_ms, 3),
            "in_flight": worker.in_flight,
            "requests": worker.requests,
            "rps": None if worker.rps is None else round(worker.rps, 3),
            "p95_ms": worker.latency.p95_ms,
        },
        advice=_advice(worker, own),
        impact=waited_for_loops(summary, {worker.identity.id}),
        key=worker.identity.id,
        worker=worker.identity.id,
    )


def _advice(worker: WorkerSummary, own: float) -> str:
    host = worker.contention.host
    if host is not None and host.load is not None and (worker.contention.waited_share or 0.0) > own:
        return (
            f"Its host has too much to do: a load of {host.load:.0f} on {host.cores} cores. See what else "
            "runs there, and move that or this; more workers on this host would only wait as well."
        )
    return (
        f"Profile worker {worker.pid} to see what burns it. If that is the work itself: more workers, "
        "as long as the host has cores to spare."
    )


CRITERIA = Criteria(
    kind=KIND,
    means="a worker has no CPU left, and work queues",
    subject="worker",
    when=(
        At("of a core, the waits for one included, or of the container's share", SHARE, "share"),
        At("p99 of how late its loop answers", LAG_P99_MS, "ms"),
        f"over {MIN_COVERED_S:g} s and more, with {MIN_REQUESTS} requests and more, answered or under way",
    ),
    medium=graded_by(MEDIUM_LAG_MS, "ms"),
    high=graded_by(HIGH_LAG_MS, "ms"),
)
