"""`memory-growth`: a worker's memory climbs and does not level off.

Two ways to see it. A slow leak lifts the floor: the least RSS in each quarter of what is known. Big responses
lift single moments, and a warm-up lifts the first quarters; a leak lifts the floor of every quarter. A fast
one has ended the host by then: it is judged by how long what is left lasts at its pace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from perftui.findings.criteria import At, Criteria, graded_by, written
from perftui.findings.figures import size, span
from perftui.findings.rule import MIN_REQUESTS, Bar, Standing, graded, worst
from perftui.findings.workers import at_work, name_of
from perftui.model.happenings import Finding, Severity
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui.record import Record

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
"""At this pace what there is is used up within a quarter of an hour: high."""

ENDS_IN_S = 600.0
ENDS_IN_STANDING_S = 900.0
"""Within minutes: it can't wait for the floors of four quarters."""

MIN_SAMPLES = 4
ENDS_AT_ONCE_S = 120.0
MIN_CLIMB_S = 8.0
"""What would last longer than two minutes must have climbed for so long: an export is over by then."""

STEADY = 0.25
"""Of its pace: a second in which it grows by less is a rest. One is a pause of the collector's; two, and it
has levelled off."""

TAKEN = 0.02
"""Of what there was when it began to climb: one big response takes less."""

TAKEN_WHILE_LOADING = 0.5
"""A young worker that has hardly served yet loads what it needs, a model for one, at whatever pace."""

LOADING_S = 120.0


class _Climb(Record, frozen=True):
    """A stretch of seconds, up to now, in each of which it grew."""

    from_bytes: int
    to_bytes: int
    over_s: float
    per_s: float


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each worker that keeps growing."""
    for worker in at_work(summary):
        stands = worker.identity.id in standing
        climb = _climb(worker.memory_lately)
        if climb is not None and _ends_soon(worker, climb, stands):
            yield _sudden(summary, worker, climb)
            continue
        warm_from = worker.identity.started_at + WARM_AFTER_S
        points = [(at, size) for at, size in worker.memory if at >= warm_from]
        if len(points) < MIN_POINTS or points[-1][0] - points[0][0] < MIN_SPAN_S:
            continue
        floors = _floors(points)
        if _climbs(floors, stands):
            yield _finding(summary, worker, points, floors, standing.get(worker.identity.id))


def _climb(points: Sequence[tuple[float, int]]) -> _Climb | None:
    """Return the stretch up to now in which memory grew second by second, if it is long enough."""
    steps = [(after - before, to_at - at) for (at, before), (to_at, after) in pairwise(points)]
    length = rests = 0
    grown = over_s = 0.0
    for back, (grew, took_s) in enumerate(reversed(steps), 1):
        pace = grown / over_s if over_s else 0.0
        rests = rests + 1 if grew <= max(0.0, STEADY * pace * took_s) else 0
        if rests > 1 or grew < -STEADY * pace * took_s:
            break
        length = length if rests else back
        grown, over_s = grown + grew, over_s + took_s
    if length + 1 < MIN_SAMPLES:
        return None
    (begin, low), (middle, between), (end, high) = points[-length - 1], points[-MIN_SAMPLES], points[-1]
    # What came in one leap, a while ago, says nothing of the pace it has now.
    pace = min((high - low) / (end - begin), (high - between) / (end - middle))
    return _Climb(low, high, end - begin, pace) if pace > 0 else None


def _ends_soon(worker: WorkerSummary, climb: _Climb, stands: bool) -> bool:
    left, grown = worker.memory_left_bytes, climb.per_s * climb.over_s
    if left is None or grown < GROWN_BYTES.enter:
        return False
    left_s = left / climb.per_s
    if left_s > (ENDS_IN_STANDING_S if stands else ENDS_IN_S):
        return False
    if left_s > ENDS_AT_ONCE_S and climb.over_s < MIN_CLIMB_S:
        return False
    loads = (worker.uptime_s or 0.0) < LOADING_S and worker.requests < MIN_REQUESTS
    return grown >= (TAKEN_WHILE_LOADING if loads else TAKEN) * (left + grown)


def _sudden(summary: Summary, worker: WorkerSummary, climb: _Climb) -> Finding:
    left = worker.memory_left_bytes or 0
    left_s = left / climb.per_s
    where = "container has" if worker.memory_left_in == "container" else "host has"
    return Finding(
        kind=KIND,
        severity="high",
        subject=name_of(worker, summary),
        sentence=f"grows by {size(climb.per_s)} a second, from {size(climb.from_bytes)} to "
        f"{size(climb.to_bytes)} in {span(climb.over_s)}: the {size(left)} that the {where} left "
        f"last {span(left_s)}",
        evidence={
            "pid": worker.pid,
            "rss_bytes": climb.to_bytes,
            "over_s": round(climb.over_s, 1),
            "bytes_per_minute": round(climb.per_s * 60),
            "memory_left_bytes": left,
            "memory_left_in": worker.memory_left_in,
            "left_s": round(left_s, 1),
            "memory_limit_bytes": worker.memory_limit_bytes,
        },
        advice=f"Stop what sends it work, or end worker {worker.pid}, before the kernel ends something. What "
        "it has in flight and a dump say what it is at.",
        impact=climb.per_s / 1e6 * 60,
        key=worker.identity.id,
        worker=worker.identity.id,
    )


def _floors(points: Sequence[tuple[float, int]]) -> list[int]:
    """Return the least of each quarter."""
    edges = [round(len(points) * quarter / 4) for quarter in range(5)]
    return [min(rss for _, rss in points[begin:end]) for begin, end in pairwise(edges)]


def _climbs(floors: Sequence[int], stands: bool) -> bool:
    grown = floors[-1] - floors[0]
    if not (GROWN_BYTES.reached(grown, stands) and GROWN_SHARE.reached(grown / max(floors[0], 1), stands)):
        return False
    return all(after - before >= EACH_QUARTER * grown for before, after in pairwise(floors))


def _left(worker: WorkerSummary, last: int) -> int | None:
    """Return how much more it can take: to its container's limit, or as the system says."""
    limit = worker.memory_limit_bytes
    known = [worker.memory_left_bytes, max(0, limit - last) if limit else None]
    return min((each for each in known if each is not None), default=None)


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
    limit, left = worker.memory_limit_bytes, _left(worker, last)
    left_s = left / per_s if left is not None and per_s > 0 else None
    severity = graded(share, MEDIUM_SHARE, HIGH_SHARE, was)
    if left_s is not None and left_s <= LIMIT_SOON_S:
        severity = worst(severity, "high")
    until = ""
    if limit and left_s is not None:
        until = f"; its limit of {size(limit)} is {span(left_s)} away"
    elif left is not None and left_s is not None and severity == "high":
        until = f"; the {size(left)} that the host has left last {span(left_s)}"
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
            "memory_left_bytes": left,
            "points": len(points),
        },
        advice="Look for what is kept per request: module-level lists and dicts, unbounded caches, "
        "closures. tracemalloc between two moments names the line.",
        impact=per_s / 1e6 * 60,
        key=worker.identity.id,
        worker=worker.identity.id,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="a worker's memory climbs and does not level off",
    subject="worker",
    when=(
        At("growth of its floor", GROWN_BYTES, "bytes"),
        At("of that floor at the beginning", GROWN_SHARE, "share"),
        (
            f"in every quarter of what is known at least {EACH_QUARTER:.0%} of it, over "
            f"{written(MIN_SPAN_S, 's')} and more"
        ),
        f"or a climb at whose pace what is left lasts less than {written(ENDS_IN_S, 's')}",
    ),
    medium=graded_by(MEDIUM_SHARE, "share"),
    high=f"{graded_by(HIGH_SHARE, 'share')}, or used up within {written(LIMIT_SOON_S, 's')}",
    never=f"the first {written(WARM_AFTER_S, 's')} of a worker",
)
