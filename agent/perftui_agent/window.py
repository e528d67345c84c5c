"""Records in, one Frame a second out.

The app's threads only append to `pending`; everything else runs on the agent's thread, so nothing
needs a lock, and a request pays for one append. The window folds straight into the structs that
travel: closing a frame hands them over and starts anew.
"""

from __future__ import annotations

from collections import deque

from perftui_agent.records import (
    EVENTS,
    BackgroundRecord,
    FailureRecord,
    Record,
    RequestRecord,
)
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import ExceptionCount, Frame, RouteFrame, StatusCounts

MAX_ROUTES = 500
"""Distinct routes in a worker's life; further ones share `(other)`."""

MAX_PENDING = 65_536
"""Records that wait for the agent's thread: 10 s of a worker that does 6,000 requests a second."""

MAX_EXCEPTIONS = 20
"""Distinct exceptions per route and frame."""

OTHER_ROUTES = "(other)"


class Window:
    """The second that is being filled."""

    def __init__(self) -> None:
        self.open = False
        """Whether the agent's thread runs and folds what is put."""
        self.pending: deque[Record] = deque()
        self.records_dropped = 0
        self.in_flight: set[RequestRecord] = set()
        self.open_websockets = 0
        self.bounded: dict[str, int] = {}
        self._known_routes: set[str] = set()
        self._routes: dict[str, RouteFrame] = {}
        self._exceptions: dict[str, dict[tuple[str, str], int]] = {}

    def put(self, record: Record) -> None:
        """Hand a record over; called on the app's threads."""
        if len(self.pending) < MAX_PENDING and self.open:
            self.pending.append(record)
        else:
            self.records_dropped += 1

    def fold_pending(self, limit: int = MAX_PENDING) -> int:
        """Fold at most `limit` waiting records; return how many were folded."""
        popleft = self.pending.popleft
        for folded in range(limit):
            try:
                record = popleft()
            except IndexError:
                return folded
            if isinstance(record, RequestRecord):
                self._fold_request(record)
            elif isinstance(record, FailureRecord):
                self._fold_failure(record)
            else:
                self._fold_background(record)
        return limit

    def close(self, *, seq: int, ended_at_ns: int, span_ns: int) -> Frame:
        """Return the frame of everything folded since the last one, and start the next."""
        for route, counts in self._exceptions.items():
            self._routes[route].exceptions = [
                ExceptionCount(type=kind, place=place, count=count) for (kind, place), count in counts.items()
            ]
        streams = sum(1 for record in list(self.in_flight) if record.streaming)
        frame = Frame(
            seq=seq,
            ended_at=ended_at_ns,
            span_ns=span_ns,
            routes=list(self._routes.values()),
            in_flight=max(0, len(self.in_flight) - streams),
            open_streams=streams,
            open_websockets=self.open_websockets,
        )
        self._routes = {}
        self._exceptions = {}
        return frame

    def take_bounded(self) -> dict[str, int]:
        """Return what the bounds have folded away since the last call."""
        bounded, self.bounded = self.bounded, {}
        return bounded

    def empty(self) -> None:
        """Forget everything: in a forked child it is the parent's."""
        self.open = False
        self.pending.clear()
        self.in_flight.clear()
        self.records_dropped = self.open_websockets = 0
        self.bounded = {}
        self._known_routes = set()
        self._routes = {}
        self._exceptions = {}

    def _route(self, label: str) -> RouteFrame:
        route = self._routes.get(label)
        if route is None:
            if label not in self._known_routes:
                if len(self._known_routes) >= MAX_ROUTES:
                    self.bounded["routes"] = self.bounded.get("routes", 0) + 1
                    if label != OTHER_ROUTES:
                        return self._route(OTHER_ROUTES)
                else:
                    self._known_routes.add(label)
            route = self._routes[label] = RouteFrame(
                route=label, status=StatusCounts(), latency=LatencySketch()
            )
        return route

    def _fold_request(self, record: RequestRecord) -> None:
        route = self._route(record.route)
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

    def _fold_failure(self, record: FailureRecord) -> None:
        counts = self._exceptions.setdefault(self._route(record.route).route, {})
        key = (record.type, record.place)
        if key not in counts and len(counts) >= MAX_EXCEPTIONS:
            self.bounded["exceptions"] = self.bounded.get("exceptions", 0) + 1
            key = ("(other)", "")
        counts[key] = counts.get(key, 0) + 1

    def _fold_background(self, record: BackgroundRecord) -> None:
        route = self._route(record.route)
        if route.background is None:
            route.background = LatencySketch()
        route.background.add(record.ns)
