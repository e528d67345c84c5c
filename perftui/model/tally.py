"""Everything that frames have counted over a stretch of time, summed over workers.

A tally is made from the frames of one second or from other tallies, and never changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from perftui.model.background import LEDGER as BACKGROUND
from perftui.model.background import BackgroundPart
from perftui.model.background import Key as BackgroundKey
from perftui.model.channels import LEDGER as CHANNELS
from perftui.model.channels import ChannelPart
from perftui.model.channels import Key as ChannelKey
from perftui.model.happenings import IncidentRow, SlowRow
from perftui.model.ledger import added
from perftui.model.packed import Packed, merged
from perftui.model.parts import ROUTES, RoutePart, WorkerPart, pid_of, worker_of, worker_sum
from perftui.model.plans import latest_plans
from perftui.model.steps import Steps
from perftui.model.upstreams import LEDGER as UPSTREAMS
from perftui.model.upstreams import Key as UpstreamKey
from perftui.model.upstreams import UpstreamPart
from perftui.model.usage import CACHES, POOLS, STATEMENTS, CachePart, PoolPart, StatementPart
from perftui.record import Record
from perftui_agent.wire.explain import PlanNote
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.parts import RouteLabel, WorkerId

MAX_SLOW = 100
MAX_SLOW_PER_ROUTE = 5
MAX_INCIDENTS = 200

Second: TypeAlias = int
"""A wall-clock second since the epoch, as in `frame.ended_at // 1e9`."""


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
    workers = yield from added([{each.worker: each.part} for each in frames], worker_sum)
    all_frames = [each.frame for each in frames]
    return Tally(
        from_ns=min([each.from_ns for each in workers.values()], default=0),
        to_ns=max([each.to_ns for each in workers.values()], default=0),
        routes=(yield from ROUTES.folded(row for frame in all_frames for row in frame.routes)),
        workers=workers,
        statements=(yield from STATEMENTS.folded(row for frame in all_frames for row in frame.statements)),
        transactions=(
            yield from STATEMENTS.folded(row for frame in all_frames for row in frame.transactions)
        ),
        pools=(yield from POOLS.folded(row for frame in all_frames for row in frame.pools)),
        caches=(yield from CACHES.folded(row for frame in all_frames for row in frame.caches)),
        upstreams=(yield from UPSTREAMS.folded(row for frame in all_frames for row in frame.upstreams)),
        channels=(yield from CHANNELS.folded(row for frame in all_frames for row in frame.channels)),
        background=(yield from BACKGROUND.folded(row for frame in all_frames for row in frame.background)),
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
    workers = yield from added([tally.workers for tally in some], worker_sum)
    if same_time:
        in_flight = sum([each.last.in_flight for each in workers.values()])
    else:
        in_flight = max([tally.in_flight for tally in some])
    return Tally(
        from_ns=min([tally.from_ns for tally in some]),
        to_ns=max([tally.to_ns for tally in some]),
        routes=(yield from ROUTES.added([tally.routes for tally in some])),
        workers=workers,
        statements=(yield from STATEMENTS.added([tally.statements for tally in some])),
        transactions=(yield from STATEMENTS.added([tally.transactions for tally in some])),
        pools=(yield from POOLS.added([tally.pools for tally in some])),
        caches=(yield from CACHES.added([tally.caches for tally in some])),
        upstreams=(yield from UPSTREAMS.added([tally.upstreams for tally in some])),
        channels=(yield from CHANNELS.added([tally.channels for tally in some])),
        background=(yield from BACKGROUND.added([tally.background for tally in some])),
        plans=latest_plans(plan for tally in some for plan in tally.plans.values()),
        slowest=_slowest([row for tally in some for row in tally.slowest]),
        incidents=_latest([row for tally in some for row in tally.incidents]),
        in_flight=in_flight,
    )


def is_thinned(frame: Frame) -> bool:
    """Tell whether it stands for ten seconds: that of a worker that was held may be as long, and is one."""
    return frame.thinned


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
