"""What a trouble costs those who use the service, in the unit that findings are ranked by.

That is by how many milliseconds their requests took longer, each second: request-milliseconds a second, what
they waited before the app included. A request that failed counts as a second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from perftui.model.packed import Packed
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui_agent.sketch import LatencySketch

FAILED_MS = 1000.0
"""What a failed request costs who sent it: about what it takes to notice, and to try again."""


def waited_for_loops(summary: Summary, workers: Collection[str]) -> float:
    """Return how long requests waited for the loops of these workers: before the app, and between steps."""
    rows = [row for row in summary.workers if row.identity.id in workers]
    before = sum((row.queued.ms_per_request or 0.0) * (row.rps or 0.0) for row in rows)
    served = sum(row.requests for row in summary.workers)
    part = sum(row.requests for row in rows) / served if served else 0.0
    between = sum((route.loop_wait_ms_per_request or 0.0) * route.requests for route in summary.routes)
    return before + part * between / max(summary.window_s, 1.0)


def under_way(worker: WorkerSummary) -> float:
    """Return how many requests a worker has under way on average (Little's law), at least one."""
    return max(1.0, (worker.rps or 0.0) * (worker.latency.mean_ms or 0.0) / 1000.0)


def beyond(sketch: LatencySketch | Packed, bound_ms: float) -> float:
    """Return by how much all latencies of a sketch are beyond a bound together, in ms."""
    bound_ns = bound_ms * 1e6
    return (
        sum(
            [
                (((low + high) / 2) - bound_ns) * count
                for low, high, count in sketch.ranges()
                if low > bound_ns
            ]
        )
        / 1e6
    )


def sum_beyond(sketches: Iterable[LatencySketch | Packed], bound_ms: float) -> float:
    """Return the same of several."""
    return sum([beyond(each, bound_ms) for each in sketches])
