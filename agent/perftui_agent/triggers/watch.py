"""Whether a trigger fires: a pure machine, an observation a second in, firings out.

A condition holds over a sliding window that has been seen as a whole. It fires as it begins to hold, and
not again before it has ceased to, or an even share of the hour is over: what lasts for an hour is told of as
often as was allowed, and not in its first seconds alone. In no hour does it fire more often than that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from perftui_agent.sketch import LARGEST, LatencySketch, bucket_bounds, bucket_of
from perftui_agent.trigger import Trigger
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import RouteFrame

HOUR_S = 3600.0

SEEN_SHARE = 0.9
"""Of a window: frames end some milliseconds early or late, and a process that was stopped has seen less."""

LEAST_OVER = 2
"""Requests over the bound: a single one is no quantile."""

_QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "lag": 0.99}


class Observation(NamedTuple):
    """What one frame says of what a trigger watches."""

    at_s: float
    """When it ended, on the clock that is not set."""
    span_s: float
    number: int = 0
    """Of requests, or what a lag is made of."""
    over: int = 0
    """How many of them were on the wrong side; of `errors`, those that failed."""
    value: float | None = None
    """Of what is a level: per cent of a core, bytes, requests in flight."""
    sketch: LatencySketch | None = None


class Firing(NamedTuple):
    """A trigger whose condition began to hold."""

    trigger: Trigger
    at_s: float
    value: float
    requests: int


class Latencies:
    """Those of one frame, each added up once, however many triggers watch them."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._known: dict[str | None, LatencySketch] = {}

    def of(self, route: str | None) -> LatencySketch:
        """Return those of a route, or of all that don't wait on purpose: a copy, frames are given up."""
        if route not in self._known:
            routes = of_route(self._frame, route)
            told = [each.latency for each in routes if route is not None or not each.long_poll]
            self._known[route] = LatencySketch.merged(told)
        return self._known[route]


def of_route(frame: Frame, route: str | None) -> list[RouteFrame]:
    """Return what a frame says of a route; of all of them, if none is named."""
    return frame.routes if route is None else [each for each in frame.routes if each.route == route]


def observed(trigger: Trigger, frame: Frame, latencies: Latencies | None = None) -> Observation:
    """Return what a frame says of what a trigger watches; keeps nothing of the frame, which is given up."""
    seen = Observation(frame.moment_ns / 1e9, frame.span_ns / 1e9)
    metric = trigger.metric
    if metric == "lag":
        lag = LatencySketch.merged([frame.loop.lag] if frame.loop is not None else [])
        return _counted(trigger, seen, lag)
    if metric == "cpu":
        return seen._replace(value=frame.process.cpu_percent)
    if metric == "memory":
        rss = frame.process.rss_bytes
        return seen._replace(value=None if rss is None else float(rss))
    if metric == "in_flight":
        return seen._replace(value=float(frame.in_flight))
    if metric in _QUANTILES:
        return _counted(trigger, seen, (latencies or Latencies(frame)).of(trigger.route))
    routes = of_route(frame, trigger.route)
    failed = sum(each.status.server_error for each in routes)
    return seen._replace(number=sum(each.status.total() for each in routes), over=failed)


def _counted(trigger: Trigger, seen: Observation, sketch: LatencySketch) -> Observation:
    bound_ns = min(int(trigger.bound * 1e9), LARGEST)
    edge = bucket_of(bound_ns)
    low, high = bucket_bounds(edge)
    # A bucket is on the side of its middle, as its quantile is told; they are numbered by size.
    first_over = edge if (low + high - 1) / 2 > bound_ns else edge + 1
    over = sum([count for bucket, count in sketch.buckets.items() if bucket >= first_over])
    return seen._replace(number=sketch.count, over=over, sketch=sketch)


class Watch:
    """One trigger, and what was seen within its window."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger
        self._seen: deque[Observation] = deque()
        self._fired: deque[float] = deque()
        """When, within the last hour."""
        self._armed = True

    def see(self, observation: Observation) -> Firing | None:
        """Take what the latest frame says; return a firing if it is time for one."""
        trigger, now_s = self.trigger, observation.at_s
        if self._seen and now_s <= self._seen[-1].at_s:
            self._seen.clear()  # another clock: nothing before can be laid beside it
        self._seen.append(observation)
        while self._seen[0].at_s <= now_s - trigger.window_s + 1e-6:
            self._seen.popleft()
        while self._fired and self._fired[0] <= now_s - HOUR_S:
            self._fired.popleft()
        if sum(each.span_s for each in self._seen) < SEEN_SHARE * trigger.window_s:
            return None
        if not holds(trigger, self._seen):
            self._armed = True
            return None
        again = not self._fired or now_s - self._fired[-1] >= HOUR_S / trigger.per_hour
        if len(self._fired) >= trigger.per_hour or not (self._armed or again):
            return None
        self._fired.append(now_s)
        self._armed = False
        return Firing(trigger, now_s, value_over(trigger, self._seen) or 0.0, _count(self._seen))


def holds(trigger: Trigger, seen: Sequence[Observation]) -> bool:
    """Tell whether a condition holds over a window."""
    if trigger.metric in _QUANTILES:
        count, over = _count(seen), sum(each.over for each in seen)
        # Nearest rank: p95 is above the bound if more than 5 % of all are.
        above = over > (1 - _QUANTILES[trigger.metric]) * count + 1e-9
        if not count:
            return False
        return above and (trigger.metric == "lag" or over >= LEAST_OVER) if trigger.above else not above
    if trigger.metric == "errors" and trigger.above and sum(each.over for each in seen) < LEAST_OVER:
        return False
    if trigger.metric in {"memory", "in_flight"}:
        return all(each.value is not None and trigger.exceeded_by(each.value) for each in seen)
    value = value_over(trigger, seen)
    return value is not None and trigger.exceeded_by(value)


def value_over(trigger: Trigger, seen: Sequence[Observation]) -> float | None:
    """Return the figure over a window, in the unit of the bound; None where there is nothing to tell of."""
    if trigger.metric in _QUANTILES:
        merged = LatencySketch.merged(each.sketch for each in seen if each.sketch is not None)
        quantile = merged.quantile(_QUANTILES[trigger.metric])
        return None if quantile is None else quantile / 1e9
    if trigger.metric == "errors":
        count = _count(seen)
        return sum(each.over for each in seen) / count if count else None
    if trigger.metric == "rps":
        return _count(seen) / sum(each.span_s for each in seen)
    known = [(each.value, each.span_s) for each in seen if each.value is not None]
    if not known:
        return None
    if trigger.metric == "cpu":
        return sum(value * span_s for value, span_s in known) / sum(span_s for _, span_s in known)
    return known[-1][0]


def _count(seen: Sequence[Observation]) -> int:
    return sum(each.number for each in seen)
