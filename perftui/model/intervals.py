"""Where the true value of a figure lies, however latencies are distributed.

- a quantile: between the order statistics whose ranks hold it by the binomial distribution, read from the
  sketch at the outer edges of their buckets; open where there are too few requests for such a rank
- a share (errors of requests): Wilson's score interval, which holds for none of a few as well
- a rate (requests in a time): a Poisson count's, (√(n+3/8) ± z/2)²
- a mean of counts (statements a request): by how it differs from one stretch of the time to the next

Requests wait for each other, and are no independent draws. Where stretches of the time differ by more than
chance would have them, there are so many fewer draws than requests: the design effect of sampling by
clusters.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TypeAlias

from perftui.model.packed import Packed
from perftui.model.quantiles import cumulative, quantiles
from perftui.record import Record
from perftui_agent.sketch import LatencySketch, bucket_bounds

Z = 2.576
"""Standard deviations to either side that hold 99 %."""

SURE_Z = 2.17
"""What a finding begins with: only what chance would hardly make of less (1 time in 66). Where one in a
hundred is slow, some minute of each hour has three of fifty."""

FARTHEST_Z = 9.0
"""What is farther apart is a chance of less than 1 in 10¹⁸; no number of routes asks for more."""

EXACT_UP_TO, EXACT_Z = 60, 6.0
"""Draws expected to the rarer side of a quantile, beyond which the normal distribution is near enough; and
how far out sums of chances in floating point still say something."""

LEAST_STRETCHES = 4
"""Fewer stretches of time say nothing of how they differ."""

Interval: TypeAlias = tuple[float | None, float | None]
"""Where the true value lies; None: no bound can be told."""

Bounds: TypeAlias = Callable[[float], Interval]
"""Where the true value lies, by how many standard deviations are to be held."""

_NORMAL = NormalDist()


class Ranked:
    """A sketch, and below it values of zero that it doesn't hold: where its quantiles lie."""

    def __init__(self, sketch: LatencySketch | Packed, zeros: int = 0) -> None:
        self._buckets, seen = cumulative(sketch)
        self._seen = [each + zeros for each in seen]
        self._zeros = zeros
        self._max = sketch.max
        self.number = self._seen[-1] if self._seen else zeros

    def at(self, rank: int) -> tuple[int, int] | None:
        """Return the edges [low, high) of the bucket with the value of this rank; None: no such rank."""
        if not 1 <= rank <= self.number:
            return None
        if rank <= self._zeros:
            return 0, 1
        low, high = bucket_bounds(self._buckets[bisect_left(self._seen, rank)])
        return low, min(high, self._max + 1) if self._max else high

    def value(self, q: float) -> float | None:
        """Return the quantile that was measured, by nearest rank."""
        edges = self.at(max(1, math.ceil(round(q * self.number, 6))))
        if edges is None:
            return None
        middle = (edges[0] + edges[1] - 1) / 2
        return min(middle, float(self._max)) if self._max else middle

    def bounds(self, q: float, z: float, each: float = 1.0) -> Interval:
        """Return where the true quantile lies: `z` standard deviations hold it to either side.

        `each` is how many of the values are one draw: several where they depend on each other, less than one
        as if there were so many more like these.
        """
        low, high = ranks(round(self.number / each), q, z)
        lowest = self.at(math.ceil(low * each))
        highest = None if high is None else self.at(min(math.ceil(high * each), self.number))
        return (
            None if lowest is None else float(lowest[0]),
            None if highest is None else float(highest[1] - 1),
        )


@lru_cache(maxsize=4096)
def ranks(number: int, q: float, z: float) -> tuple[int, int | None]:
    """Return between which of `number` draws in order the true quantile lies; 0 and None: there is none.

    By the binomial distribution of how many draws lie below it, or by the normal one where that is as good.
    """
    rare = min(q, 1 - q)
    if number * rare > EXACT_UP_TO or z > EXACT_Z:
        spread = z * math.sqrt(number * q * (1 - q))
        lowest, highest = max(0, math.floor(number * q - spread)), math.ceil(number * q + spread) + 1
        return lowest, highest if highest <= number else None
    few, many = _between(number, rare, two_sided(z) / 2)
    # So many draws at least, and at most, lie to the rarer side.
    low, high = (number - many + 1, number - few) if q > rare else (few + 1, many)
    return max(0, low), high if high <= number else None


def _between(number: int, p: float, beyond: float) -> tuple[int, int]:
    """Return the most that a binomial count stays at or below, and the least that it reaches, so seldom."""
    chance, below = (1 - p) ** number, 0.0
    few, count = -1, 0
    while True:
        if below <= 0.5 and below + chance <= beyond:
            few = count
        if 1.0 - below <= beyond or count > number:
            return few, count
        below += chance
        chance *= (number - count) / (count + 1) * p / (1 - p)
        count += 1


def quantile_intervals(
    sketch: LatencySketch | Packed, wanted: Sequence[float], z: float = Z
) -> list[tuple[Interval, float | None]]:
    """Return where each true quantile lies, in the unit of the sketch, and the one that was measured."""
    ranked = Ranked(sketch)
    return [
        (ranked.bounds(q, z), measured) for q, measured in zip(wanted, quantiles(sketch, wanted), strict=True)
    ]


def share_interval(number: float, of: float, z: float = Z) -> Interval:
    """Return where the true share lies, `number` of `of` having been seen."""
    if not of:
        return None, None
    share, z2 = number / of, z * z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    spread = z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - spread), min(1.0, middle + spread)


def rate_interval(number: int, seconds: float, z: float = Z) -> Interval:
    """Return where the true rate lies, `number` having been counted in `seconds`."""
    if not seconds:
        return None, None
    root = math.sqrt(number + 3 / 8)
    low = max(0.0, root - z / 2) ** 2 - 3 / 8 if number else 0.0
    return max(0.0, low) / seconds, ((root + z / 2) ** 2 - 3 / 8) / seconds


class Mean(Record, frozen=True):
    """Something counted per request: how many on average, and how sure that is."""

    value: float
    error: float
    """The standard error; 0 where every stretch had the same."""
    freedom: int
    """Stretches that it rests on, but for one."""


def mean_of(stretches: Sequence[tuple[int, int]]) -> Mean | None:
    """Return what was counted per request, from (requests, counted) of stretches of time; None: too few."""
    known = [each for each in stretches if each[0]]
    requests = sum(each[0] for each in known)
    if len(known) < LEAST_STRETCHES:
        return None
    value = sum(each[1] for each in known) / requests
    squares = sum((counted - value * number) ** 2 for number, counted in known)
    error = math.sqrt(squares * len(known) / (len(known) - 1)) / requests
    return Mean(value, error, len(known) - 1)


def effect_of(stretches: Sequence[tuple[int, int]]) -> float:
    """Return how many requests count as one draw, from (requests, those beyond a value) of stretches of time.

    It is 1 where they differ no more than independent requests would.
    """
    known = [each for each in stretches if each[0]]
    requests = sum(each[0] for each in known)
    share = sum(each[1] for each in known) / requests if requests else 0.0
    if len(known) < LEAST_STRETCHES or not 0.0 < share < 1.0:
        return 1.0
    squares = sum((beyond - share * number) ** 2 / (number * share * (1 - share)) for number, beyond in known)
    return max(1.0, squares / (len(known) - 1))


def p_value(before: Bounds, was: float, after: Bounds, now: float) -> float:
    """Return how likely chance alone sets two values so far apart, whichever is the larger."""
    low, high = 0.0, FARTHEST_Z
    if was == now:
        return 1.0
    if are_apart(before, was, after, now, high):
        return two_sided(high)
    while high - low > 0.005:
        middle = (low + high) / 2
        low, high = (middle, high) if are_apart(before, was, after, now, middle) else (low, middle)
    return two_sided(low)


def are_apart(before: Bounds, was: float, after: Bounds, now: float, z: float) -> bool:
    """Say whether two values are farther apart than chance sets them within `z` standard deviations.

    The two intervals are added as the sides of a right angle (Zou and Donner, 2008): what is between the
    values, squared, against the halves that face each other, squared and summed.
    """
    (old_low, old_high), (new_low, new_high) = before(z), after(z)
    upper, lower = (old_high, new_low) if now > was else (new_high, old_low)
    if upper is None or lower is None:
        return False
    small, large = min(was, now), max(was, now)
    return large - small > math.hypot(upper - small, large - lower)


def p_value_of_means(before: Mean, after: Mean) -> float:
    """Return how likely chance alone sets two means so far apart."""
    apart = abs(after.value - before.value)
    error = math.hypot(before.error, after.error)
    if not error:
        return 0.0 if apart else 1.0
    t, freedom = apart / error, max(before.freedom, after.freedom)
    # Student's t as the normal deviate that is as rare.
    return two_sided(t * (1 - 1 / (4 * freedom)) / math.sqrt(1 + t * t / (2 * freedom)))


def two_sided(z: float) -> float:
    """Return how likely a normal deviate is that far from 0."""
    return math.erfc(z / math.sqrt(2))


@lru_cache(maxsize=64)
def deviate(beyond: float) -> float:
    """Return the normal deviate that is exceeded with the probability `beyond`."""
    return _NORMAL.inv_cdf(1 - beyond)


def holm(p_values: Sequence[float], family: float) -> list[bool]:
    """Return which of several findings stand, so that with the probability `family` at most any is chance."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    stand = [False] * len(p_values)
    for place, index in enumerate(order):
        if p_values[index] > family / (len(p_values) - place):
            break
        stand[index] = True
    return stand
