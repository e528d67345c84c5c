"""The search for the knee: an observation in, the next rate out. No clock, no I/O, no randomness.

The rate climbs geometrically until a step is bad, then the bracket between the best and the worst is halved
(by ratio) until it is narrow, and both of its ends are measured once more before they are believed: a single
collection of garbage in the wrong step must not become a knee. After aiperf's and linera's searches. A step
that the generator spoiled says nothing of the service: it is sent again, and if it is spoiled again no higher
rate is asked for, and the search goes on below.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, TypeAlias

from perftui.ramp.judgement import Observation, Step, good_steps, judged
from perftui.record import Record

CLIMB = 1.6
"""By how much the rate grows from one good step to the next."""

NARROW = 1.08
"""A bracket whose ends are so close is narrow: the middle of it is within 4 % of wherever the knee lies."""

WIDEN = 1.15
"""By how much an end moves that was not confirmed."""

MOST_WIDENED = 4

CLIFF = 3.0
"""A p95 that grows by so much within a narrow bracket falls off a cliff."""

Phase: TypeAlias = Literal["climb", "narrow", "confirm-low", "confirm-high", "done"]

Shape: TypeAlias = Literal["smooth", "cliff", "none"]


class Search(Record, frozen=True):
    """Where the search stands; `next_rate` is None when it is over."""

    start: float
    limit: float
    """The highest rate that may be asked for."""
    phase: Phase = "climb"
    next_rate: float | None = None
    low: Step | None = None
    high: Step | None = None
    baseline_ms: float | None = None
    """The p95 of the first good steps."""
    steps: tuple[Step, ...] = ()
    widened: int = 0
    confirmed: bool = False
    """Whether the second look at both ends said what the first did."""
    spoiled_at: float | None = None
    """The rate of the last step, where the generator spoiled it: it is sent once more."""
    generator_at: float | None = None
    """The rate that the generator could not send, twice: none as high is asked for again."""

    @property
    def bracket(self) -> tuple[float, float] | None:
        """The highest rate that was kept up, and the lowest that was not."""
        if self.low is None or self.high is None:
            return None
        return self.low.seen.rate, self.high.seen.rate

    @property
    def knee_rps(self) -> float | None:
        """The rate up to which the service keeps up; None if none was found."""
        if self.bracket:
            return math.sqrt(self.bracket[0] * self.bracket[1])
        return self.low.seen.rate if self.low and self.phase == "done" and self.high is None else None

    @property
    def is_confirmed(self) -> bool:
        """Whether both ends were measured twice and said the same."""
        return self.phase == "done" and self.confirmed

    @property
    def shape(self) -> Shape:
        """How it gives: all at once, or little by little."""
        if self.low is None or self.high is None:
            return "none"
        before, after = self.low.seen.p95_ms, self.high.seen.p95_ms
        if before is None or after is None:
            return "cliff"
        return "cliff" if after >= CLIFF * before else "smooth"


def begin(start: float, limit: float) -> Search:
    """Return the search before its first step."""
    return Search(start=start, limit=limit, next_rate=min(start, limit))


def advance(search: Search, seen: Observation) -> Search:
    """Return the search after one more step."""
    if seen.generators:
        return _spoiled(search, seen)
    step = judged(seen, search.baseline_ms)
    search = replace(search, steps=(*search.steps, step), spoiled_at=None)
    match search.phase:
        case "climb":
            return _climbed(search, step)
        case "narrow":
            return _narrowed(_with(search, step))
        case "confirm-low":
            return _confirmed_low(search, step)
        case "confirm-high":
            return _confirmed_high(search, step)
        case _:
            return search


def _climbed(search: Search, step: Step) -> Search:
    if not step.is_good:
        search = replace(search, high=step)
        if search.low is None:
            return _below(search, step.seen.rate)
        return _narrowed(search)
    baseline = step.seen.p95_ms if search.baseline_ms is None else search.baseline_ms
    search = replace(search, low=step, baseline_ms=baseline)
    if search.high is not None and step.seen.rate < search.high.seen.rate:
        return _narrowed(search)
    search = replace(search, high=None)
    if step.seen.rate >= search.limit:
        return replace(search, phase="done", next_rate=None)
    if search.generator_at is not None:
        return _narrowed(search)
    # Once an end was wrong the knee is near: leaps would only overload the service again.
    factor = WIDEN if search.widened else CLIMB
    return replace(search, next_rate=min(step.seen.rate * factor, search.limit))


def _below(search: Search, from_rate: float) -> Search:
    """The very first step was bad: look below it, as far as makes sense."""
    rate = from_rate / CLIMB**2
    if rate < max(search.start / 50, 0.2):
        return replace(search, phase="done", next_rate=None)
    return replace(search, next_rate=rate)


def _with(search: Search, step: Step) -> Search:
    return replace(search, low=step) if step.is_good else replace(search, high=step)


def _narrowed(search: Search) -> Search:
    """Go between the highest rate that was kept up and the lowest that was not, or could not be sent."""
    if search.low is None:
        return replace(search, phase="climb", next_rate=search.start)
    low = search.low.seen.rate
    high = search.high.seen.rate if search.high is not None else math.inf
    ceiling = search.generator_at if search.generator_at is not None else math.inf
    if min(high, ceiling) / low > NARROW:
        return replace(search, phase="narrow", next_rate=math.sqrt(low * min(high, ceiling)))
    if ceiling <= high:
        return replace(search, phase="done", next_rate=None)
    return replace(search, phase="confirm-low", next_rate=low)


def _confirmed_low(search: Search, step: Step) -> Search:
    if step.is_good and search.low is not None:
        high = search.high.seen.rate if search.high else search.limit
        return replace(search, low=_steadier(search.low, step), phase="confirm-high", next_rate=high)
    if search.widened >= MOST_WIDENED:
        return replace(search, high=step, low=_best_below(search, step), phase="done", next_rate=None)
    # Once good and once bad: the end of the bracket lies further down.
    search = replace(search, high=step, low=_best_below(search, step), widened=search.widened + 1)
    if search.low is not None:
        return _narrowed(search)
    return replace(search, phase="climb", next_rate=step.seen.rate / WIDEN)


def _best_below(search: Search, bad: Step) -> Step | None:
    kept = [step for step in good_steps(search.steps) if step.seen.rate < bad.seen.rate]
    return kept[-1] if kept else None


def _confirmed_high(search: Search, step: Step) -> Search:
    if not step.is_good or search.widened >= MOST_WIDENED:
        kept = search if step.is_good else replace(search, high=step, confirmed=True)
        return replace(kept, phase="done", next_rate=None)
    rate = step.seen.rate * WIDEN
    search = replace(search, low=step, high=None, widened=search.widened + 1, phase="climb")
    if step.seen.rate >= search.limit:
        return replace(search, phase="done", next_rate=None)
    if search.generator_at is not None:
        return _narrowed(search)
    return replace(search, next_rate=min(rate, search.limit))


def _steadier(first: Step, second: Step) -> Step:
    """Return the one of two steps at the same rate that was the worse: what is promised holds for both."""
    return max(first, second, key=lambda step: step.seen.p95_ms or 0.0)


def _spoiled(search: Search, seen: Observation) -> Search:
    """Nothing is known at this rate: a second time it is the generator's limit, and no accident."""
    search = replace(search, steps=(*search.steps, Step(seen, f"the generator {seen.generators}")))
    if search.spoiled_at != seen.rate:
        return replace(search, spoiled_at=seen.rate, next_rate=seen.rate)
    search = replace(search, spoiled_at=None, generator_at=seen.rate)
    return _below(search, seen.rate) if search.low is None else _narrowed(search)
