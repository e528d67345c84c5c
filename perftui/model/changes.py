"""How one figure differs from one picture to another, and how likely chance alone makes it differ so much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import msgspec

from perftui.model.intervals import (
    Bounds,
    Ranked,
    Z,
    are_apart,
    deviate,
    effect_of,
    mean_of,
    p_value_of_means,
    rate_interval,
    share_interval,
)
from perftui.model.measures import Step
from perftui.model.packed import NOTHING, Packed
from perftui.model.stretches import beyond
from perftui.record import Record
from perftui_agent.sketch import LatencySketch

LEAST_LATENCY = 0.05
"""A quantile that moved by less is no news, whatever the number of requests …"""
LEAST_LATENCY_MS = 0.1
LEAST_QUEUED_MS = 5.0
"""… nor one of what waited before the app, which the kernel tells in steps of 4 ms …"""
LEAST_BYTES = 100.0
LEAST_RATE = 0.10
"""… nor a rate …"""
LEAST_SHARE = 0.001
"""… nor a share of errors, in absolute terms …"""
LEAST_COUNT, LEAST_COUNTED = 0.05, 0.1
"""… nor what is counted per request."""

MIDDLE, TAIL = 0.5, (0.9, 0.95, 0.99)
"""Quantiles at which it is seen how much the stretches of a window differ."""

ALONE = 0.00027
"""How likely one figure by itself is marked: somebody looks at dozens of them, one second after the other."""

Chance: TypeAlias = Callable[[Bounds, float, Bounds, float], float]
"""How likely chance sets two values so far apart: all of it, or whether it is less than `ALONE`."""

Verdict: TypeAlias = Literal["up", "down", "noise", "unknown"]
"""`noise`: the two may well be the same. `unknown`: there are too few requests to tell."""


class Change(Record, frozen=True):
    """One figure before and after."""

    before: float | None
    after: float | None
    verdict: Verdict = "unknown"
    p: float | None = None
    """How likely chance alone sets them so far apart; None where that can't be told."""
    matters: bool = False
    """Whether it is large enough."""

    @property
    def delta(self) -> float | None:
        """By how much it has changed, in its own unit."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def ratio(self) -> float | None:
        """By how much, as a part of what it was: 0.5 is half as much again."""
        delta = self.delta
        return None if delta is None or not self.before else delta / self.before

    @property
    def is_real(self) -> bool:
        """Whether it is more than noise."""
        return self.verdict in {"up", "down"}


UNKNOWN = Change(None, None)


class Side(Record, frozen=True):
    """One picture's half of a comparison."""

    seconds: float
    requests: int = 0
    errors: int = 0
    sketch: LatencySketch | Packed = NOTHING
    queue: LatencySketch | Packed = NOTHING
    queue_known: int = 0
    sizes: LatencySketch | Packed = NOTHING
    sql_per_request: float | None = None
    http_per_request: float | None = None
    steps: Sequence[Step] = ()


def told(change: Change, stands: bool) -> Change:
    """Return a change with its verdict, once it is known whether it stands among the others."""
    if change.p is None or change.delta is None:
        return change
    if stands and change.matters and change.delta:
        return msgspec.structs.replace(change, verdict="up" if change.delta > 0 else "down")
    # Where no bound can be told, that it may be chance can't be told either.
    return change if change.verdict == "unknown" else msgspec.structs.replace(change, verdict="noise")


def alone(before: Bounds, was: float, after: Bounds, now: float) -> float:
    """Return 0 where one figure by itself is more than chance, else 1; several times as fast as `p_value`."""
    return 0.0 if are_apart(before, was, after, now, deviate(ALONE / 2)) else 1.0


class _Quantile(Record, frozen=True):
    """A quantile of one side: what was measured, and where the true one lies."""

    value: float | None
    bounds: Bounds


def _quantile_of(q: float, ranked: Ranked, each: float = 1.0) -> _Quantile:
    return _Quantile(ranked.value(q), lambda z: ranked.bounds(q, z, each))


def latency_change(q: float, before: Side, after: Side, chance: Chance) -> Change:
    """Return the change of a quantile of the latencies, in ms."""
    # A spell in which all were late shows best where the slow ones begin, wherever in them the quantile is.
    # It may as well have come in the other of the two times: that one's requests count for no more.
    levels = TAIL if q > MIDDLE else (q,)
    ranked = [Ranked(side.sketch) for side in (before, after)]
    effects = [
        effect_of(beyond(side.steps, each.value(level) or 0.0))
        for side, each in zip((before, after), ranked, strict=True)
        for level in levels
        if side.steps
    ]
    old, new = (_quantile_of(q, each, max(effects, default=1.0)) for each in ranked)
    return _quantile(old, new, chance, LEAST_LATENCY_MS, 1e6)


def queued_change(before: Side, after: Side, chance: Chance) -> Change:
    """Return the change of the p95 of what waited before the app, in ms."""
    old, new = (
        _quantile_of(0.95, Ranked(side.queue, max(0, side.queue_known - side.queue.count)))
        for side in (before, after)
    )
    return _quantile(old, new, chance, LEAST_QUEUED_MS, 1e6)


def sizes_change(before: Side, after: Side, chance: Chance) -> Change:
    """Return the change of the p95 of the sizes of bodies, in bytes."""
    old, new = (_quantile_of(0.95, Ranked(side.sizes)) for side in (before, after))
    change = _quantile(old, new, chance, LEAST_BYTES, 1.0)
    # What is as large as it was needs no number to show it.
    return msgspec.structs.replace(change, verdict="noise") if change.delta == 0 else change


def _quantile(old: _Quantile, new: _Quantile, chance: Chance, least: float, unit: float) -> Change:
    """Return the change of a quantile, in `unit`s of the sketches, of which at least `least` matter."""
    was, now = old.value, new.value
    if was is None or now is None:
        return Change(_in(was, unit), _in(now, unit))
    told = None not in {*old.bounds(Z), *new.bounds(Z)}
    matters = abs(now - was) >= max(LEAST_LATENCY * was, least * unit)
    p = chance(old.bounds, was, new.bounds, now)
    return Change(was / unit, now / unit, "noise" if told else "unknown", p, matters)


def rate_change(before: Side, after: Side) -> Change:
    """Return the change of the load: it is nobody's fault, and stands by itself."""
    was, now = (each.requests / each.seconds if each.seconds else None for each in (before, after))
    if was is None or now is None:
        return Change(was, now)
    p = alone(
        lambda z: rate_interval(before.requests, before.seconds, z), was,
        lambda z: rate_interval(after.requests, after.seconds, z), now,
    )  # fmt: skip
    matters = abs(now - was) >= LEAST_RATE * max(was, now)
    return told(Change(was, now, "noise", p, matters), stands=p <= ALONE)


def share_change(before: Side, after: Side, chance: Chance) -> Change:
    """Return the change of the share of errors."""
    was, now = (each.errors / each.requests if each.requests else None for each in (before, after))
    if was is None or now is None:
        return Change(was, now)
    each = max(effect_of([(step.requests, step.errors) for step in side.steps]) for side in (before, after))
    p = chance(_share_of(before, each), was, _share_of(after, each), now)
    return Change(was, now, "noise", p, abs(now - was) >= LEAST_SHARE)


def _share_of(side: Side, each: float) -> Bounds:
    return lambda z: share_interval(side.errors / each, side.requests / each, z)


def count_change(figure: str, counted: str, before: Side, after: Side) -> Change:
    """Return the change of what is counted per request: `figure` of a side, `counted` of its stretches."""
    was, now = (getattr(each, figure) for each in (before, after))
    means = [
        mean_of([(step.requests, getattr(step, counted)) for step in each.steps]) for each in (before, after)
    ]
    if was is None or now is None or means[0] is None or means[1] is None:
        return Change(was, now)
    matters = abs(now - was) >= max(LEAST_COUNT * was, LEAST_COUNTED)
    return Change(was, now, "noise", p_value_of_means(means[0], means[1]), matters)


def _in(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
