"""What a step of a ramp showed, and what is bad about it: observations in, a verdict out."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.record import Record

DELIVERED = 0.94
"""A step that had less of its rate answered within it has reached the top of what there is …"""

DEGRADED = 3.0
"""… and one whose p95 is so many times that of the first steps, …"""

DEGRADED_MS = 40.0
"""… and more by so much, is no service any more: where no target says otherwise."""

ERRORS = 0.01
"""As is one with more failures."""


class Observation(Record, frozen=True):
    """What one step showed, warm-up left out."""

    rate: float
    """Requests a second that were asked for."""
    sent: int
    done: int
    """Answered within the step, or the moment after it."""
    errors: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    mean_ms: float | None = None
    delivered: float | None = None
    """Which part of the rate was answered while the step went on, 0…1."""
    broken: tuple[str, ...] = ()
    """The targets that were missed: what makes it bad where there are targets."""
    has_targets: bool = False
    generators: str = ""
    """What the generator did wrong, where that decided: nothing is known of the service at this rate."""
    stopped: str = ""
    """Why the step was ended before its time, if it was."""


class Step(Record, frozen=True):
    """A step and how it was judged."""

    seen: Observation
    why: str = ""
    """Why it is bad; empty: it is good."""

    @property
    def is_good(self) -> bool:
        """Whether the service kept up."""
        return not self.why

    @property
    def is_spoiled(self) -> bool:
        """Whether it says nothing of the service, by the generator's fault."""
        return bool(self.seen.generators)


def judged(seen: Observation, baseline_ms: float | None) -> Step:
    """Return a step with what is bad about it."""
    if seen.stopped:
        return Step(seen, seen.stopped)
    if seen.broken:
        return Step(seen, f"missed {', '.join(seen.broken)}")
    if seen.delivered is not None and seen.delivered < DELIVERED:
        return Step(seen, f"only {seen.delivered * 100:.0f} % of the rate was answered in time")
    if seen.has_targets:
        return Step(seen)
    if seen.sent and seen.errors / seen.sent > ERRORS:
        return Step(seen, f"{100 * seen.errors / seen.sent:.1f} % failed")
    if baseline_ms is not None and seen.p95_ms is not None:
        bound = max(DEGRADED * baseline_ms, baseline_ms + DEGRADED_MS)
        if seen.p95_ms > bound:
            return Step(seen, f"p95 {seen.p95_ms:.0f} ms, {baseline_ms:.0f} ms at the start")
    return Step(seen)


def good_steps(steps: Sequence[Step]) -> list[Step]:
    """Return the steps that the service kept up with, by rate."""
    return sorted((step for step in steps if step.is_good), key=lambda step: step.seen.rate)
