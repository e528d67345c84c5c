"""`threadpool-exhausted`: sync endpoints and `run_in_threadpool` wait for a thread."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, plural
from perftui.findings.rule import Bar, Standing, graded
from perftui.findings.workers import at_work, name_of
from perftui.model.happenings import Finding, Severity
from perftui.model.quantiles import quantile_ms
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui_agent.sketch import LatencySketch

KIND = "threadpool-exhausted"

MIN_WAITS = 5
"""Only what found no free thread is counted as a wait; a handful is one burst."""

WAIT_P95_MS = Bar(20.0, 10.0)
"""Shorter waits are what full use of the threads costs."""

MIN_WAITING = 5
"""That many in the queue, all threads taken: seen at one moment, but a queue nevertheless."""

MEDIUM_MS = Bar(100.0, 70.0)
HIGH_MS = Bar(1000.0, 700.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each worker whose threads are not enough. All in use and nobody waiting is none."""
    for worker in at_work(summary):
        key = worker.identity.id
        wait_ms = quantile_ms(worker.threadpool_wait, 0.95)
        waits = worker.threadpool_wait.count if worker.threadpool_wait else 0
        waited = waits >= MIN_WAITS and WAIT_P95_MS.reached(wait_ms, key in standing)
        pool = worker.threadpool
        stuck = pool is not None and pool.used >= pool.total and pool.waiting >= MIN_WAITING
        if waited or stuck:
            yield _finding(summary, worker, wait_ms, worker.threadpool_wait, standing.get(key))


def _finding(
    summary: Summary,
    worker: WorkerSummary,
    wait_ms: float | None,
    waits: LatencySketch | None,
    was: Severity | None,
) -> Finding:
    pool = worker.threadpool
    parts = []
    if pool is not None:
        queue = f", {pool.waiting} waiting" if pool.waiting else ""
        parts.append(f"{pool.used} of {pool.total} threads in use{queue}")
    if waits is not None and wait_ms is not None:
        parts.append(f"{plural(waits.count, 'call')} waited for one, p95 {ms(wait_ms)}")
    routes = sorted(
        (route for route in summary.routes if route.threadpool_wait_ms_per_request),
        key=lambda route: -(route.threadpool_wait_ms_per_request or 0.0) * route.requests,
    )
    total_ms = waits.total / 1e6 if waits else 0.0
    return Finding(
        kind=KIND,
        severity=graded(wait_ms or 0.0, MEDIUM_MS, HIGH_MS, was) if waits else "high",
        subject=name_of(worker, summary),
        sentence="; ".join(parts),
        evidence={
            "pid": worker.pid,
            "used": pool.used if pool else None,
            "total": pool.total if pool else None,
            "waiting": pool.waiting if pool else None,
            "waits": waits.count if waits else 0,
            "wait_p95_ms": None if wait_ms is None else round(wait_ms, 3),
            "waited_ms": round(total_ms, 3),
            "routes": {
                route.route: round(route.threadpool_wait_ms_per_request or 0, 3) for route in routes[:5]
            },
        },
        advice=f"Dump worker {worker.pid} to see what its threads wait for; make that async, or shorter. "
        "Only then give anyio more threads (total_tokens).",
        impact=total_ms / max(summary.window_s, 1.0) + (1000.0 * pool.waiting if pool else 0.0),
        key=worker.identity.id,
        route=routes[0].route if routes else None,
        routes=tuple(route.route for route in routes),
        worker=worker.identity.id,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="sync endpoints wait for a thread",
    subject="worker",
    when=(
        At(
            "p95 of the wait for a thread",
            WAIT_P95_MS,
            "ms",
            lambda row, _: row.threadpool_wait_ms_per_request,
        ),
        f"{MIN_WAITS} waits and more, or {MIN_WAITING} that wait now while all threads are taken",
    ),
    medium=graded_by(MEDIUM_MS, "ms"),
    high=graded_by(HIGH_MS, "ms"),
)
