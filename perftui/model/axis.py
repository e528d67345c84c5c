"""The time axis of a window: one point per step, gaps included."""

from __future__ import annotations

from dataclasses import dataclass

from perftui.model.history import BLOCK_S, SECOND_S, History, Second
from perftui.model.summary import Point
from perftui.model.trace import Trace
from perftui_agent.wire.frames import RouteLabel, WorkerId

FINEST_WINDOW_S = 80
"""Up to this length a point is one second, beyond it ten."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The points of a window, and the traces they are made from; None where nothing was measured."""

    points: tuple[Point, ...]
    traces: tuple[Trace | None, ...]

    def route(self, label: RouteLabel) -> tuple[float | None, ...]:
        """Return the p95 of a route at each point, in ms."""
        return tuple([trace.route_p95_ms.get(label) if trace else None for trace in self.traces])

    def worker(self, worker: WorkerId) -> tuple[float | None, ...]:
        """Return the p95 of a worker at each point, in ms."""
        return tuple([trace.worker_p95_ms.get(worker) if trace else None for trace in self.traces])


def axis_of(history: History, first: Second, last: Second) -> Axis:
    """Return the axis of the bins `first` to `last`."""
    fine = last - first < FINEST_WINDOW_S and first >= history.exact_from()
    step_s = SECOND_S if fine else BLOCK_S
    traces = history.traces(first, last, step_s)
    starts = range(first - first % step_s, last + 1, step_s)
    on_axis = tuple(traces.get(start) for start in starts)
    points = tuple(
        _point(float(min(start + step_s - 1, last)), trace)
        for start, trace in zip(starts, on_axis, strict=True)
    )
    return Axis(points, on_axis)


def _point(at: float, trace: Trace | None) -> Point:
    if trace is None:
        return Point(at)
    latency = trace.latency
    return Point(
        at=at,
        rps=trace.requests / trace.covered_s if trace.covered_s else None,
        error_rate=trace.errors / trace.requests if trace.requests else None,
        p50_ms=latency.p50_ms,
        p95_ms=latency.p95_ms,
        p99_ms=latency.p99_ms,
        in_flight=trace.in_flight,
    )
