"""`memory-growth`: a worker's memory climbs and does not level off.

The floor counts: the least RSS in each quarter of what is known. Big responses lift single moments, and
a warm-up lifts the first quarters; a leak lifts the floor of every quarter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from perftui.findings.figures import size, span
from perftui.findings.rule import Bar, Standing, graded, worst
from perftui.findings.workers import at_work, name_of
from perftui.model.summary import Finding, Severity, Summary, WorkerSummary

KIND = "memory-growth"

WARM_AFTER_S = 60.0
"""Imports, pools, first requests: what a worker takes before that is its size."""

MIN_SPAN_S = 60.0
MIN_POINTS = 12

GROWN_BYTES = Bar(24_000_000, 16_000_000)
GROWN_SHARE = Bar(0.10, 0.07)
"""Of the floor at the beginning: allocators and caches take less than that as they come and go."""

EACH_QUARTER = 0.15
"""The least part of the whole climb in each step from quarter to quarter; a third if it is even. Below,
it levels off."""

MEDIUM_SHARE = Bar(0.25, 0.18)
HIGH_SHARE = Bar(1.0, 0.8)

LIMIT_SOON_S = 900.0
"""At this pace the container's limit is reached within a quarter of an hour: high."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each worker that keeps growing."""
    for worker in at_work(summary):
        warm_from = worker.identity.started_at + WARM_AFTER_S
        points = [(at, size) for at, size in worker.memory if at >= warm_from]
        if len(points) < MIN_POINTS or points[-1][0] - points[0][0] < MIN_SPAN_S:
            continue
        floors = _floors(points)
        if _climbs(floors, worker.identity.id in standing):
            yield _finding(summary, worker, points, floors, standing.get(worker.identity.id))


def _floors(points: Sequence[tuple[float, int]]) -> list[int]:
    """Return the least of each quarter."""
    edges = [round(len(points) * quarter / 4) for quarter in range(5)]
    return [min(rss for _, rss in points[begin:end]) for begin, end in pairwise(edges)]


def _climbs(floors: Sequence[int], stands: bool) -> bool:
    grown = floors[-1] - floors[0]
    if not (GROWN_BYTES.reached(grown, stands) and GROWN_SHARE.reached(grown / max(floors[0], 1), stands)):
        return False
    return all(after - before >= EACH_QUARTER * grown for before, after in pairwise(floors))


def _finding(
    summary: Summary,
    worker: WorkerSummary,
    points: Sequence[tuple[float, int]],
    floors: Sequence[int],
    was: Severity | None,
) -> Finding:
    over_s = points[-1][0] - points[0][0]
    # From the first quarter's floor to the last one's are three quarters of the time.
    per_s = (floors[-1] - floors[0]) / (over_s * 0.75)
    last = points[-1][1]
    share = (floors[-1] - floors[0]) / max(floors[0], 1)
    limit = worker.memory_limit_bytes
    left_s = max(0.0, (limit - last) / per_s) if limit and per_s > 0 else None
    severity = graded(share, MEDIUM_SHARE, HIGH_SHARE, was)
    if left_s is not None and left_s <= LIMIT_SOON_S:
        severity = worst(severity, "high")
    until = f"; its limit of {size(limit)} is {span(left_s)} away" if limit and left_s is not None else ""
    return Finding(
        kind=KIND,
        severity=severity,
        subject=name_of(worker, summary),
        sentence=f"grew from {size(floors[0])} to {size(floors[-1])} in {span(over_s)}, "
        f"{size(per_s * 60)} a minute, and does not level off{until}",
        evidence={
            "pid": worker.pid,
            "rss_bytes": last,
            "floors_bytes": list(floors),
            "over_s": round(over_s, 1),
            "bytes_per_minute": round(per_s * 60),
            "memory_limit_bytes": limit,
            "points": len(points),
        },
        advice="Look for what is kept per request: module-level lists and dicts, unbounded caches, "
        "closures. tracemalloc between two moments names the line.",
        impact=per_s / 1e6 * 60,
        key=worker.identity.id,
        worker=worker.identity.id,
    )
