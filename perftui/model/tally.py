"""Everything that frames have counted over a stretch of time, summed over workers.

A tally is made from the frames of one second or from other tallies, and never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec

from perftui.model.background import OTHER_KEY as OTHER_BACKGROUND
from perftui.model.background import BackgroundPart, background_of, background_sum
from perftui.model.background import Key as BackgroundKey
from perftui.model.background import cost_of as cost_of_background
from perftui.model.channels import OTHER_KEY as OTHER_CHANNEL
from perftui.model.channels import ChannelPart, channel_of, channel_sum
from perftui.model.channels import Key as ChannelKey
from perftui.model.channels import cost_of as cost_of_channel
from perftui.model.happenings import IncidentRow, SlowRow
from perftui.model.packed import Packed, merged
from perftui.model.parts import (
    RoutePart,
    WorkerPart,
    pid_of,
    route_of,
    route_sum,
    worker_of,
    worker_sum,
)
from perftui.model.plans import latest_plans
from perftui.model.steps import EVERY, Steps
from perftui.model.upstreams import OTHER_KEY as OTHER_UPSTREAM
from perftui.model.upstreams import Key as UpstreamKey
from perftui.model.upstreams import UpstreamPart, key_of, upstream_of, upstream_sum
from perftui.model.upstreams import cost_of as cost_of_upstream
from perftui.model.usage import (
    CachePart,
    PoolPart,
    StatementPart,
    cache_of,
    cache_sum,
    pool_of,
    pool_sum,
    statement_of,
    statement_sum,
)
from perftui.record import Record
from perftui_agent.wire.explain import PlanNote
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import background_key, channel_key
from perftui_agent.wire.parts import RouteLabel, WorkerId

OTHER = "(other)"
"""The route, statement or pool of those for which there was no room, as agents call it too."""

OTHER_CACHE = (OTHER, "")

MAX_ROUTES = 2000
"""Routes told apart, the costliest; an agent bounds its own at 500, and all workers have the same."""

COST_OF_A_REQUEST_NS = 1_000_000

COST_OF_A_MISS = 10
"""In hits."""

MAX_STATEMENTS = 2000
MAX_POOLS_OR_CACHES = 1000
MAX_SLOW = 100
MAX_SLOW_PER_ROUTE = 5
MAX_INCIDENTS = 200

Second: TypeAlias = int
"""A wall-clock second since the epoch, as in `frame.ended_at // 1e9`."""

Key = TypeVar("Key", bound=Hashable)
From = TypeVar("From")
Part = TypeVar("Part")


class Tally(Record, frozen=True):
    """What all workers did over a stretch of time."""

    from_ns: int = 0
    """When the earliest frame's span began; 0 when there is none."""
    to_ns: int = 0
    """When the latest frame's span ended."""
    routes: Mapping[RouteLabel, RoutePart] = msgspec.field(default_factory=dict)
    workers: Mapping[WorkerId, WorkerPart] = msgspec.field(default_factory=dict)
    statements: Mapping[str, StatementPart] = msgspec.field(default_factory=dict)
    transactions: Mapping[str, StatementPart] = msgspec.field(default_factory=dict)
    pools: Mapping[str, PoolPart] = msgspec.field(default_factory=dict)
    caches: Mapping[tuple[str, str], CachePart] = msgspec.field(default_factory=dict)
    """By name and kind."""
    upstreams: Mapping[UpstreamKey, UpstreamPart] = msgspec.field(default_factory=dict)
    channels: Mapping[ChannelKey, ChannelPart] = msgspec.field(default_factory=dict)
    """What went over WebSockets and streams."""
    background: Mapping[BackgroundKey, BackgroundPart] = msgspec.field(default_factory=dict)
    """Work after the response."""
    plans: Mapping[str, PlanNote] = msgspec.field(default_factory=dict)
    """Of slow statements, by fingerprint."""
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
        return sum([worker.requests for worker in self.workers.values()])

    @property
    def errors(self) -> int:
        """Requests that ended in a 5xx."""
        return sum([worker.errors for worker in self.workers.values()])

    @property
    def latency(self) -> Packed:
        """The latencies of all routes together."""
        return merged([worker.latency for worker in self.workers.values()])

    @property
    def queue_known(self) -> int:
        """Requests whose time before the app is known."""
        return sum([worker.queue_known for worker in self.workers.values()])

    @property
    def queue(self) -> Packed:
        """How long those of them waited that did."""
        return merged([worker.queue for worker in self.workers.values()])


NO_TALLY = Tally()


class Counted(NamedTuple):
    """A frame, and what its worker did in it: counted as it comes, so that a second is added up sooner."""

    worker: WorkerId
    frame: Frame
    part: WorkerPart


def counted(worker: WorkerId, frame: Frame, second: Second) -> Counted:
    """Return a frame that belongs to a second, counted."""
    # What ends a moment after a second ends with it: or two workers of one second would cover two.
    # A thinned frame lies at the beginning of what it covers.
    covers_s = round(frame.span_ns / 1e9) if is_thinned(frame) else 1
    return Counted(worker, frame, worker_of(frame, (second + covers_s) * 1_000_000_000))


def tally_of(frames: Sequence[Counted]) -> Steps[Tally]:
    """Return the tally of the frames that belong to one second."""
    workers = yield from _added([{each.worker: each.part} for each in frames], worker_sum)
    all_frames = [each.frame for each in frames]
    return Tally(
        from_ns=min([each.from_ns for each in workers.values()], default=0),
        to_ns=max([each.to_ns for each in workers.values()], default=0),
        routes=(
            yield from _folded(
                ((route.route, route) for frame in all_frames for route in frame.routes),
                route_of,
                MAX_ROUTES,
                OTHER,
                _cost_of_route,
                route_sum,
            )
        ),
        workers=workers,
        statements=(
            yield from _folded(
                ((each.fingerprint, each) for frame in all_frames for each in frame.statements),
                statement_of,
                MAX_STATEMENTS,
                OTHER,
                _cost_of_statement,
                statement_sum,
            )
        ),
        transactions=(
            yield from _folded(
                ((each.fingerprint, each) for frame in all_frames for each in frame.transactions),
                statement_of,
                MAX_STATEMENTS,
                OTHER,
                _cost_of_statement,
                statement_sum,
            )
        ),
        pools=(
            yield from _folded(
                ((pool.name, pool) for frame in all_frames for pool in frame.pools),
                pool_of,
                MAX_POOLS_OR_CACHES,
                OTHER,
                _cost_of_pool,
                pool_sum,
            )
        ),
        caches=(
            yield from _folded(
                (((cache.name, cache.kind), cache) for frame in all_frames for cache in frame.caches),
                cache_of,
                MAX_POOLS_OR_CACHES,
                OTHER_CACHE,
                _cost_of_cache,
                cache_sum,
            )
        ),
        upstreams=(
            yield from _folded(
                ((key_of(row), row) for frame in all_frames for row in frame.upstreams),
                upstream_of,
                MAX_POOLS_OR_CACHES,
                OTHER_UPSTREAM,
                cost_of_upstream,
                upstream_sum,
            )
        ),
        channels=(
            yield from _folded(
                ((channel_key(row), row) for frame in all_frames for row in frame.channels),
                channel_of,
                MAX_POOLS_OR_CACHES,
                OTHER_CHANNEL,
                cost_of_channel,
                channel_sum,
            )
        ),
        background=(
            yield from _folded(
                ((background_key(row), row) for frame in all_frames for row in frame.background),
                background_of,
                MAX_POOLS_OR_CACHES,
                OTHER_BACKGROUND,
                cost_of_background,
                background_sum,
            )
        ),
        plans=latest_plans(plan for frame in all_frames for plan in frame.plans),
        slowest=_slowest(
            [SlowRow(worker, pid_of(worker), each) for worker, frame, _ in frames for each in frame.slowest]
        ),
        incidents=_latest(
            [
                IncidentRow(worker, pid_of(worker), each)
                for worker, frame, _ in frames
                for each in frame.incidents
            ]
        ),
        in_flight=sum([each.last.in_flight for each in workers.values()]),
    )


def total(tallies: Sequence[Tally], *, same_time: bool = False) -> Steps[Tally]:
    """Return all `tallies` added up; of the `same_time`, requests in flight add up as well."""
    some = [tally for tally in tallies if tally.to_ns]
    if len(some) < 2:
        return some[0] if some else NO_TALLY
    workers = yield from _added([tally.workers for tally in some], worker_sum)
    if same_time:
        in_flight = sum([each.last.in_flight for each in workers.values()])
    else:
        in_flight = max([tally.in_flight for tally in some])
    return Tally(
        from_ns=min([tally.from_ns for tally in some]),
        to_ns=max([tally.to_ns for tally in some]),
        routes=(
            yield from _added([tally.routes for tally in some], route_sum, MAX_ROUTES, OTHER, _cost_of_route)
        ),
        workers=workers,
        statements=(
            yield from _added(
                [tally.statements for tally in some], statement_sum, MAX_STATEMENTS, OTHER, _cost_of_statement
            )
        ),
        transactions=(
            yield from _added(
                [tally.transactions for tally in some],
                statement_sum,
                MAX_STATEMENTS,
                OTHER,
                _cost_of_statement,
            )
        ),
        pools=(
            yield from _added(
                [tally.pools for tally in some], pool_sum, MAX_POOLS_OR_CACHES, OTHER, _cost_of_pool
            )
        ),
        caches=(
            yield from _added(
                [tally.caches for tally in some], cache_sum, MAX_POOLS_OR_CACHES, OTHER_CACHE, _cost_of_cache
            )
        ),
        upstreams=(
            yield from _added(
                [tally.upstreams for tally in some],
                upstream_sum,
                MAX_POOLS_OR_CACHES,
                OTHER_UPSTREAM,
                cost_of_upstream,
            )
        ),
        channels=(
            yield from _added(
                [tally.channels for tally in some],
                channel_sum,
                MAX_POOLS_OR_CACHES,
                OTHER_CHANNEL,
                cost_of_channel,
            )
        ),
        background=(
            yield from _added(
                [tally.background for tally in some],
                background_sum,
                MAX_POOLS_OR_CACHES,
                OTHER_BACKGROUND,
                cost_of_background,
            )
        ),
        plans=latest_plans(plan for tally in some for plan in tally.plans.values()),
        slowest=_slowest([row for tally in some for row in tally.slowest]),
        incidents=_latest([row for tally in some for row in tally.incidents]),
        in_flight=in_flight,
    )


def is_thinned(frame: Frame) -> bool:
    """Tell whether it stands for ten seconds: that of a worker that was held may be as long, and is one."""
    return frame.thinned


def _folded(
    pairs: Iterable[tuple[Key, From]],
    fold: Callable[[Sequence[From]], Part],
    bound: int,
    other: Key,
    cost: Callable[[Part], int],
    add: Callable[[Sequence[Part]], Part],
) -> Steps[Mapping[Key, Part]]:
    """Return what `fold` makes of those with the same key; the cheapest past the bound are `other`."""
    grouped: dict[Key, list[From]] = {}
    for key, each in pairs:
        have = grouped.get(key)
        if have is not None:
            have.append(each)
        else:
            grouped[key] = [each]
    folded = {}
    for place, (key, parts) in enumerate(grouped.items()):
        folded[key] = fold(parts)
        if not place % EVERY:
            yield
    return _bounded(folded, bound, other, cost, add) if len(folded) > bound + 1 else folded


def _bounded(
    parts: dict[Key, Part],
    bound: int,
    other: Key,
    cost: Callable[[Part], int],
    add: Callable[[Sequence[Part]], Part],
) -> dict[Key, Part]:
    """Return the costliest, and all the others added up: forgotten is what matters least, not what is new."""
    ordered = sorted(parts, key=lambda key: (key != other, cost(parts[key])), reverse=True)
    kept = {key: parts[key] for key in ordered[:bound]}
    kept[other] = add([parts[key] for key in ordered[bound:]])
    return kept


def _added(
    several: Sequence[Mapping[Key, Part]],
    add: Callable[[Sequence[Part]], Part],
    bound: int = 1 << 30,
    other: Key | None = None,
    cost: Callable[[Part], int] = lambda _: 0,
) -> Steps[Mapping[Key, Part]]:
    """Return the parts of the same key added up; what is there once stays as it is."""
    some = [parts for parts in several if parts]
    if len(some) < 2:
        return some[0] if some else {}
    grouped: dict[Key, list[Part]] = {}
    for parts in some:
        for key, part in parts.items():
            have = grouped.get(key)
            if have is not None:
                have.append(part)
            else:
                grouped[key] = [part]
    added = {}
    for place, (key, of_key) in enumerate(grouped.items()):
        added[key] = of_key[0] if len(of_key) == 1 else add(of_key)
        if not place % EVERY:
            yield
    return added if other is None or len(added) <= bound + 1 else _bounded(added, bound, other, cost, add)


def _cost_of_route(part: RoutePart) -> int:
    return part.latency.total + part.latency.count * COST_OF_A_REQUEST_NS


def _cost_of_statement(part: StatementPart) -> int:
    return part.latency.total


def _cost_of_pool(part: PoolPart) -> int:
    return part.wait.total + part.checkouts


def _cost_of_cache(part: CachePart) -> int:
    return part.hits + COST_OF_A_MISS * part.misses


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
