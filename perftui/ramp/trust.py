"""Whether what a step showed may be said of the service, or the generator decided it.

Every sender is a little late, on a crowded machine more than a little. That matters only where it decides: a
step that was good although requests were sent late is good, and one that would be bad even without what the
sender may account for is the service's. What lies between is the generator's, with the reason: its own work,
or a processor that it did not get.
"""

from __future__ import annotations

from perftui.ramp.judgement import Step
from perftui.ramp.load import StepTold

BUSY = 0.92
"""Of a core: a sender that needs more reads answers late as well, by nobody knows how much."""

SENT = 0.97
"""A sender that has sent less of it has not offered the rate, unless what was under way held it."""

TWICE = 2.0
"""A loop that sends late reads as late: both ways of a request may be longer by it."""

WAITED = 0.05
"""Of the time: a sender that was ready to run for so long, and did not get to, is told of."""


def spared_ms(told: StepTold, q: float) -> float | None:
    """Return a quantile of the latencies without what the sender may account for."""
    felt, late = told.quantile_ms(q), told.late.quantile(q) or 0.0
    return None if felt is None else max(felt - TWICE * late / 1e6, 0.0)


def generators(told: StepTold, seconds: float, felt: Step, spared: Step) -> str:
    """Return what the generator did, where that decided the step; empty: the step is the service's.

    `felt` is the step as its clients have felt it, `spared` without what the sender may account for;
    `seconds` of it were counted.
    """
    wanted = told.rate * seconds
    if not (told.turned_away or told.held) and told.sent < SENT * wanted - 2:
        return f"sent {told.sent} of {wanted:.0f} requests{_because(told)}"
    if felt.is_good:
        return ""
    if told.busiest > BUSY:
        return f"needs {told.busiest * 100:.0f} % of a core"
    if spared.is_good:
        late_ms = (told.late.quantile(0.95) or 0.0) / 1e6
        return f"sent {late_ms:.0f} ms late at p95{_because(told)}"
    return ""


def _because(told: StepTold) -> str:
    if told.waited < WAITED:
        return ""
    return f", {told.waited * 100:.0f} % of the time without a processor"
