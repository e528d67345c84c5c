"""Parts of the snapshot document: what workers compete with for CPU, the machines they are on, the GIL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perftui.model.gil import Gil, Holder
from perftui.model.machine import MachineSummary, Quota
from perftui.present.documents.shape_of_machines import (
    GilDocument,
    HolderDocument,
    MachineDocument,
    PressureDocument,
    ThrottledDocument,
)
from perftui_agent.wire.machine import Pressure


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


def percent(share: float) -> float:
    """Return a share of 0…1 as it is written."""
    return round(100.0 * min(max(share, 0.0), 1.0), 2)
