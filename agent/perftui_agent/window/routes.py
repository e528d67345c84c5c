"""The routes' section of a frame: requests, failures and background work, folded by route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perftui_agent.locked import KIND, KIND_IN_TRANSACTION
from perftui_agent.places import place_of
from perftui_agent.records import EVENTS, BackgroundRecord, FailureRecord, OpenEnded, RequestRecord, Shape
from perftui_agent.sketch import LatencySketch
from perftui_agent.window.costs import Costs
from perftui_agent.window.paths import MAX_TABLES, PathTable
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import merge_route
from perftui_agent.wire.requests import ExceptionCount, RouteFrame, StatusCounts

MAX_ROUTES = 500
"""Distinct routes in a frame, the costliest; the others share `(other)`."""

NEWCOMERS = 500
"""Routes met within a frame that are told apart besides, until it closes."""

COST_OF_A_REQUEST_NS = 1_000_000
COST_OF_AN_ERROR_NS = 100_000_000
"""What failed, or came often, matters more than the time it took."""

MAX_EXCEPTIONS = 20
"""Distinct exceptions per route and frame."""

MAX_REPEATS = 20
"""Repeated shapes per route and frame."""

OTHER_ROUTES = "(other)"

OTHER_EXCEPTIONS = ("(other)", "")


class RouteTally:
    """What one route did in the span that is being filled."""

    __slots__ = ("exceptions", "floor_ns", "frame", "into", "paths", "plain", "took_ns", "whole")

    def __init__(self, label: str, paths: PathTable | None = None) -> None:
        self.frame = RouteFrame(route=label, status=StatusCounts(), latency=LatencySketch())
        self.whole = LatencySketch()
        """Of bodies sent in one: the first byte is also the last, so one sketch is both."""
        self.plain: list[tuple[int, int, int, int]] = []
        """Of successful responses whose body was sent in one: how long they took, their size, how long it
        took to make bytes of them (0: not known), and how long they had waited for the app (-1: not known).
        Sketches take many values at once at half the price."""
        self.took_ns: dict[Shape, list[int]] = {}
        """How long its requests' statements took, those that no sketch has taken yet."""
        self.exceptions: dict[tuple[str, str, bool], int] = {}
        self.paths = paths
        """Of a route that takes any path: those below it."""
        self.floor_ns = -1
        """What a request must exceed to be told of: set by who tells of the slowest."""
        self.into: RouteTally | None = None
        """Whose it is part of, once it has become one of the others."""

    def settle(self) -> None:
        """Count the plain ones that were gathered."""
        if not self.plain:
            return
        whole_ns, sizes, serialize_ns, queue_ns = zip(*self.plain, strict=True)
        self.frame.status.success += len(self.plain)
        self._waited(queue_ns)
        self.plain.clear()
        self.whole.add_all(whole_ns)
        self.frame.body_bytes.add_alike(sizes)
        self.frame.serialized += len(serialize_ns) - serialize_ns.count(0)
        self.frame.serialize_ns += sum(serialize_ns)

    def fold_odd(self, record: RequestRecord) -> None:
        """Count a request that is no success, or whose times or size are not those of a plain response."""
        route = self.frame
        if record.serialize_ns:
            route.serialized += 1
            route.serialize_ns += record.serialize_ns
        if record.disconnected:
            # It says nothing about how fast the route is, nor how large its bodies are.
            route.status.disconnected += 1
        else:
            _count(route.status, record.status)
            if record.streaming != EVENTS:
                route.body_bytes.add(record.body_bytes)
        if record.streaming:
            route.streaming += 1
        if record.preflight:
            return
        if record.streaming is None:
            if not record.disconnected:
                self.whole.add(record.ended_ns - record.arrived_ns)
                self._waited((record.queue_ns,))
            return
        route.ttfb.add(record.first_byte_ns - record.arrived_ns)
        # An event stream lasts as long as somebody listens.
        if not (record.disconnected or record.streaming == EVENTS):
            route.latency.add(record.ended_ns - record.arrived_ns)
            self._waited((record.queue_ns,))

    def _waited(self, queue_ns: Sequence[int]) -> None:
        self.frame.queue_known += len(queue_ns) - queue_ns.count(-1)
        if max(queue_ns) > 0:
            self.frame.queue.add_all([ns for ns in queue_ns if ns > 0])

    def cost(self) -> int:
        """Return how much it matters, in nanoseconds; of what has been settled."""
        status = self.frame.status
        return (
            self.whole.total
            + self.frame.latency.total
            + status.total() * COST_OF_A_REQUEST_NS
            + status.server_error * COST_OF_AN_ERROR_NS
        )

    def add(self, other: RouteTally) -> None:
        """Take in what another route did."""
        merge_route(self.frame, other.close())
        other.into = self
        for shape, took_ns in other.took_ns.items():
            self.took_ns.setdefault(shape, []).extend(took_ns)
        self.frame.paths = []  # of several routes they tell nothing
        for each in other.frame.exceptions:
            key = (each.type, each.place, each.answered)
            if key not in self.exceptions and len(self.exceptions) >= MAX_EXCEPTIONS:
                key = (*OTHER_EXCEPTIONS, each.answered)
            self.exceptions[key] = self.exceptions.get(key, 0) + each.count
        del self.frame.repeats[MAX_REPEATS:]

    def close(self) -> RouteFrame:
        """Return the route's frame."""
        self.settle()
        route = self.frame
        if self.paths is not None:
            route.paths = self.paths.close()
        route.exceptions = [
            ExceptionCount(type=kind, place=place, count=count, answered=answered)
            for (kind, place, answered), count in self.exceptions.items()
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

    def __init__(self, bounded: dict[str, int], open_ended: Mapping[str, OpenEnded]) -> None:
        self._bounded = bounded
        self._open_ended = open_ended
        self._paths: dict[str, PathTable] = {}
        self._paths_forgotten = 0
        self.costs: Costs[str] = Costs(MAX_ROUTES, NEWCOMERS)
        self.tallies: dict[str, RouteTally] = {}
        """Of the routes met in this span."""

    def close(self, frame: Frame, *, queue_is_known: bool) -> None:
        """Hand the span's routes over to `frame`: as many as it has room for, the costliest."""
        untold, _ = self.costs.close(self._spent(), frame.span_ns)
        self._fold_away(untold)
        frame.routes = [tally.close() for tally in self.tallies.values()]
        if not queue_is_known:
            # Where the late can't be told, those that were on time are no sample of all.
            for route in frame.routes:
                route.queue_known = 0
        self.tallies = {}

    @property
    def paths_forgotten(self) -> int:
        """How many shapes of paths frames had no room for."""
        return self._paths_forgotten + sum(paths.forgotten for paths in self._paths.values())

    def _paths_below(self, label: str) -> PathTable | None:
        """Return what is known of the paths below a route; None if it takes one path alone."""
        below = self._open_ended.get(label)
        if below is None:
            return None
        known = self._paths.pop(label) if label in self._paths else None
        paths = self._paths[label] = (
            PathTable(below) if known is None else known
        )  # the one used last comes last
        if len(self._paths) > MAX_TABLES:
            self._paths_forgotten += self._paths.pop(next(iter(self._paths))).forgotten
        return paths

    def _spent(self) -> dict[str, int]:
        """Return what each route has cost in this span so far."""
        for tally in self.tallies.values():
            tally.settle()
        return {label: tally.cost() for label, tally in self.tallies.items() if label != OTHER_ROUTES}

    def _fold_away(self, labels: list[str]) -> None:
        """Count what these have done in this span as `(other)`."""
        for label in labels:
            tally = self.tallies.pop(label)
            self._bounded["routes"] = self._bounded.get("routes", 0) + tally.frame.status.total()
            self.tally(OTHER_ROUTES).add(tally)

    def fold_failure(self, record: FailureRecord) -> None:
        """Count an exception that no handler took."""
        counts = self.tally(record.route).exceptions
        key = (record.type, place_of(*record.place), record.answered)
        if key not in counts and len(counts) >= MAX_EXCEPTIONS:
            self._bounded["exceptions"] = self._bounded.get("exceptions", 0) + 1
            key = (*OTHER_EXCEPTIONS, record.answered)
        counts[key] = counts.get(key, 0) + 1

    def fold_background(self, record: BackgroundRecord) -> None:
        """Count what went on after a request's last byte."""
        route = self.tally(record.route).frame
        if route.background is None:
            route.background = LatencySketch()
        route.background.add(record.ns)

    def tally(self, label: str) -> RouteTally:
        """Return this span's tally of a route, or of those past the bound."""
        tally = self.tallies.get(label)
        if tally is None:
            while label != OTHER_ROUTES and not self.costs.admit(label):
                self._fold_away(self.costs.shed(self._spent()))
            tally = self.tallies[label] = RouteTally(label, self._paths_below(label))
        return tally


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


def add_to(route: RouteFrame, kind: str, count: int, ns: int) -> None:
    """Add what a request has done of one kind to the sums of its route."""
    if kind == "sql":
        route.sql_count += count
        route.sql_ns += ns
    elif kind in {"transaction", "connect"}:
        route.transaction_count += count
        route.transaction_ns += ns
    elif kind == KIND:
        route.lock_ns += ns
    elif kind == KIND_IN_TRANSACTION:
        route.transaction_lock_ns += ns
    elif kind == "cache":
        route.cache_count += count
        route.cache_ns += ns
    elif kind == "pool":
        route.pool_wait_ns += ns
    elif kind == "threadpool":
        route.threadpool_wait_ns += ns
    elif kind == "loop":
        route.loop_wait_ns += ns
    elif kind == "background":
        route.background_ns += ns
