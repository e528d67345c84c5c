"""A ramp as it is looked at: the steps so far, the one that goes on, and in the end the verdict.

What its screen, a recording of it and the report's section tell of; made by `perftui.ramp.course`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perftui.record import Record


class RampStep(Record, frozen=True):
    """One step: what a client felt, and how full things were meanwhile."""

    at: float
    """When it ended, in seconds since the epoch."""
    rate: float
    """Requests a second that were sent."""
    answered: float | None = None
    """Requests a second that were answered while it went on."""
    sent: int = 0
    done: int = 0
    errors: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    queue_p95_ms: float | None = None
    """Waited in the kernel before the app."""
    used: Mapping[str, float] = {}
    """How full each resource was, 0…1, by its kind; what nobody knows is not there."""
    time_in: Mapping[str, float] = {}
    """Which part of a request's time went where nobody knows how full it is: `database`, `upstream`."""
    waited_for_locks: int | None = None
    """Sessions that waited for a lock as the database was asked; None if it was not."""
    turned_down: float | None = None
    """Which part of the answers was a 4xx, as the workers counted; None if there were none."""
    why: str = ""
    """Why the service did not keep up; empty: it did."""
    is_spoiled: bool = False
    """Whether `why` is the generator's fault: nothing is known of the service then."""

    @property
    def kept_up(self) -> bool:
        """Whether the service kept up."""
        return not self.why

    @property
    def sign(self) -> str:
        """The verdict in a character."""
        return "✓" if self.kept_up else "?" if self.is_spoiled else "✗"


def turned_down(steps: Sequence[RampStep]) -> float:
    """Return which part of all answers was a 4xx: where that is much of them, something else was measured."""
    known = [(step.turned_down, step.done) for step in steps if step.turned_down is not None]
    answers = sum(done for _, done in known)
    return sum(part * done for part, done in known) / answers if answers else 0.0


class RampNow(Record, frozen=True):
    """The step that goes on."""

    step: RampStep
    phase: str
    """What it is for: `climb`, `narrow`, `confirm-low`, `confirm-high`."""
    under_way: int = 0
    is_warm: bool = True
    """Whether what comes now is counted."""


class RampLimit(Record, frozen=True):
    """What gave, or would give next."""

    kind: str
    subject: str = ""
    sentence: str = ""
    advice: str = ""
    then_rps: float | None = None
    """The rate that the mend should give, an estimate."""


class RampCourse(Record, frozen=True):
    """A ramp, under way or over."""

    requests: tuple[str, ...] = ()
    """What is sent, as it was typed."""
    targets: tuple[str, ...] = ()
    """What must hold; without any, no more than three times the latency of the first steps."""
    most_rps: float = 0.0
    began_at: float = 0.0
    longest_s: float = 0.0
    steps: tuple[RampStep, ...] = ()
    now: RampNow | None = None
    is_stopping: bool = False
    verdict: str = ""
    """What was found, in a sentence; empty while it goes on."""
    knee_rps: float | None = None
    bracket: tuple[float, float] | None = None
    limits: tuple[RampLimit, ...] = ()
    """What gave, the likeliest first; empty where nothing did."""
    following: RampLimit | None = None
    """What would give next, once that is mended."""
    law: str = ""
    """How throughput grows with what is under way, in words."""
    ended: str = ""
    """Why it was ended before its time, if it was."""

    @property
    def is_over(self) -> bool:
        """Whether there is a verdict."""
        return bool(self.verdict)

    @property
    def seen(self) -> tuple[RampStep, ...]:
        """The steps, that which goes on included."""
        return (*self.steps, self.now.step) if self.now is not None else self.steps

    @property
    def gave(self) -> RampLimit | None:
        """What gave first; None if nothing did, or nobody could tell what."""
        return self.limits[0] if self.limits and self.limits[0].kind not in {"none", "generator"} else None
