"""`worker-imbalance`: one worker serves or suffers far more than its siblings.

Connections are kept alive, so a few clients load a few workers: an uneven share of requests alone is
nobody's trouble, nor is it that other routes come to it than to them. It is one when the worker with the
most is also short of CPU, or when one worker is slow or fails where its siblings do not: by the same routes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, percent
from perftui.findings.rule import Bar, Standing, graded
from perftui.findings.workers import at_work, name_of
from perftui.model.happenings import Finding
from perftui.model.measures import Share
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui.record import Record

KIND = "worker-imbalance"

MIN_REQUESTS = 100
"""Of each worker that is compared by latency or failures: the mix of routes evens out by then."""

MIN_LOAD = 200
"""Requests of the loaded one."""

TIMES = Bar(3.0, 2.2)
"""What its siblings have."""

SLOWER_MS = 50.0
"""In milliseconds as well: three times of nearly nothing is nothing."""

BUSY_PERCENT = Bar(60.0, 45.0)
"""CPU of the loaded worker, while its siblings use half of that or less."""

MIN_ERRORS = 10

MOST_ROUTES = 10
"""That are compared worker by worker: those that fail most, or take most."""

MEDIUM_TIMES = Bar(5.0, 4.0)
HIGH_TIMES = Bar(20.0, 15.0)


class _Uneven(Record, frozen=True):
    """In what one worker differs from its siblings."""

    what: str
    times: float
    sentence: str


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each worker that stands out, in what it stands out most."""
    workers = list(at_work(summary))
    longest_s = max((worker.covered_s for worker in workers), default=0.0)
    # One that has just come has less of everything.
    workers = [worker for worker in workers if worker.covered_s >= 0.9 * longest_s]
    for worker in workers:
        siblings = [
            each
            for each in workers
            if each is not worker and each.identity.service == worker.identity.service
        ]
        if siblings:
            stands = worker.identity.id in standing
            found = [*_load(worker, siblings, stands), *_latency(worker, siblings, stands)]
            found += _errors(worker, siblings, stands)
            found = [each for each in found if not _is_by_its_routes(summary, worker, siblings, each.what)]
            if found:
                yield _finding(summary, worker, siblings, found, standing)


def _is_by_its_routes(
    summary: Summary, worker: WorkerSummary, siblings: Sequence[WorkerSummary], what: str
) -> bool:
    """Tell whether siblings would do as badly at the routes that came to a worker, as far as that is known.

    A route that came to none of them tells nothing, and counts for neither.
    """
    if what not in {"latency", "errors"}:
        return False
    mine, theirs, known = 0.0, 0.0, False
    names = {each.identity.id for each in siblings}
    order = sorted(summary.routes, key=lambda row: -(row.errors if what == "errors" else row.total_ms))
    for route in order[:MOST_ROUTES]:
        own = [share for share in route.shares if share.worker == worker.identity.id]
        others = [share for share in route.shares if share.worker in names]
        known = known or bool(own)
        if own and others:
            requests = sum(share.requests for share in others)
            mine += _sum(own, what)
            theirs += _sum(others, what) / requests * own[0].requests
    return known and mine < TIMES.leave * max(theirs, 1.0)


def _sum(shares: Sequence[Share], what: str) -> float:
    if what == "errors":
        return float(sum(share.errors for share in shares))
    return sum((share.latency.mean_ms or 0.0) * share.requests for share in shares)


def _load(worker: WorkerSummary, siblings: Sequence[WorkerSummary], stands: bool) -> Iterator[_Uneven]:
    usual = median(each.requests for each in siblings)
    cpu, usual_cpu = worker.cpu_mean_percent, _median(each.cpu_mean_percent for each in siblings)
    if worker.requests < MIN_LOAD or cpu is None or usual_cpu is None:
        return
    times = worker.requests / max(usual, 1.0)
    if TIMES.reached(times, stands) and BUSY_PERCENT.reached(cpu, stands) and cpu >= 2 * usual_cpu:
        yield _Uneven(
            "requests",
            times,
            f"serves {worker.requests:,} requests, its siblings {usual:,.0f} each, "
            f"at {percent(cpu / 100)} CPU against {percent(usual_cpu / 100)}",
        )


def _latency(worker: WorkerSummary, siblings: Sequence[WorkerSummary], stands: bool) -> Iterator[_Uneven]:
    if any(each.latency.count < MIN_REQUESTS for each in (worker, *siblings)):
        return
    p95_ms, usual_ms = worker.latency.p95_ms, _median(each.latency.p95_ms for each in siblings)
    if p95_ms is None or usual_ms is None or p95_ms - usual_ms < SLOWER_MS:
        return
    times = p95_ms / max(usual_ms, 0.001)
    if TIMES.reached(times, stands):
        yield _Uneven("latency", times, f"p95 {ms(p95_ms)}, its siblings {ms(usual_ms)}")


def _errors(worker: WorkerSummary, siblings: Sequence[WorkerSummary], stands: bool) -> Iterator[_Uneven]:
    if worker.errors < MIN_ERRORS or any(each.requests < MIN_REQUESTS for each in (worker, *siblings)):
        return
    rate = worker.errors / worker.requests
    usual = sum(each.errors for each in siblings) / sum(each.requests for each in siblings)
    times = rate / max(usual, 1.0 / sum(each.requests for each in siblings))
    if TIMES.reached(times, stands):
        yield _Uneven(
            "errors", times, f"fails {percent(rate)} of its requests, its siblings {percent(usual)}"
        )


def _median(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _finding(
    summary: Summary,
    worker: WorkerSummary,
    siblings: Sequence[WorkerSummary],
    found: Sequence[_Uneven],
    standing: Standing,
) -> Finding:
    most = max(found, key=lambda each: each.times)
    return Finding(
        kind=KIND,
        severity=graded(most.times, MEDIUM_TIMES, HIGH_TIMES, standing.get(worker.identity.id)),
        subject=name_of(worker, summary),
        sentence="; ".join(each.sentence for each in found),
        evidence={
            "pid": worker.pid,
            "in": [each.what for each in found],
            "times": round(most.times, 2),
            "workers": {
                str(each.pid): {
                    "requests": each.requests,
                    "errors": each.errors,
                    "p95_ms": each.latency.p95_ms,
                    "cpu_mean_percent": each.cpu_mean_percent,
                }
                for each in (worker, *siblings[:15])
            },
        },
        advice="Open the worker: what holds its loop, or what it lacks that its siblings have, shows there. "
        "If it only gets more requests, spread connections (a proxy, shorter keep-alive).",
        impact=max(
            0.0, (worker.latency.mean_ms or 0.0) - (_median(each.latency.mean_ms for each in siblings) or 0.0)
        )
        * (worker.rps or 0.0),
        key=worker.identity.id,
        worker=worker.identity.id,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="one worker serves or suffers far more than its siblings",
    subject="worker",
    when=(
        At("what its siblings have, of latency (p95) or of failures", TIMES, "times"),
        f"{SLOWER_MS:g} ms and more more than they, or {MIN_ERRORS} errors; {MIN_REQUESTS} requests each",
        "and so many times of what its siblings have at the routes that came to it",
        f"or so many times their requests, {MIN_LOAD} at least, at {BUSY_PERCENT.enter:g} % CPU",
    ),
    medium=graded_by(MEDIUM_TIMES, "times"),
    high=graded_by(HIGH_TIMES, "times"),
)
