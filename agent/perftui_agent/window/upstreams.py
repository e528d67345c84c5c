"""The upstreams' section of a frame: what other services were asked over HTTP, and by whom.

A call is counted when its request has ended, or at the next beat if that is long under way; it belongs to a
route once that is known. All of a request's calls together say for how long at least one was under way (five
at once take no longer than one), which of them repeat one that had failed, and whether one host is asked
again and again.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from perftui_agent.records import CallRecord, RequestRecord, Upstream
from perftui_agent.sketch import LatencySketch
from perftui_agent.window.costs import Costs
from perftui_agent.window.gathered import GatheredSketch
from perftui_agent.window.statements import OUTSIDE_REQUESTS
from perftui_agent.window.targets import TargetTable
from perftui_agent.wire.frames import Frame, RepeatedCalls, RouteFrame, UpstreamFrame
from perftui_agent.wire.merging import bounded_counts, merge_upstream

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

REPEATED_FROM = 3
"""Calls of one upstream by one request."""

MAX_TARGETS = 500
"""Paths of one request that are told apart."""

OTHER = "(other)"
_OTHER_KEY: Key = (OTHER, "", "")

COST_OF_A_CALL_NS = 1_000_000
COST_OF_AN_ERROR_NS = 100_000_000


class _Row:
    """One upstream, and its times on their way into sketches."""

    __slots__ = ("answer", "frame", "latency")

    def __init__(self, key: Key) -> None:
        self.frame = UpstreamFrame(host=key[0], method=key[1], library=key[2])
        self.latency = GatheredSketch(self.frame.latency)
        self.answer = GatheredSketch(self.frame.answer)

    def settle(self) -> UpstreamFrame:
        """Return its frame with all that has been gathered."""
        self.latency.settle()
        self.answer.settle()
        return self.frame


class _Busy:
    """For how long at least one of some calls was under way; they come in the order they began."""

    __slots__ = ("ns", "until_ns")

    def __init__(self) -> None:
        self.ns = 0
        self.until_ns = 0

    def add(self, began_ns: int, ended_ns: int) -> None:
        """Add one more."""
        if ended_ns > self.until_ns:
            self.ns += ended_ns - max(began_ns, self.until_ns)
            self.until_ns = ended_ns


class _Same:
    """One request's calls of one upstream."""

    __slots__ = ("busy", "call_site", "count", "spent_ns", "targets")

    def __init__(self) -> None:
        self.count = 0
        self.spent_ns = 0
        self.busy = _Busy()
        self.targets: set[str | bytes] = set()
        self.call_site = ""


class Calls:
    """All of one request's calls so far."""

    __slots__ = ("busy", "count", "failed", "held_ns", "same")

    def __init__(self) -> None:
        self.count = 0
        self.held_ns = 0
        self.busy = _Busy()
        self.same: dict[Key, _Same] = {}
        self.failed: set[tuple[Key, str | bytes]] = set()
        """What has failed and was not asked for again since."""

    def add(self, key: Key, record: CallRecord) -> bool:
        """Add one; say whether it repeats one that had failed."""
        self.count += 1
        began_ns, ended_ns = record.started_ns, record.ended_ns
        if record.held_ns > 0:
            self.held_ns += record.held_ns
        self.busy.add(began_ns, ended_ns)
        same = self.same.get(key)
        if same is None:
            same = self.same[key] = _Same()
        same.count += 1
        same.spent_ns += ended_ns - began_ns
        same.busy.add(began_ns, ended_ns)
        if len(same.targets) < MAX_TARGETS:
            same.targets.add(record.target)
        if record.call_site:
            same.call_site = record.call_site
        return bool(record.failed or self.failed) and self._again(key, record)

    def _again(self, key: Key, record: CallRecord) -> bool:
        asked = (key, record.target)
        again = asked in self.failed
        if record.failed:
            self.failed.add(asked)
        elif again:
            self.failed.discard(asked)
        return again


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
        row = self._fold(record)
        _count(row.routes, route, 1)
        _count(row.spent, route, record.ended_ns - record.started_ns)
        return True

    def fold_whole(self, records: list[CallRecord], route: RouteFrame) -> None:
        """Count all calls of a request that has ended."""
        self._attribute(self._gather(Calls(), records), route)

    def fold_piece(self, records: list[CallRecord], request: RequestRecord) -> None:
        """Count calls of a request that has not ended; they are its route's when it has."""
        request.called = self._gather(request.called or Calls(), records)

    def fold_request(self, request: RequestRecord, route: RouteFrame) -> None:
        """Attribute what was counted piece by piece, now that the route is known."""
        calls, request.called = request.called, None
        self._attribute(calls, route)

    def close(self, frame: Frame) -> None:
        """Hand the span's upstreams over to `frame`: as many as it has room for, the costliest."""
        untold, _ = self.costs.close(self._spent(), frame.span_ns)
        self._fold_away(untold)
        for row in self._rows.values():
            told = row.settle()
            for field in ("routes", "spent", "call_sites", "failures"):
                setattr(told, field, bounded_counts(getattr(told, field), MAX_DETAILS))
            told.repeats.sort(key=lambda each: each.ns, reverse=True)
            del told.repeats[MAX_DETAILS:]
            frame.upstreams.append(told)
        self._rows = {}
        self._targets.close()

    def _gather(self, calls: Calls, records: list[CallRecord]) -> Calls:
        if len(records) > 1:
            records = sorted(records, key=_began)
        for record in records:
            row = self._fold(record)
            if calls.add(_key_of(record.upstream), record):
                row.retries += 1
        return calls

    def _attribute(self, calls: Calls, route: RouteFrame) -> None:
        label = route.route
        route.http_count += calls.count
        held_ns = min(calls.held_ns, calls.busy.ns)
        route.http_held_ns += held_ns
        route.http_ns += calls.busy.ns - held_ns
        for key, same in calls.same.items():
            row = self._row(key).frame
            row.requests += 1
            _count(row.routes, label, same.count)
            _count(row.spent, label, same.spent_ns)
            if same.count >= REPEATED_FROM:
                _count_repeats(row, label, same)

    def _fold(self, record: CallRecord) -> UpstreamFrame:
        """Count a call, but for whose it is. Written out, as what most calls have none of is apart."""
        upstream = record.upstream
        key = _OTHER_KEY if upstream is None else upstream.key
        whole = self._rows.get(key) or self._row(key)
        row = whole.frame
        whole.latency.add(record.ended_ns - record.started_ns)
        if record.answered_ns:
            took_ns = record.answered_ns - record.ready_ns
            if record.held_ns:
                row.held += record.held_ns > 0
                row.held_unknown += record.held_ns < 0
                held_ns = max(record.held_ns, 0)
                row.held_ns += held_ns
                took_ns -= held_ns
            whole.answer.add(max(0, took_ns))
            row.body_ns += record.body_ns
            row.received_bytes += record.received_bytes
        if record.failed or record.cancelled:
            _count_failure(row, record)
        if record.pool_wait_ns or record.connect_ns:
            _count_opening(row, record)
        if record.new_client:
            row.clients += 1
        if record.call_site:
            _count(row.call_sites, record.call_site, 1)
        if upstream is not None:
            self._targets.note(upstream.host, record.target, record.status)
        return row

    def _row(self, key: Key) -> _Row:
        row = self._rows.get(key)
        if row is None:
            while key != _OTHER_KEY and not self.costs.admit(key):
                self._fold_away(self.costs.shed(self._spent()))
            row = self._rows[key] = _Row(key)
        return row

    def _spent(self) -> dict[Key, int]:
        """Return what each upstream has cost in this span so far."""
        return {key: _cost_of(row.settle()) for key, row in self._rows.items() if key != _OTHER_KEY}

    def _fold_away(self, keys: Iterable[Key]) -> None:
        """Count what these were asked in this span as `(other)`."""
        for key in keys:
            row = self._rows.pop(key).settle()
            self._bounded["upstreams"] = self._bounded.get("upstreams", 0) + row.latency.count
            merge_upstream(self._row(_OTHER_KEY).settle(), row)


def _key_of(upstream: Upstream | None) -> Key:
    return _OTHER_KEY if upstream is None else upstream.key


_began = attrgetter("started_ns")


def _count_failure(row: UpstreamFrame, record: CallRecord) -> None:
    row.cancelled += record.cancelled
    if record.failed:
        row.errors += 1
        row.timeouts += record.timed_out
        row.pool_timeouts += record.pool_timed_out
        _count(row.failures, record.error or str(record.status), 1)


def _count_opening(row: UpstreamFrame, record: CallRecord) -> None:
    if record.pool_wait_ns:
        row.pool_wait = row.pool_wait or LatencySketch()
        row.pool_wait.add(record.pool_wait_ns)
    if record.connect_ns:
        row.connect = row.connect or LatencySketch()
        row.connect.add(record.connect_ns)
        row.tls_ns += record.tls_ns
        row.opened += record.opened
        row.retries += record.retries


def _count(counts: dict[str, int], name: str, times: int) -> None:
    if name not in counts and len(counts) >= MAX_MET:
        name = OTHER
    counts[name] = counts.get(name, 0) + times


def _count_repeats(row: UpstreamFrame, route: str, same: _Same) -> None:
    """Count that a request has called one upstream several times."""
    for repeats in row.repeats:
        if repeats.route == route and same.call_site in {"", repeats.call_site}:
            break
    else:
        if len(row.repeats) >= MAX_MET:
            return
        repeats = RepeatedCalls(route=route, call_site=same.call_site)
        row.repeats.append(repeats)
    repeats.requests += 1
    repeats.calls += same.count
    repeats.distinct += len(same.targets)
    repeats.most = max(repeats.most, same.count)
    repeats.ns += same.busy.ns


def _cost_of(row: UpstreamFrame) -> int:
    return row.latency.total + row.latency.count * COST_OF_A_CALL_NS + row.errors * COST_OF_AN_ERROR_NS
