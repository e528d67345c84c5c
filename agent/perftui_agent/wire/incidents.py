"""What an agent tells of its own accord: the loop held, and what it has taken then."""

from __future__ import annotations

import msgspec

from perftui_agent.wire.parts import CodePlace, Nanoseconds, RouteLabel, Value, WorkerId
from perftui_agent.wire.requests import InFlight


class Incident(Value, frozen=True):
    """The event loop was held beyond the threshold."""

    kind: str
    at: Nanoseconds
    ns: Nanoseconds
    where: CodePlace
    route: RouteLabel | None = None
    stack: list[CodePlace] = msgspec.field(default_factory=list)
    ongoing: bool = False
    verdict: str = ""
    """Of what `Evidence` tells of: what it was."""


class Evidence(Value, frozen=True):
    """What an agent has seen of its own accord, and keeps for whoever comes later.

    It is told of in a frame, of the worker itself or of a sibling, and so lies in the black box of whoever
    tells of it. What becomes known later is told again under the same `id`: the latest is the whole of it.
    """

    id: str
    """Unlike any other of the service."""
    kind: str
    """`worker-silent`, `trigger`, or `plan-changed`."""
    at: Nanoseconds
    """When what it tells of began."""
    ns: Nanoseconds = 0
    """How long that lasted, or has so far."""
    worker: WorkerId = ""
    """Whose it is; empty: that of the frame it is in."""
    verdict: str = ""
    """Of `worker-silent`: `hung`, `starved` or `stopped`."""
    where: CodePlace = ""
    route: RouteLabel | None = None
    stack: list[CodePlace] = msgspec.field(default_factory=list)
    """Innermost first."""
    in_flight: list[InFlight] = msgspec.field(default_factory=list)
    """Requests that the worker had, the oldest first."""
    text: str = ""
    """What else there is to say, in a sentence."""
    taken_at: Nanoseconds | None = None
    """When `stack` and `result` were."""
    how: str = ""
    """By what and by whom: `py-spy by sibling 4122`."""
    outcome: str = ""
    """`went on`, `ended`, of a trigger `taken`, `refused`; empty as long as it is not known."""
    ended_by: str = ""
    """Which supervisor ended the worker, as far as that can be told: `uvicorn (pid 4100)`."""
    result: bytes = b""
    """What was taken, as a client that had asked would have got it: an encoded `Dump` or `Profile`."""
    trigger: str = ""
    """As it is written: `p95>1s for 10s: profile 20s, dump`."""
