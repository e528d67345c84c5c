"""A service with a knee that is known, played by arithmetic: open arrivals, a capacity, noise."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from perftui.ramp.judgement import Observation
from perftui.ramp.search import Search, advance, begin


@dataclass
class Simulated:
    """Latency grows as 1/(1-ρ) up to the capacity; beyond it answers come late or never."""

    capacity: float
    base_ms: float
    rng: random.Random
    noise: float = 0.03
    bound_ms: float | None = None
    step_s: float = 10.0
    hiccups: float = 0.0
    """How likely a step has a pause that has nothing to do with its rate."""
    spoils: float = 0.0
    """How likely the generator spoils a step, whatever its rate, …"""
    sends: float = math.inf
    """… and from which rate on it always does."""

    @property
    def knee(self) -> float:
        """The rate at which the p95 reaches the bound (p95 = base × 3 / (1-ρ)); the capacity without one."""
        if self.bound_ms is None:
            return self.capacity
        return self.capacity * (1 - 3 * self.base_ms / self.bound_ms)

    def at(self, rate: float) -> Observation:
        """Return what a step at a rate shows."""
        if rate > self.sends or (self.spoils and self.rng.random() < self.spoils):
            return Observation(rate, round(rate), 0, p95_ms=9000.0, delivered=0.1, generators="it was late")
        load = rate / (self.capacity * self.rng.gauss(1, self.noise / 3))
        sent = round(rate * self.step_s)
        if load < 0.995:
            mean = self.base_ms / (1 - load)
            delivered = 1.0
        else:
            mean = self.base_ms / 0.005 + max(load - 1, 0) * self.step_s * 500
            delivered = min(1.0, 1 / load)
        mean *= self.rng.lognormvariate(0, self.noise)
        if self.rng.random() < self.hiccups:
            mean *= 8
        p95 = 3 * mean
        broken = ("p95",) if self.bound_ms is not None and p95 > self.bound_ms else ()
        return Observation(
            rate, sent, round(sent * delivered), 0, mean * 0.7, p95, p95 * 1.5, mean, delivered, broken,
            has_targets=self.bound_ms is not None,
        )  # fmt: skip


def searched(service: Simulated, start: float = 5.0, limit: float = 5000.0, most: int = 120) -> Search:
    """Return the search once it is over."""
    search = begin(start, limit)
    for _ in range(most):
        if search.next_rate is None:
            return search
        search = advance(search, service.at(search.next_rate))
    raise AssertionError(f"the search has no end: {search.phase} {search.next_rate}")


def off_by(service: Simulated) -> float:
    """Return how far from the knee the search ends, as a part of it."""
    found = searched(service).knee_rps
    return math.inf if found is None else abs(found / service.knee - 1)
