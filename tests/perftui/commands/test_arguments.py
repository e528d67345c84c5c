"""Arguments that several verbs take."""

from __future__ import annotations

from typing import Any

import click
import pytest

from perftui.commands.arguments import WholeNumber, row_filter, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [("10s", 10.0), ("500ms", 0.5), ("2m", 120.0), ("1.5m", 90.0), ("1h", 3600.0), ("7", 7.0)],
)
def test_lengths_of_time_are_written_as_people_write_them(text: str, value: float) -> None:
    """Milliseconds to hours; a bare number is seconds."""
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0s", "-1s", "ten", "1 s", "1d", "1e3s", "٣s"])
def test_anything_else_is_refused(text: str) -> None:
    """No guess is made at what was meant."""
    with pytest.raises(click.BadParameter, match="write 500ms, 10s or 2m"):
        seconds(text)


def test_what_is_no_number_is_called_that() -> None:
    """Not by what the type is called inside."""
    typed: Any = "x"
    with pytest.raises(click.BadParameter, match="'x' is not a valid whole number"):
        WholeNumber(1).convert(typed, None, None)


def test_a_filter_that_is_not_understood_is_refused_in_its_own_words() -> None:
    """The sentence names the word and what to write instead."""
    with pytest.raises(click.BadParameter, match="p95>fast: fast is not a time, write p95>200ms"):
        row_filter("route:/orders p95>fast")
    assert row_filter("").text == ""
