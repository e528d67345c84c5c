"""The Universal Scalability Law over steps whose coefficients are known."""

from __future__ import annotations

import random

import pytest

from perftui.ramp.law import Law, fitted, throughput

UNDER_WAY = (1, 2, 4, 8, 16, 32, 64, 96)


@pytest.mark.parametrize(
    ("contention", "coherency"), [(0.0, 0.0), (0.05, 0.0), (0.02, 0.0003), (0.3, 0.0), (0.0, 0.001)]
)
def test_known_coefficients_are_found(contention: float, coherency: float) -> None:
    """Without noise they are exact."""
    law = Law(120.0, contention, coherency, 1.0)
    found = fitted([(n, throughput(law, n)) for n in UNDER_WAY])
    assert found is not None
    assert found.single_rps == pytest.approx(120.0)
    assert found.contention == pytest.approx(contention, abs=1e-9)
    assert found.coherency == pytest.approx(coherency, abs=1e-9)
    assert found.r2 == pytest.approx(1.0)


def test_noise_makes_no_coefficient_negative() -> None:
    """What is no law is held at zero, and what is there is found in its size."""
    law = Law(100.0, 0.05, 0.0, 1.0)
    for seed in range(50):
        rng = random.Random(seed)
        found = fitted([(n, throughput(law, n) * rng.gauss(1, 0.03)) for n in UNDER_WAY])
        assert found is not None
        assert found.coherency >= 0
        assert found.contention == pytest.approx(0.05, abs=0.02)


def test_too_few_steps_say_nothing() -> None:
    """Nor do steps that are all alike."""
    assert fitted([(1, 10.0), (2, 19.0), (4, 35.0)]) is None
    assert fitted([(1.0, 10.0), (1.1, 11.0), (1.2, 12.0), (1.3, 13.0)]) is None


def test_the_coefficients_are_told_in_words() -> None:
    """With the throughput that they bound."""
    assert "no more than some 2000/s" in Law(100.0, 0.05, 0.0, 1.0).in_words()
    assert "most at 31 under way" in Law(100.0, 0.0, 0.001, 1.0).in_words().replace("32", "31")
    assert "no contention" in Law(100.0, 0.0, 0.0, 1.0).in_words()
