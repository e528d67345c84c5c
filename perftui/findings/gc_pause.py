"""`gc-pause`: garbage collection stops every thread of a worker for too long, or too often."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.cost import under_way
from perftui.findings.criteria import At, Criteria, graded_by, written
from perftui.findings.figures import ms, percent, span, times
from perftui.findings.rule import Bar, Standing, graded, worst
from perftui.findings.workers import at_work, name_of
from perftui.model.happenings import Finding, Severity
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui_agent.sketch import LatencySketch

KIND = "gc-pause"

LONG_MS = 50.0
"""One such pause is a quarter of a target of 200 ms, for every request of the worker. Most are below 5 ms."""

LONG_PAUSES = Bar(3, 2)
"""A busy machine can stretch one pause; three are the heap. A large one that is well has one now and then."""

SHARE = Bar(0.05, 0.035)
"""Of the worker's time, in however short pauses."""

MEDIUM_MS = Bar(100.0, 70.0)
HIGH_MS = Bar(500.0, 350.0)
MEDIUM_SHARE = Bar(0.10, 0.07)
HIGH_SHARE = Bar(0.25, 0.18)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each worker that its collector stops too long."""
    for worker in at_work(summary):
        pauses = worker.gc_pauses
        if pauses is None or not worker.covered_s:
            continue
        stands = worker.identity.id in standing
        long = pauses_over(pauses, LONG_MS)
        share = pauses.total / 1e9 / worker.covered_s
        often = pauses.count >= LONG_PAUSES.enter and SHARE.reached(share, stands)
        if LONG_PAUSES.reached(long, stands) or often:
            yield _finding(summary, worker, pauses, long, share, standing.get(worker.identity.id))


def pauses_over(pauses: LatencySketch, longer_than_ms: float) -> int:
    """Return how many pauses were longer, to within the sketch's 1 %."""
    least_ns = longer_than_ms * 1e6
    return sum(count for low, _, count in pauses.ranges() if low >= least_ns)


def _finding(
    summary: Summary,
    worker: WorkerSummary,
    pauses: LatencySketch,
    long: int,
    share: float,
    was: Severity | None,
) -> Finding:
    longest_ms = pauses.max / 1e6
    return Finding(
        kind=KIND,
        severity=worst(
            graded(longest_ms, MEDIUM_MS, HIGH_MS, was), graded(share, MEDIUM_SHARE, HIGH_SHARE, was)
        ),
        subject=name_of(worker, summary),
        sentence=f"collecting garbage stopped it up to {ms(longest_ms)}, {times(long)} over {ms(LONG_MS)} "
        f"and {percent(share)} of the time in {span(worker.covered_s)}",
        evidence={
            "pid": worker.pid,
            "collections": pauses.count,
            "over_50_ms": long,
            "longest_ms": round(longest_ms, 3),
            "total_ms": round(pauses.total / 1e6, 3),
            "share": round(share, 4),
            "covered_s": round(worker.covered_s, 3),
            "rss_bytes": worker.rss_bytes,
        },
        advice="Call gc.freeze() once the app has started, raise gc.set_threshold(), "
        "and keep fewer objects alive for long.",
        impact=share * 1000.0 * under_way(worker),
        key=worker.identity.id,
        worker=worker.identity.id,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="garbage collection stops every thread of a worker for too long, or too often",
    subject="worker",
    when=(
        At(f"pauses beyond {written(LONG_MS, 'ms')}", LONG_PAUSES, "count"),
        f"or {written(SHARE.enter, 'share')} of the worker's time and more, in however short pauses",
    ),
    medium=f"{graded_by(MEDIUM_MS, 'ms')}, or {graded_by(MEDIUM_SHARE, 'share')} of its time",
    high=f"{graded_by(HIGH_MS, 'ms')}, or {graded_by(HIGH_SHARE, 'share')} of its time",
)
