"""The upstreams' section of a frame: what other services were asked over HTTP, and by whom.

A call is counted when its request has ended, or at the next beat if that is long under way; it belongs to a
route once that is known. Most calls are like each other: they are kept until there are many, and counted
at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from perftui_agent.records import CallDetails, CallRecord, RequestRecord
from perftui_agent.sketch import LatencySketch
from perftui_agent.window.called import CalledPaths
from perftui_agent.window.calls import MAX_TARGETS, Calls, are_alike
from perftui_agent.window.costs import Costs
from perftui_agent.window.routes import RouteTally
from perftui_agent.window.statements import OUTSIDE_REQUESTS
from perftui_agent.window.targets import NOWHERE, TargetTable
from perftui_agent.wire.adding import bounded_counts
from perftui_agent.wire.called import NewClients
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging_upstreams import merge_upstream
from perftui_agent.wire.outside import UpstreamFrame
from perftui_agent.wire.requests import RepeatedCalls, RouteFrame

Key = tuple[str, str, str]
"""Host, method, library."""

MAX_UPSTREAMS = 200
"""Hosts and methods in a frame, the costliest; the others share `(other)`."""

NEWCOMERS = 300
"""Those met within a frame that are told apart besides, until it closes."""

MAX_DETAILS = 20
"""Routes, call sites, kinds of failures and repetitions of one upstream in a frame."""

MAX_MET = 200
"""Those of them that are told apart until it closes."""

SETTLED_AT_ONCE = 64
"""Calls of one upstream that are kept until they are counted: what is left is counted as the frame closes."""

REPEATED_FROM = 3
"""Calls of one upstream by one request."""

OTHER = "(other)"
_OTHER_KEY: Key = (OTHER, "", "")

COST_OF_A_CALL_NS = 1_000_000
COST_OF_AN_ERROR_NS = 100_000_000


class _Row:
    """One upstream, and its calls on their way into the frame: those without details."""

    __slots__ = ("by_route", "frame", "number", "paths", "waiting")

    def __init__(self, key: Key, targets: TargetTable) -> None:
        self.frame = UpstreamFrame(host=key[0], method=key[1], library=key[2])
        self.paths = CalledPaths(partial(targets.shape, key[0]))
        self.waiting: list[CallRecord] = []
        """Calls that are attributed already …"""
        self.by_route: dict[RouteTally, list[CallRecord]] = {}
        """… and those of requests that have made no others, one after the other."""
        self.number = 0
        """Of both together."""

    def settle(self, targets: TargetTable) -> UpstreamFrame:
        """Return its frame with all calls that were waiting."""
        if self.number:
            for tally, records in self.by_route.items():
                # While they were waiting their route may have become one of the others.
                route = tally.frame if tally.into is None else tally.into.frame
                ns = self._count(records, targets, route.route)
                route.http_count += len(records)
                route.http_ns += ns
                _count(self.frame.routes, route.route, len(records))
                _count(self.frame.spent, route.route, ns)
            if self.waiting:
                self._count(self.waiting, targets)
            self.by_route.clear()
            self.waiting.clear()
            self.number = 0
        return self.frame

    def _count(self, records: list[CallRecord], targets: TargetTable, route: str = "") -> int:
        """Count many calls at once, of this route if that is known; return how long they took, together."""
        frame, total_ns = self.frame, 0
        for words, same in _by_words(records, targets).items():
            latency_ns = [each.ended_ns - each.started_ns for each in same]
            # Without details they had a connection as they began.
            answer_ns = [each.answered_ns - each.started_ns for each in same]
            frame.latency.add_all(latency_ns)
            frame.answer.add_all(answer_ns)
            ns = sum(latency_ns)
            total_ns += ns
            frame.body_ns += ns - sum(answer_ns)
            path = self.paths.path(words)
            path.add(answer_ns, ns)
            if route:
                path.spend(route, ns)
            targets.note(frame.host, words, len(same))
        frame.received_bytes += sum([each.received_bytes for each in records])
        return total_ns


class UpstreamLedger:
    """What other services were asked in the span that is being filled."""

    def __init__(self, bounded: dict[str, int], targets: TargetTable) -> None:
        self._bounded = bounded
        self._targets = targets
        self.costs: Costs[Key] = Costs(MAX_UPSTREAMS, NEWCOMERS)
        self._rows: dict[Key, _Row] = {}

    def fold_rest(self, record: CallRecord) -> bool:
        """Count a call that is no part of a request's latency; False if it is one."""
        request = record.request
        if request is None or 0 < request.left_ns <= record.started_ns:
            route = OUTSIDE_REQUESTS
        elif request.folded or 0 < request.ended_ns <= record.started_ns:
            route = request.route
        else:
            return False
        row = self._row(record.upstream.key)
        self._fold(row, [record])
        ns = record.ended_ns - record.started_ns
        _count(row.frame.routes, route, 1)
        _count(row.frame.spent, route, ns)
        row.paths.path(self._targets.words_of(record.target)).spend(route, ns)
        if record.details is not None and record.details.new_client:
            _count_made(row.frame, route, record.details)
        return True

    def fold_whole(self, records: list[CallRecord], tally: RouteTally) -> None:
        """Count all calls of a request that has ended."""
        if not are_alike(records):
            self._attribute(self._gather(Calls(), records), tally.frame)
            return
        key = records[0].upstream.key
        row = self._rows.get(key) or self._row(key)
        waiting = row.by_route.get(tally)
        if waiting is None:
            waiting = row.by_route[tally] = []
        waiting += records
        row.number += len(records)
        row.frame.requests += 1
        if len(records) >= REPEATED_FROM:
            ns = sum([each.ended_ns - each.started_ns for each in records])
            distinct = {each.target for each in records[:MAX_TARGETS]}
            _count_repeats(row.frame, tally.frame.route, "", len(records), len(distinct), ns)
        if row.number >= SETTLED_AT_ONCE:
            row.settle(self._targets)

    def fold_piece(self, records: list[CallRecord], request: RequestRecord) -> None:
        """Count calls of a request that has not ended; they are its route's when it has."""
        request.called = self._gather(request.called or Calls(), records)
        for upstream in request.called.same:
            row = self._rows.get(upstream.key)
            if row is not None:
                row.settle(self._targets)  # its story is made as it goes on, and names these paths

    def fold_request(self, request: RequestRecord, route: RouteFrame) -> None:
        """Attribute what was counted piece by piece, now that the route is known."""
        calls, request.called = request.called, None
        self._attribute(calls, route)

    def settle(self) -> None:
        """Count what waits for that, and know which paths were asked for."""
        for row in self._rows.values():
            if row.number:
                row.settle(self._targets)

    def close(self, frame: Frame) -> None:
        """Hand the span's upstreams over to `frame`: as many as it has room for, the costliest."""
        untold, _ = self.costs.close(self._spent(), frame.span_ns)
        self._fold_away(untold)
        for row in self._rows.values():
            told = row.settle(self._targets)
            for field in ("routes", "spent", "call_sites", "failures"):
                setattr(told, field, bounded_counts(getattr(told, field), MAX_DETAILS))
            told.repeats.sort(key=lambda each: each.ns, reverse=True)
            told.made.sort(key=lambda each: each.clients, reverse=True)
            del told.repeats[MAX_DETAILS:], told.made[MAX_DETAILS:]
            told.paths = row.paths.close()
            frame.upstreams.append(told)
        self._rows = {}
        self._targets.close()

    def _gather(self, calls: Calls, records: list[CallRecord]) -> Calls:
        for upstream, mine in calls.add(records).items():
            row = self._rows.get(upstream.key) or self._row(upstream.key)
            if calls.failed or [True for record in mine if record.details is not None]:
                for record in mine:
                    row.frame.retries += calls.add_details(record, record.details)
            self._fold(row, mine)
        return calls

    def _attribute(self, calls: Calls, route: RouteFrame) -> None:
        label = route.route
        route.http_count += calls.count
        busy_ns = calls.busy_ns
        held_ns = min(calls.held_ns, busy_ns)
        route.http_held_ns += held_ns
        route.http_ns += busy_ns - held_ns
        for upstream, same in calls.same.items():
            asked = self._rows.get(upstream.key) or self._row(upstream.key)
            row = asked.frame
            row.requests += 1
            _count(row.routes, label, same.count)
            _count(row.spent, label, same.spent_ns)
            for target, ns in same.targets.items():
                asked.paths.path(self._targets.words_of(target)).spend(label, ns)
            for details in same.made or ():
                _count_made(row, label, details)
            if same.count >= REPEATED_FROM:
                distinct = len(same.targets)
                _count_repeats(row, label, same.call_site, same.count, distinct, same.busy.ns)

    def _fold(self, row: _Row, records: list[CallRecord]) -> None:
        """Count calls of one upstream: those with details at once, the others with more of them."""
        alike = [record for record in records if record.details is None]
        row.waiting += alike
        row.number += len(alike)
        if row.number >= SETTLED_AT_ONCE:
            row.settle(self._targets)
        if len(alike) != len(records):
            for record in records:
                if record.details is not None:
                    words = self._targets.words_of(record.target)
                    self._fold_in_detail(row.frame, record, record.details)
                    row.paths.path(words).add_in_detail(record, record.details)
                    self._targets.note(row.frame.host, words, record.status not in NOWHERE)

    def _fold_in_detail(self, row: UpstreamFrame, record: CallRecord, details: CallDetails) -> None:
        row.latency.add(record.ended_ns - record.started_ns)
        if record.answered_ns:
            row.held += details.held_ns > 0
            row.held_unknown += details.held_ns < 0
            held_ns = max(details.held_ns, 0)
            row.held_ns += held_ns
            row.answer.add(max(0, record.answered_ns - record.ready_ns - held_ns))
            row.body_ns += record.body_ns
            row.received_bytes += record.received_bytes
        if details.failed or details.cancelled:
            _count_failure(row, details, record.status)
        if details.pool_wait_ns or details.connect_ns:
            _count_opening(row, details)
        row.clients += details.new_client
        if details.call_site:
            _count(row.call_sites, details.call_site, 1)

    def _row(self, key: Key) -> _Row:
        row = self._rows.get(key)
        if row is None:
            while key != _OTHER_KEY and not self.costs.admit(key):
                self._fold_away(self.costs.shed(self._spent()))
            row = self._rows[key] = _Row(key, self._targets)
        return row

    def _spent(self) -> dict[Key, int]:
        """Return what each upstream has cost in this span so far."""
        return {
            key: _cost_of(row.settle(self._targets)) for key, row in self._rows.items() if key != _OTHER_KEY
        }

    def _fold_away(self, keys: Iterable[Key]) -> None:
        """Count what these were asked in this span as `(other)`."""
        for key in keys:
            row = self._rows.pop(key).settle(self._targets)
            self._bounded["upstreams"] = self._bounded.get("upstreams", 0) + row.latency.count
            merge_upstream(self._row(_OTHER_KEY).frame, row)


def _count_failure(row: UpstreamFrame, details: CallDetails, status: int) -> None:
    row.cancelled += details.cancelled
    if details.failed:
        row.errors += 1
        row.timeouts += details.timed_out
        row.pool_timeouts += details.pool_timed_out
        _count(row.failures, details.error or str(status), 1)


def _count_opening(row: UpstreamFrame, details: CallDetails) -> None:
    if details.pool_wait_ns:
        row.pool_wait = row.pool_wait or LatencySketch()
        row.pool_wait.add(details.pool_wait_ns)
    if details.connect_ns:
        row.connect = row.connect or LatencySketch()
        row.connect.add(details.connect_ns)
        row.tls_ns += details.tls_ns
        row.opened += details.opened
        row.retries += details.retries


def _by_words(records: list[CallRecord], targets: TargetTable) -> dict[str, list[CallRecord]]:
    """Return calls by the words of their paths; most are for one path."""
    if len({record.target for record in records}) == 1:
        return {targets.words_of(records[0].target): records}
    found: dict[str, list[CallRecord]] = {}
    for record in records:
        found.setdefault(targets.words_of(record.target), []).append(record)
    return found


def _count(counts: dict[str, int], name: str, times: int) -> None:
    if name not in counts and len(counts) >= MAX_MET:
        name = OTHER
    counts[name] = counts.get(name, 0) + times


def _count_made(row: UpstreamFrame, route: str, details: CallDetails) -> None:
    """Count a client that a request has made for itself."""
    for made in row.made:
        if made.route == route and made.call_site == details.call_site:
            break
    else:
        if len(row.made) >= MAX_MET:
            return
        made = NewClients(route=route, call_site=details.call_site)
        row.made.append(made)
    made.clients += 1
    made.connect_ns += details.connect_ns
    made.tls_ns += details.tls_ns


def _count_repeats(
    row: UpstreamFrame, route: str, call_site: str, calls: int, distinct: int, ns: int
) -> None:
    """Count that a request has called one upstream several times."""
    for repeats in row.repeats:
        if repeats.route == route and call_site in {"", repeats.call_site}:
            break
    else:
        if len(row.repeats) >= MAX_MET:
            return
        repeats = RepeatedCalls(route=route, call_site=call_site)
        row.repeats.append(repeats)
    repeats.requests += 1
    repeats.calls += calls
    repeats.distinct += distinct
    repeats.most = max(repeats.most, calls)
    repeats.ns += ns


def _cost_of(row: UpstreamFrame) -> int:
    return row.latency.total + row.latency.count * COST_OF_A_CALL_NS + row.errors * COST_OF_AN_ERROR_NS
