"""What a step showed: the senders' word held against what must hold, and whether it has to end at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from perftui.check.grammar import Objective, ObjectiveError, parse_objective
from perftui.model.slo import ALL
from perftui.model.summary import Summary
from perftui.ramp.judgement import Observation, judged
from perftui.ramp.load import StepTold
from perftui.ramp.trust import generators, spared_ms

BURST = 0.25
BURST_LEAST = 10
"""A second with so many failures, of so many requests at least, ends the step."""

FAR_BEYOND = 5.0
"""As does one whose p95 is so many times what it may be: more of it would tell nothing and hurt."""


def observed(
    told: StepTold,
    seconds: float,
    objectives: Sequence[Objective],
    within: Callable[[Objective], float | None],
    *,
    baseline_ms: float | None,
    stopped: str = "",
) -> Observation:
    """Return what a step showed, of which so many seconds were counted.

    `within` measures what only the agents know. `stopped` says why it was ended before its time, if it was.
    """
    seen = _observation(told, seconds, objectives, within, StepTold.quantile_ms, stopped)
    # What was sent late is answered late, and counts neither.
    late_s = (told.late.quantile(0.95) or 0.0) / 1e9
    spared = _observation(told, max(seconds - 2 * late_s, 0.0), objectives, within, spared_ms, stopped)
    why = generators(told, seconds, judged(seen, baseline_ms), judged(spared, baseline_ms))
    return replace(seen, generators=why)


def _observation(
    told: StepTold,
    seconds: float,
    objectives: Sequence[Objective],
    within: Callable[[Objective], float | None],
    quantile_ms: Callable[[StepTold, float], float | None],
    stopped: str,
) -> Observation:
    missed = []
    for each in objectives:
        value = felt(each, told, quantile_ms)
        value = within(each) if value is None else value
        if value is not None and not each.kept_by(value):
            missed.append(str(each))
    wanted = told.rate * seconds
    return Observation(
        rate=told.rate,
        sent=told.sent,
        done=told.done,
        errors=told.errors + told.unfinished,
        p50_ms=quantile_ms(told, 0.5),
        p95_ms=quantile_ms(told, 0.95),
        p99_ms=quantile_ms(told, 0.99),
        mean_ms=(told.latency.mean() or 0.0) / 1e6 if told.latency.count else None,
        # A few requests more or less are no per cent of a slow rate.
        delivered=min((told.in_time + 1.0) / wanted, 1.0) if wanted >= 1 else None,
        broken=tuple(missed),
        has_targets=bool(objectives),
        stopped=stopped,
    )


def felt(
    objective: Objective,
    told: StepTold,
    quantile_ms: Callable[[StepTold, float], float | None] = StepTold.quantile_ms,
) -> float | None:
    """Return what a client felt of an objective for all requests; None for what only the agents know."""
    if objective.scope != ALL or not told.latency.count:
        return None
    if objective.quantity == "latency" and objective.quantile is not None:
        return quantile_ms(told, objective.quantile)
    if objective.metric == "errors":
        return (told.errors + told.unfinished) / told.latency.count
    return None


def promised(summary: Summary) -> tuple[Objective, ...]:
    """Return what the service itself promises of all its requests, as far as a client can feel it."""
    found = []
    for verdict in summary.slo:
        if verdict.scope == ALL and not verdict.slo.startswith("rps"):
            try:
                found.append(replace(parse_objective(verdict.slo), source="the service"))
            except ObjectiveError:  # what a newer agent promises
                continue
    return tuple(found)


def emergency(told: StepTold, objectives: Sequence[Objective], baseline_ms: float | None) -> str:
    """Return why a step has to end at once; empty: it may go on."""
    recent = told.recent()
    ended = recent.done + recent.errors
    if ended >= BURST_LEAST and recent.errors / ended > BURST:
        return f"{100 * recent.errors / ended:.0f} % of a second's requests failed"
    if told.turned_away:
        return f"{told.under_way} requests were under way, and no more are sent"
    bounds = [each.bound for each in objectives if each.quantity == "latency" and each.scope == ALL]
    bound_ms = min(bounds) if bounds else max(10 * baseline_ms, 1000.0) if baseline_ms else None
    p95_ms = spared_ms(recent, 0.95)
    if (
        bound_ms
        and p95_ms is not None
        and recent.latency.count >= 2 * BURST_LEAST
        and p95_ms > FAR_BEYOND * bound_ms
    ):
        return f"a second's p95 was {p95_ms:.0f} ms"
    return ""
