"""One immutable picture of a service over a window of time: all that screens and commands see.

`model.summarize` makes it from a `Dashboard`; `present` turns it into text and the snapshot
document into JSON. Durations are milliseconds as float, sizes bytes as int, ratios 0…1, moments
seconds since the epoch. None means "no data", never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from perftui.model.after import BackgroundSummary, ChannelSummary
from perftui.model.database import DatabaseView
from perftui.model.happenings import Event, EvidenceRow, FlightRow, IncidentRow, SloVerdict, SlowRow
from perftui.model.machine import MachineSummary
from perftui.model.measures import Coverage, Point, Totals
from perftui.model.outside_summary import PoolSummary, QuerySummary, UpstreamSummary
from perftui.model.route_summary import RouteSummary
from perftui.model.worker_summary import WorkerSummary
from perftui.record import Record
from perftui_agent.wire.explain import PlanNote
from perftui_agent.wire.outside import CacheFrame
from perftui_agent.wire.parts import RouteLabel, WorkerId

LinkState: TypeAlias = Literal["connecting", "live", "stale", "lost"]
"""How the whole target stands: `stale` when nothing has arrived from anyone for a while."""

TABLES = (
    "statements",
    "texts",
    "routes",
    "paths",
    "caches",
    "commands",
    "upstreams",
    "background",
    "channels",
)
"""What an agent keeps a bounded number of, by name; of `texts`, executions that nobody had time to read."""


class Summary(Record, frozen=True):
    """Everything there is to show of one window that ends at `at`."""

    target: str
    service: str | None
    at: float
    window_s: float
    link: LinkState = "connecting"
    stale_s: float | None = None
    coverage: Coverage = Coverage()
    totals: Totals = Totals()
    points: tuple[Point, ...] = ()
    routes: tuple[RouteSummary, ...] = ()
    """Those with the highest total cost first."""
    workers: tuple[WorkerSummary, ...] = ()
    """By pid; those that are gone last."""
    queries: tuple[QuerySummary, ...] = ()
    transactions: tuple[QuerySummary, ...] = ()
    """Steps of transactions and connections: `COMMIT`, `ROLLBACK`, `PING` …; the costliest first."""
    pools: tuple[PoolSummary, ...] = ()
    caches: tuple[CacheFrame, ...] = ()
    upstreams: tuple[UpstreamSummary, ...] = ()
    """What other services were asked over HTTP; the costliest first."""
    channels: tuple[ChannelSummary, ...] = ()
    """What went over WebSockets and streams; those whose messages take most first."""
    background: tuple[BackgroundSummary, ...] = ()
    """What functions did after the response; the costliest first."""
    databases: tuple[DatabaseView, ...] = ()
    """What agents have just seen at a database of their own accord, since they had a reason."""
    machines: tuple[MachineSummary, ...] = ()
    """Those that the workers run on, by name."""
    in_flight: tuple[FlightRow, ...] = ()
    slowest: tuple[SlowRow, ...] = ()
    incidents: tuple[IncidentRow, ...] = ()
    evidence: tuple[EvidenceRow, ...] = ()
    """What agents have seen of their own accord, oldest first: all that is kept, within the window or not."""
    plans: Mapping[str, PlanNote] = msgspec.field(default_factory=dict)
    """What is known of the plans of slow statements, by fingerprint."""
    slo: tuple[SloVerdict, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def forgotten(self) -> Mapping[str, int]:
        """How many names the tables of all workers have forgotten so far, to make room for others."""
        added = dict.fromkeys(TABLES, 0)
        for worker in self.workers:
            for table, number in worker.agent_forgotten.items():
                added[table] = added.get(table, 0) + number
        return added

    @property
    def has_numbers(self) -> bool:
        """Whether any worker has told anything yet."""
        return any(worker.last_seen is not None for worker in self.workers)

    @property
    def asked(self) -> tuple[QuerySummary, ...]:
        """All that databases were asked: statements and steps of transactions, the costliest first."""
        if not self.transactions:
            return self.queries
        return tuple(sorted((*self.queries, *self.transactions), key=lambda row: -row.total_ms))

    def route(self, label: RouteLabel) -> RouteSummary | None:
        """Return the route with this label, None if it had no request in the window."""
        return next((route for route in self.routes if route.route == label), None)

    def worker(self, worker: WorkerId) -> WorkerSummary | None:
        """Return the worker with this id, None if it isn't known (any more)."""
        return next((row for row in self.workers if row.identity.id == worker), None)
