"""The pools' section of a frame: checkouts that waited or failed. Quick ones and gauges the probe adds."""

from __future__ import annotations

from perftui_agent.records import WAIT_SPAN_FROM_NS, CheckoutRecord
from perftui_agent.window.gathered import GatheredSketch
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import PoolFrame


class PoolLedger:
    """What happened at each pool in the span that is being filled."""

    def __init__(self) -> None:
        self._pools: dict[str, tuple[PoolFrame, GatheredSketch]] = {}

    def fold(self, record: CheckoutRecord) -> bool:
        """Count a checkout; say whether it waited long enough to be a part of its request's story."""
        pool, wait = self._pools.get(record.name) or self._begin(record)
        pool.checkouts += 1
        if record.timed_out:
            pool.timeouts += 1
        if not record.waits:
            return False
        ns = record.ended_ns - record.started_ns
        wait.add(ns)
        return ns >= WAIT_SPAN_FROM_NS

    def close(self, frame: Frame) -> None:
        """Hand the span's pools over to `frame`."""
        for pool, wait in self._pools.values():
            wait.settle()
            frame.pools.append(pool)
        self._pools = {}

    def _begin(self, record: CheckoutRecord) -> tuple[PoolFrame, GatheredSketch]:
        pool = PoolFrame(name=record.name, kind=record.pool_kind)
        begun = self._pools[record.name] = pool, GatheredSketch(pool.wait)
        return begun
