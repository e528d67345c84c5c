"""The statements' section of a frame, and which of them single requests repeat.

A statement is counted when it is over; which route it belongs to is known only when its request has
ended, so until then the executions wait on the request's record. That is also how repetition is seen:
one request, one shape, again and again, with other values (a join would do it once) or the same (nobody
needs it twice). Across requests, the same statement with the same values is what a cache would have
saved.
"""

from __future__ import annotations

import msgspec

from perftui_agent.records import RequestRecord, Shape, StatementRecord, StatementText
from perftui_agent.window.gathered import GatheredSketch
from perftui_agent.window.routes import MAX_REPEATS
from perftui_agent.window.shapes import OTHER_SHAPES, ShapeTable
from perftui_agent.wire.frames import CodePlace, Frame, RepeatedShape, RouteFrame, StatementFrame
from perftui_agent.wire.merging import merge_statement

OUTSIDE_REQUESTS = "(outside requests)"

OTHER_ROUTES = "(other)"

REPEATED_FROM = 3
"""Executions of one shape by one request."""

MAX_ROUTES = 50
"""Routes per statement and frame: those that ran it most often."""

MAX_ROUTES_MET = 1_000
"""Routes per statement that are told apart until the frame closes."""

COST_OF_AN_ERROR_NS = 10_000_000
"""What failed matters more than the time it took."""

MAX_COMPARED = 1_000
"""Executions of one shape in one request whose values are told apart."""

MAX_REMEMBERED_BINDS = 5_000
"""Statements with values that are remembered across requests, in each of two generations."""

REMEMBER_BINDS_FRAMES = 300
"""After so many frames a generation is forgotten too: what comes once an hour needs no cache."""

MAX_CALL_SITES = 1_000


class _Executions(msgspec.Struct, eq=False, gc=False):
    """Of one shape by one request. A Struct is made in a third of the time, and most statements make one."""

    count: int = 0
    compared: int = 0
    """Those that make a repetition: single selects."""
    ns: int = 0
    binds: list[int] = []
    unknown_binds: int = 0
    call_site: CodePlace = ""


SETTLED: dict[Shape, _Executions] = {}
"""What a request has executed, once it has gone to its route."""


class StatementLedger:
    """What each statement did in the span that is being filled."""

    def __init__(self, shapes: ShapeTable, bounded: dict[str, int]) -> None:
        self._shapes = shapes
        self._bounded = bounded
        self._statements: dict[Shape, tuple[StatementFrame, GatheredSketch]] = {}
        self._binds: dict[int, int] = {}
        """The last request (by when it began) that ran a statement with these values."""
        self._older_binds: dict[int, int] = {}
        self._binds_since = 0
        self._call_sites: dict[tuple[str, Shape], CodePlace] = {}
        """Where in a route a repeated shape comes from: not every repetition brings its call site."""

    def fold(self, record: StatementRecord) -> None:
        """Count an execution, and say in the record what it was."""
        known = record.known
        if known is None:
            known = self._shapes.know(record.text_hash, record.text, record.engine, record.database)
            record.known = known
            record.engine = None
            record.text = ""
        shape = known.shape
        record.name = shape.shown
        statement, latency = self._statements.get(shape) or self._begin(shape)
        if statement.fingerprint == OTHER_SHAPES:
            self._count_bound("statements")
        latency.add(record.ended_ns - record.started_ns)
        if record.failed:
            statement.errors += 1
        if record.slow:
            statement.slow += 1
        if record.call_site:
            shape.call_site = statement.call_site = record.call_site
        request = record.request
        if request is None or 0 < request.left_ns <= record.started_ns:
            _count_route(statement, OUTSIDE_REQUESTS)
        elif request.executed is SETTLED or 0 < request.ended_ns <= record.started_ns:
            _count_route(statement, request.route)
        else:
            self._fold_part(record, known, request, statement)

    def fold_request(self, record: RequestRecord, route: RouteFrame) -> None:
        """Attribute what a request has executed to its route, now that the route is known."""
        executed = record.executed
        record.executed = SETTLED
        for shape, executions in executed.items():
            _count_route(self._statement(shape), route.route, executions.count)
            if executions.compared >= REPEATED_FROM:
                self._count_repeats(route, shape, executions)

    def close(self, frame: Frame) -> None:
        """Hand the span's statements over to `frame`: as many as it has room for, the costliest."""
        self._fold_away(self._shapes.close(self._spent(), frame.span_ns))
        for statement, latency in self._statements.values():
            latency.settle()
            if len(statement.routes) > MAX_ROUTES:
                statement.routes = _most(statement.routes)
            if statement.fingerprint == OTHER_SHAPES:
                statement.call_site = None
            frame.statements.append(statement)
        self._statements = {}
        self._binds_since += 1
        if self._binds_since >= REMEMBER_BINDS_FRAMES:
            self._forget_older_binds()

    def _statement(self, shape: Shape) -> StatementFrame:
        return (self._statements.get(shape) or self._begin(shape))[0]

    def _begin(self, shape: Shape) -> tuple[StatementFrame, GatheredSketch]:
        while not self._shapes.take_in(shape):
            self._fold_away(self._shapes.shed(self._spent()))
        statement = StatementFrame(
            fingerprint=shape.fingerprint,
            statement=shape.shown,
            database=shape.database,
            call_site=shape.call_site or None,
        )
        begun = self._statements[shape] = statement, GatheredSketch(statement.latency)
        return begun

    def _spent(self) -> dict[str, int]:
        """Return what each statement has cost in this span so far, by fingerprint."""
        spent = {}
        for statement, latency in self._statements.values():
            latency.settle()
            spent[statement.fingerprint] = _cost_of(statement)
        spent.pop(OTHER_SHAPES, None)
        return spent

    def _fold_away(self, fingerprints: list[str]) -> None:
        """Count what these have done in this span as `(other)`."""
        if not fingerprints:
            return
        away = set(fingerprints)
        other, _ = self._statements.get(self._shapes.other) or self._begin(self._shapes.other)
        for shape in [shape for shape in self._statements if shape.fingerprint in away]:
            statement, _ = self._statements.pop(shape)
            self._count_bound("statements", statement.latency.count)
            merge_statement(other, statement)

    def _fold_part(
        self, record: StatementRecord, known: StatementText, request: RequestRecord, statement: StatementFrame
    ) -> None:
        """Keep an execution with its request, which has not ended."""
        executed = request.executed
        if executed is None:
            executed = request.executed = {}
        executions = executed.get(known.shape)
        if executions is None:
            executions = executed[known.shape] = _Executions()
        executions.count += 1
        if not known.compared:
            return
        binds = record.binds
        if not known.many:
            executions.compared += 1
            executions.ns += record.ended_ns - record.started_ns
            if binds is None:
                executions.unknown_binds += 1
            elif len(executions.binds) < MAX_COMPARED:
                executions.binds.append(binds)
            if record.call_site:
                executions.call_site = record.call_site
        if binds is not None and self._seen_in_other_request(binds ^ id(known.shape), request.started_ns):
            statement.same_binds += 1

    def _seen_in_other_request(self, key: int, request: int) -> bool:
        """Say whether another request has run this statement with these values; note that this one has."""
        before = self._binds.get(key)
        if before is None:
            before = self._older_binds.get(key, request)
            if len(self._binds) >= MAX_REMEMBERED_BINDS:
                self._forget_older_binds()
        self._binds[key] = request
        return before != request

    def _forget_older_binds(self) -> None:
        self._older_binds = self._binds
        self._binds = {}
        self._binds_since = 0

    def _count_repeats(self, route: RouteFrame, shape: Shape, executions: _Executions) -> None:
        place = self._place_of_repeats(route.route, shape, executions.call_site)
        for repeats in route.repeats:
            if repeats.fingerprint == shape.fingerprint and repeats.call_site == place:
                break
        else:
            if len(route.repeats) >= MAX_REPEATS:
                self._count_bound("repeats")
                return
            repeats = RepeatedShape(fingerprint=shape.fingerprint, call_site=place)
            route.repeats.append(repeats)
        repeats.requests += 1
        repeats.executions += executions.compared
        repeats.distinct_binds += len(set(executions.binds)) + executions.unknown_binds
        repeats.total_ns += executions.ns
        repeats.most = max(repeats.most, executions.compared)

    def _count_bound(self, bound: str, times: int = 1) -> None:
        self._bounded[bound] = self._bounded.get(bound, 0) + times

    def _place_of_repeats(self, route: str, shape: Shape, place: CodePlace) -> CodePlace:
        """Return where the repetition comes from; if it is not known, ask for the next one's."""
        key = (route, shape)
        if not place:
            shape.call_site_wanted = True
            return self._call_sites.get(key, shape.call_site)
        if key not in self._call_sites and len(self._call_sites) >= MAX_CALL_SITES:
            del self._call_sites[next(iter(self._call_sites))]
        self._call_sites[key] = place
        return place


def _count_route(statement: StatementFrame, route: str, executions: int = 1) -> None:
    routes = statement.routes
    if route not in routes and len(routes) >= MAX_ROUTES_MET:
        route = OTHER_ROUTES
    routes[route] = routes.get(route, 0) + executions


def _cost_of(statement: StatementFrame) -> int:
    return statement.latency.total + statement.errors * COST_OF_AN_ERROR_NS


def _most(routes: dict[str, int]) -> dict[str, int]:
    """Return the routes with the most executions; the others share `(other)`."""
    ordered = sorted(routes.items(), key=lambda item: (item[0] == OTHER_ROUTES, -item[1]))
    told = dict(ordered[: MAX_ROUTES - 1])
    told[OTHER_ROUTES] = sum(executions for _, executions in ordered[MAX_ROUTES - 1 :])
    return told
