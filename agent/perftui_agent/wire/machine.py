"""What a worker's threads compete with for CPU and memory: a quota, other processes, other machines.

As far as the system tells; what it does not tell is absent, and no 0. What is counted is that of a frame's
span alone, unless the system was asked less often: then `over_ns` says of how long.
"""

from __future__ import annotations

import msgspec

from perftui_agent.sketch import Count
from perftui_agent.wire.parts import Value


class Throttled(Value, frozen=True):
    """How a quota of CPU was used up: in which of its periods the group was stopped for the rest of them."""

    cores: float
    """What the group, all its processes together, may use."""
    group: str = ""
    """Its path among the control groups; empty for the container's own."""
    over_ns: Count = 0
    """Of how long the rest tells."""
    periods: Count = 0
    """In which somebody of the group ran."""
    throttled: Count = 0
    """Those of them in which the quota was used up."""
    ns: Count = 0
    """How long it was stopped, added up over the processors that it had something to do on."""


class CpuWait(Value, frozen=True):
    """How long the app's threads were ready to run and did not get to."""

    over_ns: Count
    """Of how long this tells."""
    longest_ns: Count = 0
    """The thread that has waited longest, …"""
    thread: str = ""
    """… and its name."""


class Pressure(Value, frozen=True):
    """For which part of the time somebody could not go on for lack of something, 0…1, as the kernel says."""

    some: float
    """At least one task waited, …"""
    full: float | None = None
    """… or all that had something to do; None where that has no meaning."""


class Host(Value, frozen=True):
    """The machine that a worker runs on, all its processors together."""

    cores: int | None = None
    load: float | None = None
    """Tasks that run, wait to run, or wait for a disk: averaged over a minute."""
    runnable: Count | None = None
    """Those that run or wait to, just now, the one that asks apart."""
    busy: float | None = None
    """Of the processors' time, 0…1."""
    steal: float | None = None
    """What a hypervisor gave to others, of the same."""
    pressure: dict[str, Pressure] = msgspec.field(default_factory=dict)
    """By `cpu`, `memory`, `io`."""


class Machine(Value, frozen=True):
    """All of that, for one worker."""

    throttled: Throttled | None = None
    """By the quota that stopped it longest, of those that hold for it; None where there is none."""
    cpu_wait: CpuWait | None = None
    pressure: dict[str, Pressure] = msgspec.field(default_factory=dict)
    """Within the worker's own control group, as `Host.pressure`."""
    host: Host | None = None


def merged_machine(older: Machine | None, newer: Machine | None) -> Machine | None:
    """Return what covers both spans: what was counted added up, what was read as it was last."""
    if older is None or newer is None:
        return newer or older
    return Machine(
        throttled=_throttled(older.throttled, newer.throttled),
        cpu_wait=_waited(older.cpu_wait, newer.cpu_wait),
        pressure=newer.pressure or older.pressure,
        host=newer.host or older.host,
    )


def _throttled(older: Throttled | None, newer: Throttled | None) -> Throttled | None:
    if older is None or newer is None:
        return newer or older
    return msgspec.structs.replace(
        newer,
        over_ns=older.over_ns + newer.over_ns,
        periods=older.periods + newer.periods,
        throttled=older.throttled + newer.throttled,
        ns=older.ns + newer.ns,
    )


def _waited(older: CpuWait | None, newer: CpuWait | None) -> CpuWait | None:
    if older is None or newer is None:
        return newer or older
    worse = max(older, newer, key=lambda each: each.longest_ns / max(each.over_ns, 1))
    return CpuWait(
        over_ns=older.over_ns + newer.over_ns,
        longest_ns=older.longest_ns + newer.longest_ns,
        thread=worse.thread,
    )
