"""`loop-blocked`: code on the event loop held it, so that no other request of that worker went on.

Blocks of one function count together, whichever of its lines the samples caught; the line that held
longest speaks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from perftui.findings.cost import waited_for_loops
from perftui.findings.criteria import At, Criteria, graded_by, written
from perftui.findings.figures import ms, span, times
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted, worst
from perftui.findings.workers import at_work
from perftui.model.evidence import SILENT
from perftui.model.happenings import Finding, IncidentRow, Severity
from perftui.model.places import function_of
from perftui.model.summary import Summary

KIND = "loop-blocked"

OFTEN = 3
"""One block of 100 ms can be a cold import or a busy machine; three at the same place are the code."""

LONG_MS = 1000.0
"""One block this long is enough: it outlasts most clients' patience, and health checks."""

HIGH_MS = Bar(1000.0, 700.0)
MEDIUM_MS = Bar(250.0, 180.0)
HIGH_SHARE = Bar(0.10, 0.07)
"""Of one worker's time: a tenth of it held makes a tenth of its requests wait behind it."""
MEDIUM_SHARE = Bar(0.02, 0.014)

OURS = "perftui_agent/"
"""The only code of the agent that runs on the loop at length is its garbage collection callback, or so it
looks from another thread while the collector works: that is `gc-pause`."""

FELT_MS = 20.0
"""From here on it is worth telling that requests waited before the app."""

MAX_STACK = 10

BUILDING = (" serialize_response", " JSONResponse.render")
"""What a stack has in it while the app makes what an endpoint returned into a response."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each function that held a loop long enough or often enough."""
    by_function: dict[str, list[IncidentRow]] = {}
    for row in _held(summary.incidents):
        where = row.incident.where
        if where and not where.startswith(OURS):
            by_function.setdefault(function_of(where), []).append(row)
    for function, rows in by_function.items():
        longest_ms = max(row.incident.ns for row in rows) / 1e6
        if function in standing or len(rows) >= OFTEN or longest_ms >= LONG_MS:
            yield _finding(summary, function, rows, standing.get(function))


def while_building(rows: Iterable[IncidentRow]) -> list[IncidentRow]:
    """Return the blocks in which a response was being built."""
    return [
        row
        for row in rows
        if row.incident.kind == KIND and any(frame.endswith(BUILDING) for frame in row.incident.stack)
    ]


def severity(rows: Sequence[IncidentRow], window_s: float, was: Severity | None) -> Severity:
    """Return how severe these blocks are together."""
    longest_ms = max(row.incident.ns for row in rows) / 1e6
    return worst(
        graded(longest_ms, MEDIUM_MS, HIGH_MS, was),
        graded(_share(rows, window_s), MEDIUM_SHARE, HIGH_SHARE, was),
    )


def _share(rows: Iterable[IncidentRow], window_s: float) -> float:
    """Return how much of the time of the worker that they held most."""
    (_, held_ns), *_ = _of_workers(rows).most_common(1)
    return held_ns / 1e9 / max(window_s, 1.0)


def _of_workers(rows: Iterable[IncidentRow]) -> Counter[tuple[str, int]]:
    held_ns: Counter[tuple[str, int]] = Counter()
    for row in rows:
        held_ns[row.worker, row.pid] += row.incident.ns
    return held_ns


def _held(incidents: Sequence[IncidentRow]) -> list[IncidentRow]:
    """Return the blocks, and the silences of workers that hung: code that keeps the GIL holds the loop too.

    A worker that goes on tells of the same block itself, as soon as it can.
    """
    blocks = [row for row in incidents if row.incident.kind == KIND]
    hung = [row for row in incidents if row.incident.kind == SILENT and row.incident.verdict == "hung"]
    return [*blocks, *(row for row in hung if not any(_are_same(row, block) for block in blocks))]


def _are_same(one: IncidentRow, other: IncidentRow) -> bool:
    first, last = sorted((one.incident, other.incident), key=lambda each: each.at)
    return one.worker == other.worker and first.at + first.ns >= last.at


def _finding(summary: Summary, function: str, rows: Sequence[IncidentRow], was: Severity | None) -> Finding:
    held_ns: Counter[str] = Counter()
    of_worker_ns = _of_workers(rows)
    routes: Counter[str] = Counter()
    for row in rows:
        held_ns[row.incident.where] += row.incident.ns
        if row.incident.route:
            routes[row.incident.route] += 1
    longest = max(rows, key=lambda row: row.incident.ns)
    longest_ms, total_ms = longest.incident.ns / 1e6, held_ns.total() / 1e6
    window_s = max(summary.window_s, 1.0)
    pids = sorted({row.pid for row in rows})
    others = f" and {len(pids) - 1} more" if len(pids) > 1 else ""
    waited_ms = _queued_ms(summary, of_worker_ns)
    waited = f"; requests waited for it before the app, p95 {ms(waited_ms)}" if waited_ms >= FELT_MS else ""
    going_on = ", and still does" if any(row.incident.ongoing for row in _last_of_each(rows)) else ""
    return Finding(
        kind=KIND,
        severity=severity(rows, summary.window_s, was),
        subject=quoted(held_ns.most_common(1)[0][0], MAX_SUBJECT),
        sentence=f"held worker {longest.pid}{others} up to {ms(longest_ms)}, "
        f"{times(len(rows))} in {span(window_s)}{going_on}{waited}",
        evidence={
            "blocks": len(rows),
            "longest_ms": round(longest_ms, 3),
            "total_ms": round(total_ms, 3),
            "share_of_worker": round(min(_share(rows, summary.window_s), 1.0), 4),
            "while_building": len(while_building(rows)),
            "window_s": round(summary.window_s, 3),
            "workers": pids,
            "queue_p95_ms": round(waited_ms, 3),
            "routes": [route for route, _ in routes.most_common(5)],
            "stack": list(longest.incident.stack[:MAX_STACK]),
        },
        advice=_advice(longest, alone=sum(1 for _ in at_work(summary)) < 2),
        impact=total_ms / window_s + waited_for_loops(summary, {worker for worker, _ in of_worker_ns}),
        key=function,
        since=min(row.incident.at for row in rows) / 1e9,
        route=routes.most_common(1)[0][0] if routes else None,
        worker=of_worker_ns.most_common(1)[0][0][0],
        workers=tuple(worker for worker, _ in of_worker_ns),
    )


def _queued_ms(summary: Summary, workers: Iterable[tuple[str, int]]) -> float:
    """Return how long requests of these workers waited before the app, p95 of the worst; 0 if not at all."""
    rows = [summary.worker(worker) for worker, _ in workers]
    return max((row.queued.p95_ms or 0.0 for row in rows if row is not None), default=0.0)


def _last_of_each(rows: Sequence[IncidentRow]) -> list[IncidentRow]:
    """Return each worker's last block: only that one can still be going on."""
    last: dict[str, IncidentRow] = {}
    for row in sorted(rows, key=lambda row: row.incident.at):
        last[row.worker] = row
    return list(last.values())


def _advice(longest: IncidentRow, *, alone: bool) -> str:
    mend = (
        "Take it off the loop: an async call instead of a blocking one, run_in_threadpool for waiting, "
        "a process pool for computing."
    )
    if alone:
        # C code that keeps the GIL stops the worker's own agent too, and it has no sibling to be asked.
        return (
            f"{mend} A dump shows it at work; if C code keeps the GIL, only from outside: "
            f"py-spy dump --pid {longest.pid} in a shell, or by a sibling, with --workers 2."
        )
    return f"{mend} A dump of worker {longest.pid} shows it at work."


CRITERIA = Criteria(
    kind=KIND,
    means="code on the event loop held it, so that no other request of that worker went on",
    subject="file and function",
    when=(
        At(
            "times that one function held it beyond the agent's threshold (PERFTUI_BLOCK_MS)",
            Bar(OFTEN, OFTEN),
            "count",
            lambda row, summary: float(
                sum(each.incident.route == row.route for each in _held(summary.incidents))
            ),
        ),
        f"or once for {written(LONG_MS, 'ms')} and more",
    ),
    medium=f"{graded_by(MEDIUM_MS, 'ms')}, or {graded_by(MEDIUM_SHARE, 'share')} of a worker's time",
    high=f"{graded_by(HIGH_MS, 'ms')}, or {graded_by(HIGH_SHARE, 'share')} of a worker's time",
)
