"""Which processes an agent may inspect: its own, and its siblings' as they registered."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import psutil

from perftui_agent.wire.lives import place_of, running_start_ticks
from perftui_agent.wire.registration import Registration

_TOLERANCE_S = 1.0
"""The system gives a start to 10 ms, the moment it counts from to a second."""


def started_at(pid: int) -> float | None:
    """Return when `pid` started, seconds since the epoch; None if there is no such process."""
    try:
        return psutil.Process(pid).create_time()
    except (psutil.Error, ValueError, OverflowError):
        return None


def allowed_targets(
    own: Registration,
    others: Iterable[Registration],
    *,
    start_of: Callable[[int], float | None] = started_at,
    ticks_of: Callable[[int], int | None] = running_start_ticks,
) -> set[int]:
    """Return the pids that the agent of `own` may inspect.

    A sibling is of the same service on the same host, has the same supervisor or listens on the
    same address, and is still the process that registered: a recycled pid is somebody else's.
    """
    own_start = start_of(own.worker.pid)
    # When the clock is stepped, the system moves the start of every process, and what was
    # registered before stays: siblings are off by as much as we are.
    step = 0.0 if own_start is None else own_start - own.worker.started_at
    allowed = {own.worker.pid}
    for other in others:
        if not _are_siblings(own, other):
            continue
        if other.worker.start_ticks:
            if ticks_of(other.worker.pid) == other.worker.start_ticks:
                allowed.add(other.worker.pid)
            continue
        start = start_of(other.worker.pid)
        if start is None:
            continue
        off = start - other.worker.started_at
        if abs(off) < _TOLERANCE_S or abs(off - step) < _TOLERANCE_S:
            allowed.add(other.worker.pid)
    return allowed


def _are_siblings(own: Registration, other: Registration) -> bool:
    # A supervisor of 0 or 1 is shared by everything a container or an init system started.
    same_supervisor = own.worker.supervisor_pid == other.worker.supervisor_pid > 1
    same_address = bool({*own.tcp, *own.unix} & {*other.tcp, *other.unix})
    return (
        other.worker.pid > 1
        and place_of(own.worker) == place_of(other.worker)
        and (own.worker.host, own.worker.service) == (other.worker.host, other.worker.service)
        and (same_supervisor or same_address)
    )
