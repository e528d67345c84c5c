"""Frozen data."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest

from perftui.record import Record


class Shape(Record, frozen=True):
    """Some data."""

    name: str
    sides: int = 3
    marks: Mapping[str, int] = msgspec.field(default_factory=dict)

    @property
    def shown(self) -> str:
        return f"{self.name} {self.sides}"


def test_it_is_made_by_place_or_by_name() -> None:
    """With what is not given as it is said, anew for each."""
    assert Shape("a") == Shape(name="a", sides=3)
    assert Shape("a").marks is not Shape("a").marks
    assert Shape("a", 4).shown == "a 4"


def test_it_never_changes() -> None:
    """What differs is another one."""
    shape = Shape("a")
    with pytest.raises(AttributeError):
        shape.sides = 4  # type: ignore[misc]  # it is what must fail
    assert replace(shape, sides=4) == Shape("a", 4)
    assert shape.sides == 3


def test_what_it_does_not_have_cannot_be_replaced() -> None:
    """A misspelt name is an error, as with a dataclass."""
    with pytest.raises(TypeError):
        replace(Shape("a"), side=4)  # type: ignore[call-arg]  # it is what must fail


def test_it_is_equal_and_hashed_by_its_values() -> None:
    """So it can be kept in sets, copied and sent, if what it holds can."""

    class Point(Record, frozen=True):
        x: int

    assert {Point(1), Point(1), Point(2)} == {Point(1), Point(2)}
    shape = Shape("a", 4, {"b": 1})
    assert copy.deepcopy(shape) == shape == pickle.loads(pickle.dumps(shape))
