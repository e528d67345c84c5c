"""The stretches that a window is made of, for how much a figure differs from one to the next."""

from __future__ import annotations

import math
from collections.abc import Iterable

from perftui.model.measures import Step
from perftui.model.packed import Packed
from perftui.model.quantiles import together
from perftui.model.route_summary import RouteSummary
from perftui_agent.sketch import LARGEST, LatencySketch, bucket_of


def stretches_of(rows: Iterable[RouteSummary]) -> list[Step]:
    """Return the stretches of a window, the oldest first, each with what all of `rows` did in it."""
    at: dict[float, list[Step]] = {}
    for row in rows:
        for step in row.steps:
            at.setdefault(step.at, []).append(step)
    return [_added(moment, at[moment]) for moment in sorted(at)]


def _added(at: float, steps: list[Step]) -> Step:
    return Step(
        at=at,
        latency=together([step.latency for step in steps]),
        requests=sum([step.requests for step in steps]),
        errors=sum([step.errors for step in steps]),
        statements=sum([step.statements for step in steps]),
        calls=sum([step.calls for step in steps]),
        sizes=together([step.sizes for step in steps]),
    )


def beyond(steps: Iterable[Step], value: float) -> list[tuple[int, int]]:
    """Return of each stretch how many latencies it has, and how many of them are longer than `value`."""
    return [(step.latency.count, count_beyond(step.latency, value)) for step in steps]


def count_beyond(sketch: LatencySketch | Packed, value: float) -> int:
    """Return how many values of a sketch lie in buckets beyond that of `value`."""
    bucket = bucket_of(min(max(0, math.floor(value)), LARGEST))
    if isinstance(sketch, Packed):
        return sum(sketch.counts()[max(0, bucket + 1 - sketch.low) :])
    return sum([count for each, count in sketch.buckets.items() if each > bucket])
