"""Everything that frames have counted over a stretch of time, summed over workers.

A tally is filled from frames or from other tallies, and never changed again once it is in a
`History`. It speaks in the wire's own parts (`RouteFrame`, `StatementFrame` …): what one second of
one worker looks like, many seconds of all workers look like as well. Nothing that is added is
changed; what a tally counts in is its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec

from perftui.model.parts import (
    add_cache,
    add_pool,
    add_route,
    add_statement,
    copy_sketch,
    new_cache,
    new_pool,
    new_route,
    new_statement,
)
from perftui.model.summary import IncidentRow, SlowRow
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import (
    CacheFrame,
    Frame,
    PoolFrame,
    RouteFrame,
    RouteLabel,
    StatementFrame,
    WorkerId,
)

OTHER: RouteLabel = "(other)"

MAX_ROUTES = 2000
"""Routes told apart; an agent bounds its own at 500, and all workers have the same."""

MAX_STATEMENTS = 2000
MAX_POOLS_OR_CACHES = 1000
MAX_SLOW = 100
MAX_SLOW_PER_ROUTE = 5
MAX_INCIDENTS = 200


@dataclass(slots=True)
class WorkerTally:
    """What one worker did, and its last frame without what is counted elsewhere."""

    last: Frame
    from_ns: int
    to_ns: int
    requests: int = 0
    errors: int = 0
    records_dropped: int = 0
    latency: LatencySketch = field(default_factory=LatencySketch)
    lag: LatencySketch = field(default_factory=LatencySketch)
    gc_pauses: LatencySketch = field(default_factory=LatencySketch)
    threadpool_wait: LatencySketch = field(default_factory=LatencySketch)
    cpu_s: float = 0.0
    cpu_over_s: float = 0.0
    """For how long `cpu_s` was measured."""

    def copy(self) -> WorkerTally:
        """Return one of its own that has counted the same."""
        return replace(
            self,
            latency=copy_sketch(self.latency),
            lag=copy_sketch(self.lag),
            gc_pauses=copy_sketch(self.gc_pauses),
            threadpool_wait=copy_sketch(self.threadpool_wait),
        )

    def add(self, other: WorkerTally) -> None:
        """Count what `other` has counted too."""
        if other.to_ns >= self.to_ns:
            self.last, self.to_ns = other.last, other.to_ns
        self.from_ns = min(self.from_ns, other.from_ns)
        self.requests += other.requests
        self.errors += other.errors
        self.records_dropped += other.records_dropped
        self.latency.merge(other.latency)
        self.lag.merge(other.lag)
        self.gc_pauses.merge(other.gc_pauses)
        self.threadpool_wait.merge(other.threadpool_wait)
        self.cpu_s += other.cpu_s
        self.cpu_over_s += other.cpu_over_s


@dataclass(slots=True)
class Tally:
    """What all workers did over a stretch of time."""

    from_ns: int = 0
    """When the earliest frame's span began; 0 when there is none."""
    to_ns: int = 0
    """When the latest frame's span ended."""
    routes: dict[RouteLabel, RouteFrame] = field(default_factory=dict)
    workers: dict[WorkerId, WorkerTally] = field(default_factory=dict)
    statements: dict[str, StatementFrame] = field(default_factory=dict)
    pools: dict[str, PoolFrame] = field(default_factory=dict)
    caches: dict[str, CacheFrame] = field(default_factory=dict)
    slowest: tuple[SlowRow, ...] = ()
    incidents: tuple[IncidentRow, ...] = ()
    in_flight: int = 0
    """The most requests that all workers together were seen to have in flight."""

    @property
    def covered_s(self) -> float:
        """From the beginning of the first frame's span to the end of the last one's."""
        return (self.to_ns - self.from_ns) / 1e9

    @property
    def requests(self) -> int:
        """Requests that ended."""
        return sum(worker.requests for worker in self.workers.values())

    @property
    def errors(self) -> int:
        """Requests that ended in a 5xx."""
        return sum(worker.errors for worker in self.workers.values())

    @property
    def latency(self) -> LatencySketch:
        """The latencies of all routes together."""
        return LatencySketch.merged(worker.latency for worker in self.workers.values())


def tally_of(frames: Iterable[tuple[WorkerId, Frame]], tallies: Iterable[Tally] = ()) -> Tally:
    """Return the tally of `frames`, which belong to one moment, and of `tallies`."""
    result = Tally()
    slow: list[SlowRow] = []
    incidents: list[IncidentRow] = []
    in_flight: dict[WorkerId, int] = {}
    for worker, frame in frames:
        _add_frame(result, worker, frame)
        pid = pid_of(worker)
        slow += [SlowRow(worker, pid, request) for request in frame.slowest]
        incidents += [IncidentRow(worker, pid, incident) for incident in frame.incidents]
        in_flight[worker] = frame.in_flight
    result.in_flight = sum(in_flight.values())
    for tally in tallies:
        _add_tally(result, tally)
        slow += tally.slowest
        incidents += tally.incidents
    result.slowest = _slowest(slow)
    result.incidents = _latest(incidents)
    return result


def _add_frame(result: Tally, worker: WorkerId, frame: Frame) -> None:
    began_ns = frame.ended_at - frame.span_ns
    _stretch(result, began_ns, frame.ended_at)
    one = WorkerTally(last=without_counts(frame), from_ns=began_ns, to_ns=frame.ended_at)
    one.records_dropped = frame.agent.records_dropped
    for route in frame.routes:
        _add_route(result, route)
        one.requests += route.status.total()
        one.errors += route.status.server_error
        one.latency.merge(route.latency)
    if frame.loop is not None:
        one.lag.merge(frame.loop.lag)
    if frame.gc is not None:
        one.gc_pauses.merge(frame.gc.pauses)
    if frame.threadpool is not None:
        one.threadpool_wait.merge(frame.threadpool.wait)
    if frame.process.cpu_percent is not None:
        one.cpu_over_s = frame.span_ns / 1e9
        one.cpu_s = frame.process.cpu_percent / 100.0 * one.cpu_over_s
    _add_worker(result, worker, one)
    for statement in frame.statements:
        _add_statement(result, statement)
    for pool in frame.pools:
        _add_pool(result, pool)
    for cache in frame.caches:
        _add_cache(result, cache)


def _add_tally(result: Tally, other: Tally) -> None:
    if other.to_ns:
        _stretch(result, other.from_ns, other.to_ns)
    result.in_flight = max(result.in_flight, other.in_flight)
    for route in other.routes.values():
        _add_route(result, route)
    for worker, counted in other.workers.items():
        if worker in result.workers:
            result.workers[worker].add(counted)
        else:
            result.workers[worker] = counted.copy()
    for statement in other.statements.values():
        _add_statement(result, statement)
    for pool in other.pools.values():
        _add_pool(result, pool)
    for cache in other.caches.values():
        _add_cache(result, cache)


def _stretch(result: Tally, from_ns: int, to_ns: int) -> None:
    result.from_ns = min(result.from_ns, from_ns) if result.to_ns else from_ns
    result.to_ns = max(result.to_ns, to_ns)


def _add_route(result: Tally, route: RouteFrame) -> None:
    label = route.route
    have = result.routes.get(label)
    if have is None and len(result.routes) >= MAX_ROUTES:
        label = OTHER
        have = result.routes.get(label)
    if have is None:
        result.routes[label] = new_route(route, label)
    else:
        add_route(have, route)


def _add_worker(result: Tally, worker: WorkerId, one: WorkerTally) -> None:
    if worker in result.workers:
        result.workers[worker].add(one)
    else:
        result.workers[worker] = one


def _add_statement(result: Tally, statement: StatementFrame) -> None:
    have = result.statements.get(statement.fingerprint)
    if have is None:
        if len(result.statements) >= MAX_STATEMENTS:
            return
        have = result.statements[statement.fingerprint] = new_statement(statement)
    add_statement(have, statement)


def _add_pool(result: Tally, pool: PoolFrame) -> None:
    have = result.pools.get(pool.name)
    if have is None:
        if len(result.pools) >= MAX_POOLS_OR_CACHES:
            return
        have = result.pools[pool.name] = new_pool(pool)
    add_pool(have, pool)


def _add_cache(result: Tally, cache: CacheFrame) -> None:
    have = result.caches.get(cache.name)
    if have is None:
        if len(result.caches) >= MAX_POOLS_OR_CACHES:
            return
        have = result.caches[cache.name] = new_cache(cache)
    add_cache(have, cache)


def without_counts(frame: Frame) -> Frame:
    """Return what the frame says of its last moment: gauges, and who was in flight."""
    return msgspec.structs.replace(frame, routes=[], statements=[], slowest=[], incidents=[])


def _slowest(rows: list[SlowRow]) -> tuple[SlowRow, ...]:
    """Return the slowest requests, of no route more than its share."""
    rows.sort(key=lambda row: row.request.total_ns, reverse=True)
    of_route: dict[RouteLabel, int] = {}
    kept: list[SlowRow] = []
    for row in rows:
        have = of_route.get(row.request.route, 0)
        if have < MAX_SLOW_PER_ROUTE:
            of_route[row.request.route] = have + 1
            kept.append(row)
            if len(kept) == MAX_SLOW:
                break
    return tuple(kept)


def _latest(rows: list[IncidentRow]) -> tuple[IncidentRow, ...]:
    """Return the latest incidents, oldest first; one that went on over frames counts once."""
    by_incident: dict[tuple[WorkerId, str, int], IncidentRow] = {}
    for row in rows:
        key = (row.worker, row.incident.kind, row.incident.at)
        have = by_incident.get(key)
        if have is None or row.incident.ns >= have.incident.ns:
            by_incident[key] = row
    ordered = sorted(by_incident.values(), key=lambda row: row.incident.at)
    return tuple(ordered[-MAX_INCIDENTS:])


def pid_of(worker: WorkerId) -> int:
    """Return the pid in a worker's id; 0 if it isn't one that an agent makes."""
    parts = worker.rsplit("/", 2)
    return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else 0
