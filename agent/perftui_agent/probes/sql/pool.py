"""Measures how long requests wait for a connection of SQLAlchemy's pools, and how full those are.

A pool that runs dry raises and emits no event, so the checkout itself is wrapped, for every pool class
at once: `_ConnectionRecord.checkout`, the one place that all pools go through. Opening a connection is a
span of its own, put where it happens, and no part of the wait: mostly within the checkout, but after it
when a ping has found the connection dead. Pools are known weakly, and by names without credentials.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter_ns
from typing import Any, Protocol

from perftui_agent.engines import Engines
from perftui_agent.guard import Guard
from perftui_agent.probes.patches import Patches, takes
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.probes.sql.holders import Holders, Holding
from perftui_agent.probes.sql.pool_places import OTHER_POOLS, KnownPool, PoolPlaces
from perftui_agent.probes.sql.sqlalchemy import imported_sqlalchemy
from perftui_agent.probes.sql.steps import Step, leave_out, open_steps
from perftui_agent.records import MAX_PENDING, WAIT_SPAN_FROM_NS, CheckoutRecord, RequestRecord, SpanRecord
from perftui_agent.whose import request_at
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import PoolFrame

CONNECT_SPAN_FROM_NS = 50_000

LONG_WAIT_NS = 10_000_000
"""Who waits for a connection for less is being given one."""

_opening: ContextVar[tuple[int, int] | None] = ContextVar("perftui_opening", default=None)
"""When a connection was last opened here, and how long that took."""


class PoolSink(Protocol):
    """Where records go."""

    open: bool

    def put(self, record: CheckoutRecord | SpanRecord) -> None:
        """Take a record that will not be written to any more."""


class PoolProbe:
    """Puts a record for each checkout; reads the pools' sizes as a frame closes."""

    name = "pools"

    def __init__(
        self,
        sink: PoolSink,
        guard: Guard,
        engines: Engines | None = None,
        holders: Holders | None = None,
    ) -> None:
        self._sink = sink
        self._guard = guard
        self._engines = engines if engines is not None else Engines()
        self.holders = holders if holders is not None else Holders()
        self.refused: dict[str, int] = {}
        """How many connections could not be opened, by the name of the pool."""
        self._places = PoolPlaces(self._engines)
        self._patches = Patches()
        self._queue_pool: type | None = None
        self._timeout: type[BaseException] = TimeoutError

    def attach(self) -> ProbeStatus:
        """Wrap the checkout, unless it is."""
        if self._patches:
            return ON
        sqlalchemy = imported_sqlalchemy()
        if sqlalchemy is None:
            return NOT_IMPORTED
        try:
            record = sqlalchemy.pool.base._ConnectionRecord
            checkout = vars(record)["checkout"].__func__
            connect = vars(record)["_ConnectionRecord__connect"]
            self._queue_pool = sqlalchemy.pool.QueuePool
            self._timeout = sqlalchemy.exc.TimeoutError
        except (AttributeError, KeyError) as error:
            return f"off: SQLAlchemy {sqlalchemy.__version__} has no {error}"
        if not (takes(checkout, 2) and takes(connect, 1)):
            return f"off: SQLAlchemy {sqlalchemy.__version__} checks connections out in another way"
        self._patches.replace(record, "checkout", classmethod(self._timed_checkout(checkout)))
        self._patches.replace(record, "_ConnectionRecord__connect", self._timed_connect(connect))
        return ON

    def detach(self) -> None:
        """Put the originals back."""
        self._patches.take_back()

    def fill(self, frame: Frame) -> None:
        """Add how full each pool is now."""
        places = self._places
        places.may_have_room = True
        frames = {pool.name: pool for pool in frame.pools}
        for name, (kind, quick_ns) in list(places.quick.items()):
            took_ns = quick_ns[:]
            del quick_ns[: len(took_ns)]
            if took_ns:
                if name not in frames:
                    frames[name] = PoolFrame(name=name, kind=kind)
                    frame.pools.append(frames[name])
                frames[name].checkouts += len(took_ns)
                frames[name].wait.add_all(took_ns)
            elif name not in places.pools:
                del places.quick[name]
        for name, place in list(places.pools.items()):
            pool = place.pool()
            if pool is None:
                places.forget(name)
                continue
            known: KnownPool = pool._perftui_known
            was_used = name in frames
            if not was_used:
                frames[name] = PoolFrame(name=name, kind=known.kind)
                frame.pools.append(frames[name])
            if known.waits:
                _read(pool, known, frames[name])
            places.used(name, was_used or bool(frames[name].checked_out))

    def who_holds(self) -> dict[RequestRecord, str]:
        """Return the requests that have a connection of a pool that others wait for, with its name."""
        now_ns = perf_counter_ns()
        waited_for = {
            name
            for name, place in list(self._places.pools.items())
            if (pool := place.pool()) is not None
            and (waiting := list(pool._perftui_known.waiting))
            and now_ns - min(waiting) >= LONG_WAIT_NS
        }
        if not waited_for:
            return {}
        out = self.holders.out_since(now_ns)
        return {request: holding.pool for _, holding, request in out if holding.pool in waited_for}

    def _timed_checkout(self, checkout: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def timed_checkout(cls: Any, pool: Any) -> Any:
            if not (self._sink.open and self._patches):
                return checkout(cls, pool)
            known: KnownPool = getattr(pool, "_perftui_known", None) or self._meet(pool)
            if known.name is OTHER_POOLS and self._places.may_have_room:
                self._place(pool, known)
            started_ns = perf_counter_ns()
            known.waiting.add(started_ns)
            try:
                fairy = checkout(cls, pool)
            except BaseException as error:
                self._put(known, started_ns, error)
                raise
            self._put(known, started_ns, None, fairy)
            return fairy

        return timed_checkout

    def _put(self, known: KnownPool, started_ns: int, error: BaseException | None, fairy: Any = None) -> None:
        try:
            got_ns = perf_counter_ns()
            known.waiting.discard(started_ns)
            request = request_at(started_ns)
            if fairy is not None:
                record = fairy._connection_record
                try:
                    holding: Holding = record._perftui_holding
                except AttributeError:
                    holding = self.holders.know(record, known.name, known.database)
                holding.request = request
                holding.at_ns = got_ns
            opening = _opening.get()
            if opening is not None and opening[0] >= started_ns:
                got_ns = max(started_ns, got_ns - opening[1])
            if open_steps:
                leave_out(got_ns - started_ns)
            quick_ns = known.quick_ns
            if (
                error is None
                and quick_ns is not None
                and got_ns - started_ns < WAIT_SPAN_FROM_NS
                and len(quick_ns) < MAX_PENDING
            ):
                quick_ns.append(got_ns - started_ns)
                return
            checkout = CheckoutRecord(request, "pool", known.name, started_ns, got_ns, error is not None)
            checkout.pool_kind = known.kind
            checkout.timed_out = isinstance(error, self._timeout)
            checkout.waits = known.waits
            self._sink.put(checkout)
        except Exception as fault:  # noqa: BLE001 - a fault of ours costs a count, never a connection
            self._guard.fault("probes.pools", fault)

    def _timed_connect(self, connect: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return what opens a connection: within a checkout, or after it when a ping has failed."""

        def timed_connect(record: Any) -> None:
            if not (self._sink.open and self._patches):
                connect(record)
                return
            step = Step()
            failed = True
            try:
                connect(record)
                failed = False
            finally:
                ns = step.end()
                _opening.set((step.started_ns, perf_counter_ns() - step.started_ns))
                self._connected(record, step.started_ns, ns, failed)

        return timed_connect

    def _connected(self, record: Any, started_ns: int, ns: int, failed: bool) -> None:
        try:
            pool = record._ConnectionRecord__pool
            known: KnownPool = getattr(pool, "_perftui_known", None) or self._meet(pool)
            if failed:
                self.refused[known.name] = self.refused.get(known.name, 0) + 1
            else:
                self.holders.know(record, known.name, known.database)
            if ns < CONNECT_SPAN_FROM_NS:
                return
            request = request_at(started_ns)
            self._sink.put(SpanRecord(request, "connect", known.name, started_ns, started_ns + ns, failed))
        except Exception as fault:  # noqa: BLE001 - as above
            self._guard.fault("probes.pools", fault)

    def _meet(self, pool: Any) -> KnownPool:
        """Name a pool that is met for the first time."""
        known = KnownPool(OTHER_POOLS, type(pool).__name__, isinstance(pool, self._queue_pool or ()))
        if self._place(pool, known):
            pool._perftui_known = known
        return known

    def _place(self, pool: Any, known: KnownPool) -> bool:
        try:
            self._places.place(pool, known)
        except Exception as fault:  # noqa: BLE001 - as above
            self._guard.fault("probes.pools", fault)
            return False
        return True


def _read(pool: Any, known: KnownPool, frame: PoolFrame) -> None:
    """Read a QueuePool's gauges. A size of 0 means any number of connections: then there is no size."""
    size = pool.size() or None
    frame.checked_out = max(0, pool.checkedout())
    frame.size = size
    # Idle, `overflow()` is negative: it counts up from minus the size.
    frame.overflow = max(0, pool.overflow()) if size is not None else None
    most = pool._max_overflow
    frame.max = size + most if size is not None and most >= 0 else None
    waiting = list(known.waiting)
    frame.waiting = len(waiting)
    frame.longest_wait_ns = max(0, perf_counter_ns() - min(waiting)) if waiting else 0
