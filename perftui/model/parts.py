"""What routes and workers add up to.

A part is made from the frames of one second (`…_of`) or from other parts (`…_sum`) and never changes,
so sums share the parts that have nothing to be added to. Counts are summed and sketches merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import attrgetter

import msgspec

from perftui.model.ledger import OTHER, Ledger
from perftui.model.packed import NOTHING, Counters, Packed, merged, packed
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.gil import GilStats, merged_gil
from perftui_agent.wire.machine import Machine, merged_machine
from perftui_agent.wire.parts import CodePlace, RouteLabel, WorkerId
from perftui_agent.wire.process import Listener
from perftui_agent.wire.requests import ExceptionCount, RepeatedShape, RouteFrame

MAX_EXCEPTIONS = 50
MAX_REPEATS = 50
MAX_PATHS = 50
OTHER_PATHS = "(other)"
MAX_BOUNDS = 20

MAX_ROUTES = 2000
"""Routes told apart, the costliest; an agent bounds its own at 500, and all workers have the same."""

COST_OF_A_REQUEST_NS = 1_000_000


class RouteCounts(msgspec.Struct, frozen=True, gc=False):
    """The counters of a route by name."""

    informational: int
    success: int
    redirect: int
    client_error: int
    server_error: int
    disconnected: int
    streaming: int
    serialized: int
    serialize_ns: int
    compressed: int
    files: int
    sql_count: int
    sql_ns: int
    transaction_ns: int
    lock_ns: int
    transaction_lock_ns: int
    cache_count: int
    cache_ns: int
    pool_wait_ns: int
    threadpool_wait_ns: int
    loop_wait_ns: int
    background_ns: int
    http_count: int
    http_ns: int
    http_held_ns: int
    unfollowed: int
    queue_known: int

    @property
    def requests(self) -> int:
        """Requests that ended, however."""
        return (
            self.informational
            + self.success
            + self.redirect
            + self.client_error
            + self.server_error
            + self.disconnected
        )


_route_layout = Counters(len(RouteCounts.__struct_fields__))


class PathPart(msgspec.Struct, frozen=True, gc=False):
    """Requests for paths of one shape."""

    path: str
    requests: int
    errors: int
    latency: Packed


class RoutePart(msgspec.Struct, frozen=True, gc=False):
    """What one route did."""

    counters: int
    """Those of `RouteCounts`, packed."""
    latency: Packed
    queue: Packed
    ttfb: Packed
    body_bytes: Packed
    background: Packed
    exceptions: tuple[ExceptionCount, ...]
    repeats: tuple[RepeatedShape, ...]
    paths: tuple[PathPart, ...] = ()
    """Of a route that takes any path: what was asked for below it, what cost most first."""
    long_poll: str = ""

    def counts(self) -> RouteCounts:
        """Return its counters."""
        return RouteCounts(*_route_layout.unpack(self.counters))


def route_of(frames: Sequence[RouteFrame]) -> RoutePart:
    """Return what one route did on several workers."""
    return RoutePart(
        counters=_route_counters(frames),
        latency=packed([frame.latency for frame in frames]),
        queue=packed([frame.queue for frame in frames]),
        ttfb=packed([frame.ttfb for frame in frames]),
        body_bytes=packed([frame.body_bytes for frame in frames]),
        background=packed([frame.background for frame in frames if frame.background is not None]),
        exceptions=_exceptions(frame.exceptions for frame in frames if frame.exceptions),
        repeats=_repeats(frame.repeats for frame in frames if frame.repeats),
        paths=_paths(
            [
                PathPart(row.path, row.requests, row.errors, packed([row.latency]))
                for frame in frames
                for row in frame.paths
            ]
        ),
        long_poll=next((frame.long_poll for frame in frames if frame.long_poll), ""),
    )


def _route_counters(frames: Sequence[RouteFrame]) -> int:
    statuses = [frame.status for frame in frames]
    return _route_layout.pack(
        (
            sum([status.informational for status in statuses]),
            sum([status.success for status in statuses]),
            sum([status.redirect for status in statuses]),
            sum([status.client_error for status in statuses]),
            sum([status.server_error for status in statuses]),
            sum([status.disconnected for status in statuses]),
            sum([frame.streaming for frame in frames]),
            sum([frame.serialized for frame in frames]),
            sum([frame.serialize_ns for frame in frames]),
            sum([frame.compressed for frame in frames]),
            sum([frame.files for frame in frames]),
            sum([frame.sql_count for frame in frames]),
            sum([frame.sql_ns for frame in frames]),
            sum([frame.transaction_ns for frame in frames]),
            sum([frame.lock_ns for frame in frames]),
            sum([frame.transaction_lock_ns for frame in frames]),
            sum([frame.cache_count for frame in frames]),
            sum([frame.cache_ns for frame in frames]),
            sum([frame.pool_wait_ns for frame in frames]),
            sum([frame.threadpool_wait_ns for frame in frames]),
            sum([frame.loop_wait_ns for frame in frames]),
            sum([frame.background_ns for frame in frames]),
            sum([frame.http_count for frame in frames]),
            sum([frame.http_ns for frame in frames]),
            sum([frame.http_held_ns for frame in frames]),
            sum([frame.unfollowed for frame in frames]),
            sum([frame.queue_known for frame in frames]),
        )
    )


def route_sum(parts: Sequence[RoutePart]) -> RoutePart:
    """Return all `parts` added up."""
    return RoutePart(
        counters=sum([part.counters for part in parts]),
        latency=merged([part.latency for part in parts]),
        queue=merged([part.queue for part in parts]),
        ttfb=merged([part.ttfb for part in parts]),
        body_bytes=merged([part.body_bytes for part in parts]),
        background=merged([part.background for part in parts]),
        exceptions=_exceptions([part.exceptions for part in parts if part.exceptions]),
        repeats=_repeats([part.repeats for part in parts if part.repeats]),
        paths=_paths([path for part in parts for path in part.paths]),
        long_poll=next((part.long_poll for part in parts if part.long_poll), ""),
    )


def _cost_of_route(part: RoutePart) -> int:
    return part.latency.total + part.latency.count * COST_OF_A_REQUEST_NS


ROUTES: Ledger[RouteLabel, RouteFrame, RoutePart] = Ledger(
    key=attrgetter("route"),
    fold=route_of,
    add=route_sum,
    cost=_cost_of_route,
    bound=MAX_ROUTES,
    other=OTHER,
)


class WorkerPart(msgspec.Struct, frozen=True, gc=False):
    """What one worker did, and its last frame without what is counted elsewhere."""

    last: Frame
    from_ns: int
    to_ns: int
    requests: int = 0
    errors: int = 0
    records_dropped: int = 0
    bounded: Mapping[str, int] = {}
    """What each of its agent's bounds folded away."""
    cpu_s: float = 0.0
    cpu_over_s: float = 0.0
    """For how long `cpu_s` was measured."""
    latency: Packed = NOTHING
    queue_known: int = 0
    queue: Packed = NOTHING
    lag: Packed = NOTHING
    gc_pauses: Packed = NOTHING
    threadpool_wait: Packed = NOTHING
    listen_overflows: int | None = None
    """Of its host, as far as it tells: its siblings tell of the same ones."""
    backlogs: tuple[Listener, ...] = ()
    """Its listening sockets, each with the most connections that were seen to wait."""
    gil: GilStats | None = None
    machine: Machine | None = None

    @property
    def covered_s(self) -> float:
        """From the beginning of its first frame's span to the end of its last one's."""
        return (self.to_ns - self.from_ns) / 1e9


def worker_of(frame: Frame, to_ns: int) -> WorkerPart:
    """Return what a worker did in one frame's span, which ends at `to_ns` as far as bins go."""
    percent = frame.process.cpu_percent
    # Who waits on purpose says nothing of how fast the worker is.
    timed = [route for route in frame.routes if not route.long_poll]
    span_s = frame.span_ns / 1e9
    return WorkerPart(
        last=without_counts(frame),
        from_ns=to_ns - frame.span_ns,
        to_ns=to_ns,
        requests=sum([route.status.total() for route in frame.routes]),
        errors=sum([route.status.server_error for route in frame.routes]),
        records_dropped=frame.agent.records_dropped,
        bounded=frame.agent.bounded,
        cpu_s=0.0 if percent is None else percent / 100.0 * span_s,
        cpu_over_s=0.0 if percent is None else span_s,
        latency=packed([route.latency for route in timed]),
        queue_known=sum([route.queue_known for route in timed]),
        queue=packed([route.queue for route in timed]),
        lag=packed([frame.loop.lag]) if frame.loop else NOTHING,
        gc_pauses=packed([frame.gc.pauses]) if frame.gc else NOTHING,
        threadpool_wait=packed([frame.threadpool.wait]) if frame.threadpool else NOTHING,
        listen_overflows=frame.listen_overflows,
        backlogs=tuple(frame.listeners),
        gil=frame.gil,
        machine=frame.machine,
    )


def worker_sum(parts: Sequence[WorkerPart]) -> WorkerPart:
    """Return all `parts` added up, in whatever order they are."""
    return WorkerPart(
        last=max(parts, key=lambda part: part.last.ended_at).last,
        from_ns=min([part.from_ns for part in parts]),
        to_ns=max([part.to_ns for part in parts]),
        requests=sum([part.requests for part in parts]),
        errors=sum([part.errors for part in parts]),
        records_dropped=sum([part.records_dropped for part in parts]),
        bounded=_bounded([part.bounded for part in parts if part.bounded]),
        cpu_s=sum([part.cpu_s for part in parts]),
        cpu_over_s=sum([part.cpu_over_s for part in parts]),
        latency=merged([part.latency for part in parts]),
        queue_known=sum([part.queue_known for part in parts]),
        queue=merged([part.queue for part in parts]),
        lag=merged([part.lag for part in parts]),
        gc_pauses=merged([part.gc_pauses for part in parts]),
        threadpool_wait=merged([part.threadpool_wait for part in parts]),
        listen_overflows=sum(told)
        if (told := [each for part in parts if (each := part.listen_overflows) is not None])
        else None,
        backlogs=_fullest([part.backlogs for part in parts]),
        gil=reduce(merged_gil, [part.gil for part in parts]),
        machine=reduce(merged_machine, [part.machine for part in parts]),
    )


def without_counts(frame: Frame) -> Frame:
    """Return what the frame says of its last moment: gauges, and who was in flight."""
    return msgspec.structs.replace(
        frame, routes=[], statements=[], slowest=[], incidents=[], evidence=[], plans=[], gil=None
    )


def _bounded(several: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    counts: Counter[str] = Counter()
    for bounded in several:
        counts.update(bounded)
    return dict(counts.most_common(MAX_BOUNDS))


def _fullest(several: Sequence[tuple[Listener, ...]]) -> tuple[Listener, ...]:
    first = several[0]
    if all(backlogs == first for backlogs in several):
        return first
    by_address: dict[str, Listener] = {}
    for backlogs in several:
        for each in backlogs:
            have = by_address.get(each.address)
            if have is None or _most(each) > _most(have):
                by_address[each.address] = each
    return tuple(by_address.values())


def _most(listener: Listener) -> int:
    return max(listener.most or 0, listener.waiting or 0)


def _exceptions(several: Iterable[Iterable[ExceptionCount]]) -> tuple[ExceptionCount, ...]:
    counts: dict[tuple[str, CodePlace, bool], int] = {}
    for exceptions in several:
        for each in exceptions:
            key = (each.type, each.place, each.answered)
            counts[key] = counts.get(key, 0) + each.count
    most = sorted(counts.items(), key=lambda item: -item[1])[:MAX_EXCEPTIONS]
    return tuple(
        [
            ExceptionCount(type=kind, place=place, count=count, answered=answered)
            for (kind, place, answered), count in most
        ]
    )


def _paths(rows: Sequence[PathPart]) -> tuple[PathPart, ...]:
    """Return the costliest paths, and all the others as one."""
    if len(rows) < 2:
        return tuple(rows)
    by_path: dict[str, list[PathPart]] = {}
    for row in rows:
        by_path.setdefault(row.path, []).append(row)
    added = [parts[0] if len(parts) == 1 else _path(path, parts) for path, parts in by_path.items()]
    added.sort(key=lambda row: (row.path != OTHER_PATHS, row.latency.total, row.requests), reverse=True)
    if len(added) > MAX_PATHS + 1:
        added[MAX_PATHS:] = [_path(OTHER_PATHS, added[MAX_PATHS:])]
    return tuple(added)


def _path(path: str, parts: Sequence[PathPart]) -> PathPart:
    return PathPart(
        path,
        sum([part.requests for part in parts]),
        sum([part.errors for part in parts]),
        merged([part.latency for part in parts]),
    )


def _repeats(several: Iterable[Iterable[RepeatedShape]]) -> tuple[RepeatedShape, ...]:
    shapes: dict[tuple[str, CodePlace], RepeatedShape] = {}
    for repeats in several:
        for each in repeats:
            key = (each.fingerprint, each.call_site)
            have = shapes.get(key)
            if have is None:
                have = shapes[key] = RepeatedShape(fingerprint=each.fingerprint, call_site=each.call_site)
            have.requests += each.requests
            have.executions += each.executions
            have.distinct_binds += each.distinct_binds
            have.total_ns += each.total_ns
            have.most = max(have.most, each.most)
    return tuple(sorted(shapes.values(), key=lambda shape: -shape.executions)[:MAX_REPEATS])


def pid_of(worker: WorkerId) -> int:
    """Return the pid in a worker's id; 0 if it isn't one that an agent makes."""
    parts = worker.rsplit("/", 2)
    return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else 0
