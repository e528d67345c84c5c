"""`queueing`: requests wait longer before the app than in it.

The time before the app begins when a request's bytes have reached the machine: the loop had not got round to
it. Where something is seen to hold the loop, that is the finding, and this one its symptom (see `causes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, percent
from perftui.findings.rule import MIN_REQUESTS, Bar, Standing, graded
from perftui.findings.workers import at_work, name_of
from perftui.model.happenings import Finding, Severity
from perftui.model.measures import Totals
from perftui.model.slo import ALL
from perftui.model.summary import Summary
from perftui.model.waiting import queued_share
from perftui.model.worker_summary import WorkerSummary

KIND = "queueing"

SHARE = Bar(0.5, 0.4)
"""Of an average request's latency: from here on it waits longer than it is worked at."""

P95_MS = Bar(50.0, 30.0)
"""Requests of 1 ms that wait for 2 ms hurt nobody; the kernel's clock has steps of 4 ms besides."""

MEDIUM_MS = Bar(100.0, 70.0)
HIGH_MS = Bar(500.0, 350.0)

BUSY_PERCENT = 70.0
"""From here on its own work is what it has no time left from."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each worker whose requests queue; if all of them do, one finding for all."""
    judged = [worker for worker in at_work(summary) if worker.queued.known >= MIN_REQUESTS]
    late = [worker for worker in judged if _is_late(worker, standing)]
    if len(late) > 1 and len(late) == len(judged):
        yield _finding(summary.totals, late, ALL, standing.get(ALL))
        return
    for worker in late:
        yield _finding(worker, [worker], name_of(worker, summary), standing.get(worker.identity.id))


def _is_late(worker: WorkerSummary, standing: Standing) -> bool:
    stands = ALL in standing or worker.identity.id in standing
    return SHARE.reached(queued_share(worker), stands) and P95_MS.reached(worker.queued.p95_ms, stands)


def _finding(
    row: WorkerSummary | Totals,
    workers: Sequence[WorkerSummary],
    subject: str,
    was: Severity | None,
) -> Finding:
    queued, mean_ms = row.queued, row.latency.mean_ms or 0.0
    before_ms = queued.ms_per_request or 0.0
    busiest = max((worker.cpu_mean_percent or 0.0 for worker in workers), default=0.0)
    one = workers[0] if len(workers) == 1 else None
    return Finding(
        kind=KIND,
        severity=graded(queued.p95_ms or 0.0, MEDIUM_MS, HIGH_MS, was),
        subject=subject,
        sentence=f"requests wait {ms(before_ms)} before the app and take {ms(max(mean_ms - before_ms, 0.0))} "
        f"in it: queued p95 {ms(queued.p95_ms or 0.0)} of {queued.known:,} requests",
        evidence={
            "requests": queued.known,
            "queue_ms_per_request": round(before_ms, 3),
            "queue_p95_ms": round(queued.p95_ms or 0.0, 3),
            "latency_ms_per_request": round(mean_ms, 3),
            "workers": {
                str(worker.pid): {
                    "queue_p95_ms": worker.queued.p95_ms,
                    "cpu_mean_percent": worker.cpu_mean_percent,
                    "loop_lag_p99_ms": worker.loop_lag_p99_ms,
                }
                for worker in workers[:16]
            },
        },
        advice=_advice(busiest),
        impact=before_ms * (row.rps or 0.0),
        key=one.identity.id if one else ALL,
        worker=one.identity.id if one else None,
        workers=tuple(worker.identity.id for worker in workers),
    )


def _advice(busiest: float) -> str:
    if busiest >= BUSY_PERCENT:
        return (
            f"The loop has no time left at {percent(busiest / 100)} CPU: profile what it does, "
            "then add workers as long as the host has cores to spare."
        )
    return (
        f"At {percent(busiest / 100)} CPU it is not the app's own work: many short steps on the loop, or a "
        "process that gets no CPU. Look at the host's load, a CPU quota, swapping; then at a profile."
    )


CRITERIA = Criteria(
    kind=KIND,
    means="requests wait longer before the app than in it",
    subject="worker, or all",
    when=(
        At("of the latency, before the app", SHARE, "share", lambda row, _: queued_share(row)),
        At("p95 of that wait", P95_MS, "ms", lambda row, _: row.queued.p95_ms),
        f"{MIN_REQUESTS} requests and more of which it is known",
    ),
    medium=graded_by(MEDIUM_MS, "ms"),
    high=graded_by(HIGH_MS, "ms"),
)
