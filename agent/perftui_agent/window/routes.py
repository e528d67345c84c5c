"""The routes' section of a frame: requests, failures and background work, folded by route."""

from __future__ import annotations

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
        self._exceptions: dict[str, dict[tuple[str, str], int]] = {}

    def close(self, frame: Frame) -> None:
        """Hand the span's routes over to `frame`."""
        for route, counts in self._exceptions.items():
            self._routes[route].exceptions = [
                ExceptionCount(type=kind, place=place, count=count) for (kind, place), count in counts.items()
            ]
        frame.routes = list(self._routes.values())
        self._routes = {}
        self._exceptions = {}

    def route(self, label: str) -> RouteFrame:
        """Return this span's frame of a route."""
        route = self._routes.get(label)
        if route is None:
            if label not in self._known:
                if len(self._known) >= MAX_ROUTES:
                    self._bounded["routes"] = self._bounded.get("routes", 0) + 1
                    if label != OTHER_ROUTES:
                        return self.route(OTHER_ROUTES)
                else:
                    self._known.add(label)
            route = self._routes[label] = RouteFrame(
                route=label, status=StatusCounts(), latency=LatencySketch()
            )
        return route

    def fold_request(self, record: RequestRecord) -> RouteFrame:
        """Count a request that has ended; return its route's frame."""
        route = self.route(record.route)
        status = route.status
        code = record.status
        if record.disconnected:
            status.disconnected += 1
        elif 200 <= code < 300:
            status.success += 1
        elif 400 <= code < 500:
            status.client_error += 1
        elif 300 <= code < 400:
            status.redirect += 1
        elif 100 <= code < 200:
            status.informational += 1
        else:
            status.server_error += 1
        started = record.started_ns
        if record.streaming:
            route.streaming += 1
        # A client that left says nothing about how fast the route is, and an event stream lasts as
        # long as somebody listens.
        if not (record.disconnected or record.preflight or record.streaming == EVENTS):
            route.latency.add(record.ended_ns - started)
        if record.first_byte_ns and not record.preflight:
            route.ttfb.add(record.first_byte_ns - started)
        if record.streaming != EVENTS and not record.disconnected:
            route.body_bytes.add(record.body_bytes)
        return route

    def fold_failure(self, record: FailureRecord) -> None:
        """Count an exception that no handler took."""
        counts = self._exceptions.setdefault(self.route(record.route).route, {})
        key = (record.type, record.place)
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
