"""The Universal Scalability Law, fitted over the steps: how throughput grows with what is under way.

X(N) = λN / (1 + σ(N-1) + κN(N-1)), where σ is what requests wait for each other (contention) and κ what each
costs every other (coherency). N/X is linear in 1, N-1 and N(N-1), so three numbers solve it by least squares;
negative ones are no law and are held at zero. Gunther, "Guerrilla Capacity Planning".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from perftui.record import Record

LEAST_STEPS = 4
"""Three unknowns want more steps than that."""

LITTLE = 1e-4
"""A coefficient below is none."""


class Law(Record, frozen=True):
    """The coefficients, and how well they fit."""

    single_rps: float
    """λ: throughput with one request under way."""
    contention: float
    """σ: which part of a request's time all others wait for."""
    coherency: float
    """κ: what each request under way costs each other."""
    r2: float
    """How much of the differences it explains, 1 at best."""

    @property
    def peak(self) -> tuple[float, float] | None:
        """How many under way give the highest throughput, and that; None if it only levels off."""
        if self.coherency <= LITTLE:
            return None
        most = math.sqrt(max(1.0 - self.contention, 0.0) / self.coherency)
        return most, throughput(self, most)

    def in_words(self) -> str:
        """Return what the two coefficients mean."""
        said = []
        if self.contention > LITTLE:
            top = self.single_rps / self.contention
            said.append(
                f"{self.contention * 100:.1f} % of a request's time others wait for (contention): as it is, "
                f"no more than some {top:.0f}/s, however many are under way"
            )
        else:
            said.append("no contention is seen: throughput grows with what is under way")
        if self.peak is not None:
            most, rps = self.peak
            said.append(
                f"and they slow each other down (coherency): most at {most:.0f} under way, {rps:.0f}/s"
            )
        return ", ".join(said)


def throughput(law: Law, under_way: float) -> float:
    """Return the throughput with so many under way."""
    n = under_way
    return law.single_rps * n / (1 + law.contention * (n - 1) + law.coherency * n * (n - 1))


def fitted(points: Sequence[tuple[float, float]]) -> Law | None:
    """Return the law that fits (under way, throughput); None where there are too few to say."""
    known = [(n, x) for n, x in points if n > 0 and x > 0]
    if len(known) < LEAST_STEPS or max(n for n, _ in known) < 2 * min(n for n, _ in known):
        return None
    # By the relative error of N/X: a step at a high rate must not outweigh all others.
    best: tuple[float, tuple[float, float, float]] | None = None
    for held in ((), (2,), (1,), (1, 2)):
        solved = _least_squares(known, held)
        if solved is None or solved[0] <= 0 or min(solved[1:]) < -1e-12:
            continue
        error = sum((_predicted(solved, n) / (n / x) - 1) ** 2 for n, x in known)
        if best is None or error < best[0] - 1e-12:
            best = error, solved
    if best is None:
        return None
    a, b, c = best[1]
    law = Law(1 / a, max(b / a, 0.0), max(c / a, 0.0), 0.0)
    mean = sum(x for _, x in known) / len(known)
    spread = sum((x - mean) ** 2 for _, x in known)
    left = sum((x - throughput(law, n)) ** 2 for n, x in known)
    return Law(law.single_rps, law.contention, law.coherency, 1 - left / spread if spread else 0.0)


def _predicted(solved: tuple[float, float, float], n: float) -> float:
    a, b, c = solved
    return a + b * (n - 1) + c * n * (n - 1)


def _least_squares(
    known: Sequence[tuple[float, float]], held: tuple[int, ...]
) -> tuple[float, float, float] | None:
    """Solve N/X = a + b(N-1) + cN(N-1) with those of b and c that are `held` at zero."""
    free = [place for place in range(3) if place not in held]
    rows = []
    for n, x in known:
        y = n / x
        features = (1.0, n - 1, n * (n - 1))
        rows.append([features[place] / y for place in free])
    size = len(free)
    matrix = [[sum(row[i] * row[j] for row in rows) for j in range(size)] for i in range(size)]
    right = [sum(row[i] for row in rows) for i in range(size)]
    solved = _solved(matrix, right)
    if solved is None:
        return None
    full = [0.0, 0.0, 0.0]
    for place, value in zip(free, solved, strict=True):
        full[place] = value
    return full[0], full[1], full[2]


def _solved(matrix: list[list[float]], right: list[float]) -> list[float] | None:
    """Gaussian elimination with pivots, of three unknowns at most."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for place in range(size):
        pivot = max(range(place, size), key=lambda at: abs(rows[at][place]))
        if abs(rows[pivot][place]) < 1e-30:
            return None
        rows[place], rows[pivot] = rows[pivot], rows[place]
        for other in range(size):
            if other != place:
                factor = rows[other][place] / rows[place][place]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[place], strict=True)]
    return [rows[place][size] / rows[place][place] for place in range(size)]
