"""What workers compete with for CPU: quotas, pressure, the machines they are on, and the GIL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from perftui.model.gil import Gil, Holder
from perftui.model.machine import MachineSummary, Quota
from perftui.present.documents.rows.units import Percentage, percent
from perftui_agent.wire.machine import Pressure


class ThrottledDocument(TypedDict):
    """A quota of CPU that holds for a worker, and how it was used up over the window."""

    quota_cores: float
    group: str | None
    periods: int
    throttled: int
    ms: float
    stopped_percent: Percentage


class PressureDocument(TypedDict):
    """For which part of the time some tasks, or all that had something to do, waited for a thing."""

    some_percent: Percentage
    full_percent: Percentage | None


class HolderDocument(TypedDict):
    """Who held a worker's GIL; all null: several that are not told apart."""

    thread: str | None
    where: str | None
    route: str | None
    percent: Percentage


class GilDocument(TypedDict):
    """An estimate of how long a worker's GIL was held: in 95 of 100 cases no further off than the error."""

    held_percent: Percentage
    error_percent: Percentage
    looks: int
    looks_by: int
    by: list[HolderDocument]


class MachineDocument(TypedDict):
    """A machine that workers run on, all its processors and everybody else's work included."""

    host: str
    pids: list[int]
    cores: int | None
    load: float | None
    runnable: int | None
    busy_percent: Percentage | None
    steal_percent: Percentage | None
    pressure: dict[str, PressureDocument] | None


def throttled_document(quota: Quota | None) -> ThrottledDocument | None:
    """Return how a worker's quota of CPU was used up; None where it has none."""
    if quota is None:
        return None
    return {
        "quota_cores": round(quota.cores, 4),
        "group": quota.group or None,
        "periods": quota.periods,
        "throttled": quota.throttled,
        "ms": round(quota.ms, 3),
        "stopped_percent": percent(quota.stopped_share),
    }


def pressure_document(told: Mapping[str, Pressure]) -> dict[str, PressureDocument] | None:
    """Return for which part of the time there was too little of what; None where nobody tells."""
    if not told:
        return None
    return {
        kind: {
            "some_percent": percent(each.some),
            "full_percent": None if each.full is None else percent(each.full),
        }
        for kind, each in told.items()
    }


def machines_document(machines: Sequence[MachineSummary]) -> list[MachineDocument]:
    """Return the machines that workers run on."""
    return [
        {
            "host": each.name,
            "pids": list(each.pids),
            "cores": each.host.cores,
            "load": each.host.load,
            "runnable": each.host.runnable,
            "busy_percent": None if each.host.busy is None else percent(each.host.busy),
            "steal_percent": None if each.host.steal is None else percent(each.host.steal),
            "pressure": pressure_document(each.host.pressure),
        }
        for each in machines
    ]


def gil_document(gil: Gil | None) -> GilDocument | None:
    """Return who holds a worker's GIL; None where that is not known."""
    if gil is None:
        return None
    return {
        "held_percent": percent(gil.share),
        "error_percent": percent(gil.error),
        "looks": gil.looks,
        "looks_by": round(gil.known),
        "by": [_holder(each) for each in gil.by],
    }


def _holder(each: Holder) -> HolderDocument:
    return {
        "thread": each.thread or None,
        "where": each.where or None,
        "route": each.route or None,
        "percent": percent(each.share),
    }
