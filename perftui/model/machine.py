"""What workers compete with for CPU, over a window: quotas, waits for a processor, the hosts they are on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from perftui.record import Record
from perftui_agent.wire.machine import Host, Machine, Pressure, Throttled

NO_MACHINE = Machine()


class Quota(Record, frozen=True):
    """A quota of CPU that holds for a worker, and how it was used up."""

    cores: float
    """What its group, all its processes together, may use."""
    group: str
    """Its path among the control groups; empty for the container's own."""
    periods: int
    throttled: int
    """Periods that ended with the group stopped, …"""
    ms: float
    """… and for how long in all, added up over the processors that it had something to do on."""
    stopped_share: float
    """Of the time, in which this worker stood still for it, 0…1: no more than its threads have waited."""

    @property
    def throttled_share(self) -> float:
        """How many of its periods were too short, 0…1."""
        return self.throttled / self.periods if self.periods else 0.0


class Contention(Record, frozen=True):
    """What one worker competed with over the window."""

    quota: Quota | None = None
    waited_share: float | None = None
    """Of the time, in which the thread that waited longest was ready to run and did not get to, …"""
    waited_thread: str = ""
    """… and its name."""
    pressure: Mapping[str, Pressure] = msgspec.field(default_factory=dict)
    """Within its own control group, as last seen."""
    host: Host | None = None


NO_CONTENTION = Contention()


class MachineSummary(Record, frozen=True):
    """A machine with workers on it, as the one heard last tells of it."""

    name: str
    host: Host
    pids: tuple[int, ...]
    """The workers on it."""


def contention_of(counted: Machine | None, last: Machine | None) -> Contention:
    """Return what a worker competed with: what was counted over the window, and what was read last."""
    counted, last = counted or NO_MACHINE, last or NO_MACHINE
    wait = counted.cpu_wait
    waited = min(wait.longest_ns / wait.over_ns, 1.0) if wait is not None and wait.over_ns else None
    return Contention(
        quota=_quota(counted.throttled, last.throttled, waited),
        waited_share=waited,
        waited_thread=wait.thread if wait is not None else "",
        pressure=last.pressure,
        host=last.host,
    )


def _quota(counted: Throttled | None, last: Throttled | None, waited: float | None) -> Quota | None:
    if counted is None:
        return None
    # Each processor's stop counts, and one with nothing to do there notices none of it.
    stopped = min(counted.ns / counted.over_ns, 1.0) if counted.over_ns else 0.0
    named = last or counted
    return Quota(
        cores=named.cores,
        group=named.group,
        periods=counted.periods,
        throttled=counted.throttled,
        ms=counted.ns / 1e6,
        stopped_share=stopped if waited is None else min(stopped, waited),
    )


def machines_of(
    told: Iterable[tuple[str, int, float | None, Contention]],
) -> tuple[MachineSummary, ...]:
    """Return the machines by name; of each worker: its host, its pid, when it was heard, what it tells."""
    latest: dict[str, tuple[float, Host]] = {}
    pids: dict[str, list[int]] = {}
    for name, pid, heard_at, contention in told:
        pids.setdefault(name, []).append(pid)
        host = contention.host
        if host is not None and (heard_at or 0.0) >= latest.get(name, (0.0, host))[0]:
            latest[name] = (heard_at or 0.0, host)
    return tuple(
        [MachineSummary(name, host, tuple(sorted(pids[name]))) for name, (_, host) in sorted(latest.items())]
    )
