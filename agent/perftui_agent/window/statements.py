"""The statements' section of a frame, and which of them single requests repeat.

Most statements are counted when their request has ended: then it is known which route they belong to.
Those of a request that is long under way are counted when they are over, and wait on its record for their
route. Having all of a request's executions together is also how repetition is seen:
one request, one shape, again and again, with other values (a join would do it once) or the same (nobody
needs it twice). Across requests, the same statement with the same values is what a cache would have
saved.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from perftui_agent.kept_run import kept_run
from perftui_agent.records import CUT, RequestPart, RequestRecord, Shape, StatementRecord, StatementText
from perftui_agent.window.places import Places
from perftui_agent.window.routes import MAX_REPEATS, add_to
from perftui_agent.window.shapes import OTHER_SHAPES, ShapeTable
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import merge_statement
from perftui_agent.wire.outside import StatementFrame
from perftui_agent.wire.parts import CodePlace
from perftui_agent.wire.requests import RepeatedShape, RouteFrame

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
    call_sites: list[CodePlace] = []
    """Of some of them: of the third, the fifth, the ninth …"""

    @property
    def are_scattered(self) -> bool:
        """Whether they come from here and there, each place once: no loop, no function for all."""
        return len(self.call_sites) > 1 and len(set(self.call_sites)) == len(self.call_sites)


class StatementLedger:
    """What each statement did in the span that is being filled."""

    def __init__(self, shapes: ShapeTable, bounded: dict[str, int]) -> None:
        self._shapes = shapes
        self._bounded = bounded
        self._statements: dict[Shape, StatementFrame] = {}
        self.binds: dict[int, int] = {}
        """The last request (by when it began) that ran a statement with these values."""
        self._older_binds: dict[int, int] = {}
        self._binds_since = 0
        self._call_sites: dict[tuple[str, Shape], CodePlace] = {}
        """Where in a route a repeated shape comes from: not every repetition brings its call site."""
        self._places: dict[Shape, Places] = {}
        """Of steps of transactions."""

    def learn(self, record: StatementRecord) -> StatementText:
        """Return what is known of a statement's text, which may be met for the first time."""
        known = record.known
        if known is None:
            known = self._shapes.know(record.text_hash, record.text, record.engine, record.database)
            record.known = known
            if record.binds is not None:
                record.binds ^= known.literals
            record.kind = known.shape.kind
            self._keep_slowest(known.shape, record)
            record.engine = record.parameters = None
            record.text = ""
        return known

    def _keep_slowest(self, shape: Shape, record: StatementRecord) -> None:
        """Keep a run whose text was met for the first time, if it is the slowest of its shape so far."""
        ns = record.ended_ns - record.started_ns
        if record.keeps_run and ns > shape.slowest_ns and not record.failed and CUT not in record.text:
            shape.slowest_ns = ns
            shape.slowest = kept_run(ns, record.text, record.parameters, record.engine)

    def fold_rest(self, record: StatementRecord) -> bool:
        """Count an execution that is no part of a request's latency; False if it is one."""
        shape = self.learn(record).shape
        request = record.request
        began_ns = record.started_ns
        if request is None or 0 < request.left_ns <= began_ns:
            route = OUTSIDE_REQUESTS
        elif request.folded or 0 < request.ended_ns <= began_ns:
            route = request.route
        else:
            return False
        statement = self._statement(shape)
        statement.latency.add(record.ended_ns - began_ns)
        _count_route(statement, route)
        self._count_other(statement, 1)
        if record.failed or record.slow or record.call_site:
            self.note(shape, record)
        return True

    def fold_piece(self, record: StatementRecord, request: RequestRecord) -> None:
        """Count an execution by a request that has not ended, which keeps it until its route is known."""
        known = self.learn(record)
        shape = known.shape
        statement = self._statement(shape)
        statement.latency.add(record.ended_ns - record.started_ns)
        self._count_other(statement, 1)
        if record.binds is not None:
            key = record.binds ^ id(shape)
            before = self.binds.get(key)
            self.binds[key] = request.started_ns
            self.compare(shape, key, before, request.started_ns)
        if record.failed or record.slow or record.call_site:
            self.note(shape, record)
        if request.executed is None:
            request.executed = {}
        _keep(request.executed, known, record)

    def count_piece(self, shape: Shape, took_ns: list[int], request: RequestRecord) -> None:
        """Count executions by a request that has not ended and is not followed."""
        statement = self._statement(shape)
        statement.latency.add_all(took_ns)
        statement.unfollowed += len(took_ns)
        self._count_other(statement, len(took_ns))
        if request.executed is None:
            request.executed = {}
        executions = request.executed.get(shape)
        if executions is None:
            executions = request.executed[shape] = _Executions()
        executions.count += len(took_ns)

    def fold_request(self, record: RequestRecord, route: RouteFrame) -> None:
        """Attribute what a request has executed piece by piece to its route, now that the route is known."""
        executed, record.executed = record.executed, None
        for shape, executions in executed.items():
            _count_route(self._statement(shape), route.route, executions.count)
            if executions.compared >= REPEATED_FROM:
                self._count_repeats(route, shape, executions)

    def settle(self, shape: Shape, route: RouteFrame, took_ns: list[int]) -> None:
        """Count executions by requests of a route that have ended."""
        statement = self._statement(shape)
        statement.latency.add_all(took_ns)
        executions = len(took_ns)
        self._count_other(statement, executions)
        _count_route(statement, route.route, executions)
        add_to(route, shape.kind, executions, sum(took_ns))

    def not_compared(self, shape: Shape, executions: int) -> None:
        """Count executions by requests that are not followed."""
        self._statement(shape).unfollowed += executions

    def note(self, shape: Shape, record: StatementRecord) -> None:
        """Note what is out of the ordinary in an execution."""
        statement = self._statement(shape)
        if record.failed:
            statement.errors += 1
        if record.slow:
            statement.slow += 1
        if record.call_site and shape.kind == "transaction":
            places = self._places.get(shape) or self._places.setdefault(shape, Places())
            places.note(record.call_site, record.ended_ns - record.started_ns)
        elif record.call_site:
            shape.call_site = statement.call_site = record.call_site

    def compare(self, shape: Shape, key: int, before: int | None, request: int) -> None:
        """Count an execution whose statement and values another request has run before, by its beginning.

        `key` tells the two, and is in `binds` with this request by now; `before` is what was there.
        """
        if before is None:
            before = self._older_binds.get(key, request)
            if len(self.binds) > MAX_REMEMBERED_BINDS:
                self._forget_older_binds()
        if before != request:
            self._statement(shape).same_binds += 1

    def find_repeats(self, parts: Iterable[RequestPart], route: RouteFrame) -> None:
        """Count what a request has repeated, given all its parts."""
        executed: dict[Shape, _Executions] = {}
        for part in parts:
            if type(part) is StatementRecord and part.known is not None and part.known.compared:
                _keep(executed, part.known, part)
        for shape, repeated in executed.items():
            if repeated.compared >= REPEATED_FROM:
                self._count_repeats(route, shape, repeated)

    def close(self, frame: Frame) -> None:
        """Hand the span's statements over to `frame`: as many as it has room for, the costliest."""
        self._fold_away(self._shapes.close(self._spent(), frame.span_ns))
        for shape, statement in self._statements.items():
            if len(statement.routes) > MAX_ROUTES:
                statement.routes = _most(statement.routes)
            if statement.fingerprint == OTHER_SHAPES:
                statement.call_site = None
            if shape.kind == "transaction":
                places = self._places.get(shape)
                statement.call_site = places.told() if places is not None else None
                shape.call_site_wanted = True  # of the next
            (frame.statements if shape.kind == "sql" else frame.transactions).append(statement)
        for places in self._places.values():
            places.fade()
        self._statements = {}
        self._binds_since += 1
        if self._binds_since >= REMEMBER_BINDS_FRAMES:
            self._forget_older_binds()

    def _statement(self, shape: Shape) -> StatementFrame:
        return self._statements.get(shape) or self._begin(shape)

    def _begin(self, shape: Shape) -> StatementFrame:
        while not self._shapes.take_in(shape):
            self._fold_away(self._shapes.shed(self._spent()))
        begun = self._statements[shape] = StatementFrame(
            fingerprint=shape.fingerprint,
            statement=shape.shown,
            database=shape.database,
            call_site=shape.call_site or None,
        )
        return begun

    def _spent(self) -> dict[str, int]:
        """Return what each statement has cost in this span so far, by fingerprint."""
        spent = {
            statement.fingerprint: _cost_of(statement)
            for statement in self._statements.values()
            if statement.fingerprint not in self._shapes.steps
        }
        spent.pop(OTHER_SHAPES, None)
        return spent

    def _fold_away(self, fingerprints: list[str]) -> None:
        """Count what these have done in this span as `(other)`."""
        if not fingerprints:
            return
        away = set(fingerprints)
        other = self._statement(self._shapes.other)
        for shape in [shape for shape in self._statements if shape.fingerprint in away]:
            statement = self._statements.pop(shape)
            self._count_bound("statements", statement.latency.count)
            merge_statement(other, statement)

    def _count_other(self, statement: StatementFrame, executions: int) -> None:
        if statement.fingerprint == OTHER_SHAPES:
            self._count_bound("statements", executions)

    def _forget_older_binds(self) -> None:
        self._older_binds = self.binds
        self.binds = {}
        self._binds_since = 0

    def _count_repeats(self, route: RouteFrame, shape: Shape, executions: _Executions) -> None:
        if executions.are_scattered:
            return
        last = executions.call_sites[-1] if executions.call_sites else ""
        place = self._place_of_repeats(route.route, shape, last)
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


def _keep(executed: dict[Shape, _Executions], known: StatementText, record: StatementRecord) -> None:
    """Add an execution to those of its shape by the same request."""
    executions = executed.get(known.shape)
    if executions is None:
        executions = executed[known.shape] = _Executions()
    executions.count += 1
    if not known.compared or known.many:
        return
    executions.compared += 1
    executions.ns += record.ended_ns - record.started_ns
    if record.binds is None:
        executions.unknown_binds += 1
    elif len(executions.binds) < MAX_COMPARED:
        executions.binds.append(record.binds)
    if record.call_site and len(executions.call_sites) < MAX_COMPARED:
        executions.call_sites.append(record.call_site)


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
