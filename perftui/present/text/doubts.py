"""What a picture lacks through its agents' own doing, in words: every screen and document tells the same.

A figure that rests on less than it seems to is worse than none, so whatever an agent dropped, folded away,
gave up or failed at is said where its worker is told of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from perftui.model.worker_summary import WorkerSummary
from perftui.present.text.units import count

NOTHING_TO_SEE = frozenset({"on", "off: not imported", "off: no thread used yet", "off: no cache is watched"})
"""How a probe stands that works, or is for what the app has not."""

OF_NO_FIGURE = frozenset({"ptrace", "queue", "stacks"})
"""What takes no figure away, or is told of beside its own."""

ROUTINE = frozenset({"spans"})
"""Bounds that bite in any story of a busy request, which says so itself."""


class Doubt(NamedTuple):
    """One of them: its kind, and the sentence about the worker."""

    kind: str
    sentence: str


def doubts_of(worker: WorkerSummary) -> Iterator[Doubt]:
    """Yield what must be kept in mind of a worker's figures, the gravest first."""
    if worker.agent_faults:
        places = ", ".join(f"{place} {number}×" for place, number in worker.agent_faults.items())
        yield Doubt("agent-fault", f"the agent had faults in {places}")
    if worker.agent_degraded:
        yield Doubt("degraded", f"the agent saves the app's CPU: {worker.agent_degraded}")
    if worker.agent_dropped:
        yield Doubt("dropped", f"{count(worker.agent_dropped)} records not counted")
    folded = {what: number for what, number in worker.agent_bounded.items() if what not in ROUTINE}
    if folded:
        yield Doubt("bounded", f"told of in sum only, beyond the agent's bounds: {bounds(folded)}")


def bounds(folded: dict[str, int]) -> str:
    """Return what was folded away: `statements 741, routes 12`."""
    return ", ".join(f"{what} {count(number)}" for what, number in folded.items())


def probes_off(worker: WorkerSummary) -> Iterator[str]:
    """Yield the probes that are off for another reason than that there is nothing to see."""
    for probe, state in sorted(worker.probes.items()):
        if state not in NOTHING_TO_SEE and probe not in OF_NO_FIGURE:
            yield f"{probe} {state}"
