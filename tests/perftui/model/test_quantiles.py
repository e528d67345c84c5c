"""Figures from sketches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perftui.model.measures import Latency
from perftui.model.quantiles import latency_of, quantile_ms, quantiles
from perftui_agent.sketch import LatencySketch
from tests.support.frames import sketch


@given(
    st.lists(st.integers(0, 10**12), max_size=60),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
)
def test_quantiles_together_are_what_each_is_alone(values: list[int], wanted: list[float]) -> None:
    """One pass finds exactly what the sketch itself finds."""
    whole = LatencySketch()
    for value in values:
        whole.add(value)
    assert quantiles(whole, wanted) == [whole.quantile(q) for q in wanted]


def test_nothing_measured_is_no_data() -> None:
    """An empty sketch has no latency, and not one of 0."""
    assert latency_of(LatencySketch()) == Latency()
    assert quantile_ms(None, 0.95) is None
    assert quantile_ms(LatencySketch(), 0.95) is None


def test_a_single_value_is_every_quantile() -> None:
    """Of one request all quantiles are its own, and the maximum is exact."""
    latency = latency_of(sketch([12.5]))
    assert latency.max_ms == 12.5
    assert latency.p50_ms == latency.p95_ms == latency.p99_ms
    assert abs((latency.p50_ms or 0) / 12.5 - 1) < 0.01
