"""All that may have given in a step that was not kept up with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui.ramp import process, waiting
from perftui.ramp.limit import Limit, Locked
from perftui.ramp.resources import Kind, Parts
from perftui.ramp.room import Room


def candidates(
    after: Summary,
    grown: Parts,
    used: Mapping[Kind, float],
    findings: Sequence[Finding],
    locked: Locked | None,
    room: Room,
) -> list[Limit]:
    """Return what may have given: `grown` by how much each part of a request did, `used` how full all was."""
    return [
        *process.accept_queue(after, used),
        *process.memory(after, used),
        *process.quota(after, grown),
        *waiting.locks(grown, findings, locked, room),
        *waiting.pools(after, grown, room),
        *waiting.client_pools(after, grown, room),
        *waiting.upstreams(after, grown, room),
        *waiting.threadpool(after, grown, used, room),
        *process.processor(after, grown, used),
        *process.without_processor(after, grown),
        *process.blocked(after, grown, findings),
        *waiting.database(after, grown),
        *process.imbalance(after),
    ]
