"""The routes' section of a frame: requests, failures and background work, folded by route."""

from __future__ import annotations

from perftui_agent.places import place_of
from perftui_agent.records import EVENTS, BackgroundRecord, FailureRecord, RequestRecord
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import ExceptionCount, Frame, RouteFrame, StatusCounts

MAX_ROUTES = 500
"""Distinct routes in a worker's life; further ones share `(other)`."""

MAX_EXCEPTIONS = 20
"""Distinct exceptions per route and frame."""

OTHER_ROUTES = "(other)"

SETTLED_AT_ONCE = 64
"""Values that a tally gathers: what is left of them is counted when the frame closes, which is not to
take long with 500 routes."""


class RouteTally:
    """What one route did in the span that is being filled.

    Of plain responses it gathers the bare values: sketches take many at once at half the price.
    """

    __slots__ = ("exceptions", "floor_ns", "frame", "serialize_ns", "sizes", "succeeded", "whole", "whole_ns")

    def __init__(self, label: str) -> None:
        self.frame = RouteFrame(route=label, status=StatusCounts(), latency=LatencySketch())
        self.whole = LatencySketch()
        """Of bodies sent in one: the first byte is also the last, so one sketch is both."""
        self.succeeded = 0
        self.whole_ns: list[int] = []
        self.sizes: list[int] = []
        self.serialize_ns: list[int] = []
        self.exceptions: dict[tuple[str, str], int] = {}
        self.floor_ns = -1
        """What a request must exceed to be told of: set by who tells of the slowest."""

    def settle(self) -> None:
        """Count what was gathered."""
        self.frame.status.success += self.succeeded
        self.succeeded = 0
        self.whole.add_all(self.whole_ns)
        self.frame.body_bytes.add_all(self.sizes)
        self.whole_ns.clear()
        self.sizes.clear()
        if self.serialize_ns:
            if self.frame.serialize is None:
                self.frame.serialize = LatencySketch()
            self.frame.serialize.add_all(self.serialize_ns)
            self.serialize_ns.clear()

    def close(self) -> RouteFrame:
        """Return the route's frame."""
        self.settle()
        route = self.frame
        route.exceptions = [
            ExceptionCount(type=kind, place=place, count=count)
            for (kind, place), count in self.exceptions.items()
        ]
        if self.whole.count:
            if route.ttfb.count:
                route.ttfb.merge(self.whole)
            else:
                route.ttfb = self.whole
            route.latency.merge(self.whole)
        return route


class RouteLedger:
    """What each route did in the span that is being filled."""

    def __init__(self, bounded: dict[str, int]) -> None:
        self._bounded = bounded
        self._known: set[str] = set()
        self._tallies: dict[str, RouteTally] = {}

    def close(self, frame: Frame) -> None:
        """Hand the span's routes over to `frame`."""
        frame.routes = [tally.close() for tally in self._tallies.values()]
        self._tallies = {}

    def fold_request(self, record: RequestRecord) -> RouteTally:
        """Count a request that has ended; return the tally of its route."""
        label = record.route
        tally = self._tallies.get(label) or self._tally(label)
        if record.serialize_ns:
            tally.serialize_ns.append(record.serialize_ns)
        if record.streaming is None and not record.disconnected and not record.preflight:
            tally.whole_ns.append(record.ended_ns - record.started_ns)
            tally.sizes.append(record.body_bytes)
            if 200 <= record.status < 300:
                tally.succeeded += 1
            else:
                _count(tally.frame.status, record.status)
        else:
            _fold_odd(record, tally.frame)
        if len(tally.sizes) >= SETTLED_AT_ONCE or len(tally.serialize_ns) >= SETTLED_AT_ONCE:
            tally.settle()
        return tally

    def fold_failure(self, record: FailureRecord) -> None:
        """Count an exception that no handler took."""
        counts = self._tally(record.route).exceptions
        key = (record.type, place_of(*record.place))
        if key not in counts and len(counts) >= MAX_EXCEPTIONS:
            self._bounded["exceptions"] = self._bounded.get("exceptions", 0) + 1
            key = ("(other)", "")
        counts[key] = counts.get(key, 0) + 1

    def fold_background(self, record: BackgroundRecord) -> None:
        """Count what went on after a request's last byte."""
        route = self._tally(record.route).frame
        if route.background is None:
            route.background = LatencySketch()
        route.background.add(record.ns)

    def _tally(self, label: str) -> RouteTally:
        """Return this span's tally of a route."""
        tally = self._tallies.get(label)
        if tally is None:
            if label not in self._known and label != OTHER_ROUTES:
                if len(self._known) >= MAX_ROUTES:
                    self._bounded["routes"] = self._bounded.get("routes", 0) + 1
                    return self._tally(OTHER_ROUTES)
                self._known.add(label)
            tally = self._tallies[label] = RouteTally(label)
        return tally


def _fold_odd(record: RequestRecord, route: RouteFrame) -> None:
    """Count a request whose times or size are not those of a plain response."""
    if record.disconnected:
        # It says nothing about how fast the route is, nor how large its bodies are.
        route.status.disconnected += 1
    else:
        _count(route.status, record.status)
        if record.streaming != EVENTS:
            route.body_bytes.add(record.body_bytes)
    if record.streaming is None:
        return
    if record.streaming:
        route.streaming += 1
    if not record.preflight:
        route.ttfb.add(record.first_byte_ns - record.started_ns)
        # An event stream lasts as long as somebody listens.
        if not (record.disconnected or record.streaming == EVENTS):
            route.latency.add(record.ended_ns - record.started_ns)


def _count(status: StatusCounts, code: int) -> None:
    """Count a response by its class."""
    if 200 <= code < 300:
        status.success += 1
    elif 400 <= code < 500:
        status.client_error += 1
    elif 300 <= code < 400:
        status.redirect += 1
    elif 100 <= code < 200:
        status.informational += 1
    else:
        status.server_error += 1
