"""The background section of a frame: what functions did after the response, for whose requests.

What a piece of work has asked of databases, caches and other services is counted with those under its route,
and told of here; the sums of the route's requests have no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter_ns
from types import CodeType

from perftui_agent.await_chain import route_of
from perftui_agent.places import place_of
from perftui_agent.sketch import LatencySketch
from perftui_agent.window.costs import Costs
from perftui_agent.window.parts import PartLedger
from perftui_agent.window.routes import RouteTally
from perftui_agent.wire.after import BackgroundFrame
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import merge_background
from perftui_agent.wire.requests import RouteFrame
from perftui_agent.work import THREAD, Function, WorkRecord, settle

Key = tuple[str, str, str]
"""Kind, name, route."""

MAX_ROWS = 200
"""Functions and routes in a frame, the costliest; the others share `(other)`."""

NEWCOMERS = 300

MAX_FAILURES = 20

OTHER = "(other)"
_OTHER_KEY: Key = ("", OTHER, "")

COST_OF_ONE_NS = 1_000_000

_SUMS = ("sql_count", "sql_ns", "transaction_ns", "cache_count", "cache_ns", "http_count", "http_ns")


class BackgroundLedger:
    """What was done after responses in the span that is being filled."""

    def __init__(self, bounded: dict[str, int], parts: PartLedger, works: dict[int, WorkRecord]) -> None:
        self._bounded = bounded
        self._parts = parts
        self._works = works
        self.costs: Costs[Key] = Costs(MAX_ROWS, NEWCOMERS)
        self._rows: dict[Key, BackgroundFrame] = {}

    def fold(self, work: WorkRecord) -> None:
        """Count a piece of work that is over."""
        row = self._row_of(work)
        row.latency.add(work.ended_ns - work.started_ns)
        if work.given_ns:
            row.wait = row.wait or LatencySketch()
            row.wait.add(max(0, work.started_ns - work.given_ns))
        row.threaded += work.threaded
        if work.held_ns:
            row.held += 1
            row.held_ns += work.held_ns
        if work.error:
            row.errors += 1
            name = work.error if work.error in row.failures or len(row.failures) < MAX_FAILURES else OTHER
            row.failures[name] = row.failures.get(name, 0) + 1
        self._take_in(work, row)
        work.folded = True

    def close(self, frame: Frame) -> None:
        """Hand the span's rows over to `frame`, with what runs now."""
        now_ns = perf_counter_ns()
        for work in list(self._works.values()):
            settle(work)
            if not work.outlives and work.kind == THREAD:
                continue  # its request waits for it, or may
            row = self._row_of(work)
            row.running += 1
            row.oldest_ns = max(row.oldest_ns, now_ns - work.started_ns)
            if work.outlives:
                self._take_in(work, row)
        untold, _ = self.costs.close(self._spent(), frame.span_ns)
        self._fold_away(untold)
        frame.background = list(self._rows.values())
        self._rows = {}

    def _take_in(self, work: WorkRecord, row: BackgroundFrame) -> None:
        """Count what it has asked since the last time."""
        if not (work.parts or work.executed or work.story or work.called):
            return
        tally = RouteTally(row.route)
        self._parts.fold_apart(work, tally)
        _add_sums(row, tally.frame)

    def _row_of(self, work: WorkRecord) -> BackgroundFrame:
        of = work.of
        route = work.route or (route_of(of) if of is not None else "")
        return self._row((work.kind, _name_of(work.function), route))

    def _row(self, key: Key) -> BackgroundFrame:
        row = self._rows.get(key)
        if row is None:
            while key != _OTHER_KEY and not self.costs.admit(key):
                self._fold_away(self.costs.shed(self._spent()))
            kind, name, route = key
            row = self._rows[key] = BackgroundFrame(kind=kind, name=name, route=route)
        return row

    def _spent(self) -> dict[Key, int]:
        return {key: cost_of(row) for key, row in self._rows.items() if key != _OTHER_KEY}

    def _fold_away(self, keys: Iterable[Key]) -> None:
        """Count what these did in this span as `(other)`."""
        for key in keys:
            row = self._rows.pop(key)
            self._bounded["background"] = self._bounded.get("background", 0) + row.latency.count
            other = self._row(_OTHER_KEY)
            running, oldest_ns = other.running + row.running, max(other.oldest_ns, row.oldest_ns)
            merge_background(other, row)
            other.running, other.oldest_ns = running, oldest_ns


def cost_of(row: BackgroundFrame) -> int:
    """Return how much a row matters, in nanoseconds."""
    return row.latency.total + row.oldest_ns + (row.latency.count + row.running) * COST_OF_ONE_NS


def _add_sums(row: BackgroundFrame, route: RouteFrame) -> None:
    for field in _SUMS:
        setattr(row, field, getattr(row, field) + getattr(route, field))


def _name_of(function: Function) -> str:
    if isinstance(function, CodeType):
        return place_of(function.co_filename, function.co_firstlineno, function.co_qualname)
    return function
