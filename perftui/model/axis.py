"""The time axis of a window: one point per step, gaps included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perftui.model.history import BLOCK_S, KEPT_S, SECOND_S, History, Second
from perftui.model.summary import Point
from perftui.model.trace import Trace
from perftui_agent.wire.frames import RouteLabel, WorkerId

FINEST_WINDOW_S = 80
"""Up to this length a point is one second, beyond it ten."""

LONG_PAST = 12
"""Blocks of ten seconds that tell how a figure goes; with fewer, seconds tell more."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The points of a window, and the traces they are made from; None where nothing was measured."""

    points: tuple[Point, ...]
    traces: tuple[Trace | None, ...]
    past: Mapping[Second, Trace]
    """The blocks of ten seconds that were over by the end of the window, as far back as is known."""

    def route(self, label: RouteLabel) -> tuple[float | None, ...]:
        """Return the p95 of a route at each point, in ms."""
        return tuple([trace.route_p95_ms.get(label) if trace else None for trace in self.traces])

    def worker(self, worker: WorkerId) -> tuple[float | None, ...]:
        """Return the p95 of a worker at each point, in ms."""
        return tuple([trace.worker_p95_ms.get(worker) if trace else None for trace in self.traces])

    def memory(self, worker: WorkerId) -> tuple[tuple[float, int], ...]:
        """Return moments and RSS of a worker: all that is known if that is long, else of the window."""
        past = [
            (float(start + BLOCK_S), trace.worker_rss[worker])
            for start, trace in sorted(self.past.items())
            if worker in trace.worker_rss
        ]
        if len(past) >= LONG_PAST:
            return tuple(past)
        return tuple(
            (point.at, trace.worker_rss[worker])
            for point, trace in zip(self.points, self.traces, strict=True)
            if trace is not None and worker in trace.worker_rss
        )


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
    # A block that isn't over yet would be added up anew each second.
    over = min(last, history.newest) - BLOCK_S
    past = history.traces(history.newest - KEPT_S, over, BLOCK_S)
    return Axis(points, on_axis, {start: trace for start, trace in past.items() if start <= over})


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
