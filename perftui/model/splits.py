"""Each worker's part of each route: how many requests it served, how many failed, how long they took.

Kept for recent time alone: with many workers and routes this is by far the largest of what frames
tell, and the least often looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from perftui.model.parts import copy_sketch
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import Frame, RouteLabel, WorkerId


class Split(msgspec.Struct, gc=False):
    """One worker's part of one route; never changed once it is in a `Splits`."""

    requests: int
    errors: int
    latency: LatencySketch

    def plus(self, other: Split) -> Split:
        """Return both together; neither is changed."""
        return Split(
            self.requests + other.requests,
            self.errors + other.errors,
            LatencySketch.merged((self.latency, other.latency)),
        )


Splits: TypeAlias = Mapping[WorkerId, Mapping[RouteLabel, Split]]
"""The parts by worker, then by route."""


def splits_of(frames: Iterable[tuple[WorkerId, Frame]]) -> Splits:
    """Return the parts in `frames`; their sketches are shared with the frames."""
    parts: list[Splits] = [
        {
            worker: {
                route.route: Split(route.status.total(), route.status.server_error, route.latency)
                for route in frame.routes
            }
        }
        for worker, frame in frames
    ]
    workers = {worker for part in parts for worker in part}
    if len(workers) < len(parts):  # a worker with two frames
        return merge_splits(parts)
    return {worker: routes for part in parts for worker, routes in part.items()}


def merge_splits(parts: Iterable[Splits]) -> Splits:
    """Return `parts` added up; none of them is changed, nor a sketch of theirs."""
    result: dict[WorkerId, dict[RouteLabel, Split]] = {}
    for part in parts:
        for worker, routes in part.items():
            have = result.setdefault(worker, {})
            for label, split in routes.items():
                known = have.get(label)
                if known is None:
                    have[label] = Split(split.requests, split.errors, copy_sketch(split.latency))
                else:
                    known.requests += split.requests
                    known.errors += split.errors
                    known.latency.merge(split.latency)
    return result
