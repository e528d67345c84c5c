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


class RouteLedger:
    """What each route did in the span that is being filled."""

    def __init__(self, bounded: dict[str, int]) -> None:
        self._bounded = bounded
        self._known: set[str] = set()
        self._routes: dict[str, RouteFrame] = {}
        self._whole: dict[str, LatencySketch] = {}
        """Of bodies sent in one: the first byte is also the last, so one sketch is both."""
        self._exceptions: dict[str, dict[tuple[str, str], int]] = {}

    def close(self, frame: Frame) -> None:
        """Hand the span's routes over to `frame`."""
        for label, counts in self._exceptions.items():
            self._routes[label].exceptions = [
                ExceptionCount(type=kind, place=place, count=count) for (kind, place), count in counts.items()
            ]
        for label, whole in self._whole.items():
            route = self._routes[label]
            if route.ttfb.count:
                route.ttfb.merge(whole)
            else:
                route.ttfb = whole
            route.latency.merge(whole)
        frame.routes = list(self._routes.values())
        self._routes = {}
        self._whole = {}
        self._exceptions = {}

    def route(self, label: str) -> RouteFrame:
        """Return this span's frame of a route."""
        route = self._routes.get(label)
        if route is None:
            if label not in self._known and label != OTHER_ROUTES:
                if len(self._known) >= MAX_ROUTES:
                    self._bounded["routes"] = self._bounded.get("routes", 0) + 1
                    return self.route(OTHER_ROUTES)
                self._known.add(label)
            route = self._routes[label] = RouteFrame(
                route=label, status=StatusCounts(), latency=LatencySketch()
            )
        return route

    def fold_request(self, record: RequestRecord) -> RouteFrame:
        """Count a request that has ended; return its route."""
        label = record.route
        route = self._routes.get(label) or self.route(label)
        if record.disconnected:
            # It says nothing about how fast the route is, nor how large its bodies are.
            route.status.disconnected += 1
            if record.streaming is not None:
                self._fold_parts(record, route)
            return route
        code = record.status
        if 200 <= code < 300:
            route.status.success += 1
        else:
            _count(route.status, code)
        if record.streaming is not None:
            self._fold_parts(record, route)
        elif not record.preflight:
            # `(other)` has its own label.
            label = route.route
            whole = self._whole.get(label)
            if whole is None:
                whole = self._whole[label] = LatencySketch()
            whole.add(record.ended_ns - record.started_ns)
        if record.streaming != EVENTS:
            route.body_bytes.add(record.body_bytes)
        return route

    def _fold_parts(self, record: RequestRecord, route: RouteFrame) -> None:
        """Count the times of a request whose body went out in parts."""
        if record.streaming:
            route.streaming += 1
        if not record.preflight:
            route.ttfb.add(record.first_byte_ns - record.started_ns)
            # An event stream lasts as long as somebody listens.
            if not (record.disconnected or record.streaming == EVENTS):
                route.latency.add(record.ended_ns - record.started_ns)

    def fold_failure(self, record: FailureRecord) -> None:
        """Count an exception that no handler took."""
        counts = self._exceptions.setdefault(self.route(record.route).route, {})
        key = (record.type, place_of(*record.place))
        if key not in counts and len(counts) >= MAX_EXCEPTIONS:
            self._bounded["exceptions"] = self._bounded.get("exceptions", 0) + 1
            key = ("(other)", "")
        counts[key] = counts.get(key, 0) + 1

    def fold_background(self, record: BackgroundRecord) -> None:
        """Count what went on after a request's last byte."""
        route = self.route(record.route)
        if route.background is None:
            route.background = LatencySketch()
        route.background.add(record.ns)


def _count(status: StatusCounts, code: int) -> None:
    """Count a response that was no plain success."""
    if 400 <= code < 500:
        status.client_error += 1
    elif 300 <= code < 400:
        status.redirect += 1
    elif 100 <= code < 200:
        status.informational += 1
    else:
        status.server_error += 1
