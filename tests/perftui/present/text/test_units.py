"""Numbers as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.present.text.units import (
    MS_WIDTH,
    NO_DATA,
    PERCENT_WIDTH,
    RATE_WIDTH,
    SIZE_WIDTH,
    age,
    count,
    ms,
    percent,
    rate,
    short_count,
    size,
    window,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0ms"),
        (0.04, "<0.1ms"),
        (0.6, "0.6ms"),
        (9.94, "9.9ms"),
        (9.96, "10ms"),
        (840.0, "840ms"),
        (999.6, "1.00s"),
        (2310.0, "2.31s"),
        (12_345.0, "12.3s"),
        (123_456.0, "123s"),
        (1_020_000.0, "17m"),
        (10_800_000.0, "3h"),
    ],
)
def test_a_duration_reads_in_the_unit_people_would_use(value: float, expected: str) -> None:
    """Sub-milliseconds keep a decimal, seconds three digits, and rounding never shows 1000ms."""
    assert expected == ms(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0.0%"), (0.0001, "<0.1%"), (0.011, "1.1%"), (0.0996, "10%"), (0.78, "78%"), (4.12, "412%")],
)
def test_a_small_share_is_not_rounded_away(value: float, expected: str) -> None:
    """A share above 0 never reads 0.0%: one error in a thousand is an error."""
    assert expected == percent(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (0.001, "<0.01"), (0.04, "0.04"), (41.0, "41.0"), (412.0, "412"), (12_345.0, "12.3k")],
)
def test_a_rate_keeps_three_digits(value: float, expected: str) -> None:
    """Rates from one in a minute to millions a second stay comparable in one column."""
    assert expected == rate(value)


@pytest.mark.parametrize(
    ("value", "expected"), [(38, "38 B"), (9_949, "9.9 kB"), (212e6, "212 MB"), (1.2e9, "1.2 GB")]
)
def test_a_size_reads_in_powers_of_a_thousand(value: float, expected: str) -> None:
    """Bytes are counted as networks and disks count them."""
    assert expected == size(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.9, "1.9 s"), (38.2, "38 s"), (724, "12m 04s"), (11_520, "3h 12m"), (187_200, "2d 04h")],
)
def test_an_age_has_at_most_two_units(value: float, expected: str) -> None:
    """How long ago something was is told as a person would tell it."""
    assert expected == age(value)


@pytest.mark.parametrize("write", [ms, rate, percent, size, count, short_count, age])
def test_no_data_is_never_a_zero(write: object) -> None:
    """None reads as a dash in every unit: what wasn't measured isn't 0."""
    assert callable(write)
    assert write(None) == NO_DATA


def test_a_window_reads_as_its_key_names_it() -> None:
    """10 s, a minute, a quarter of an hour."""
    assert [window(value) for value in (10.0, 60.0, 900.0, 3600.0)] == ["10s", "1m", "15m", "1h"]


@given(st.floats(min_value=0, max_value=1e13))
def test_no_number_is_wider_than_its_column(value: float) -> None:
    """Whatever the value, the text fits the width that columns count on."""
    assert len(ms(value)) <= MS_WIDTH
    assert len(rate(value)) <= RATE_WIDTH
    assert len(percent(value)) <= PERCENT_WIDTH
    assert len(size(value)) <= SIZE_WIDTH
