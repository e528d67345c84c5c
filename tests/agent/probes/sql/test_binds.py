"""Values are compared and never kept."""

from __future__ import annotations

import datetime
import decimal
import os
import subprocess
import sys
import uuid
from typing import Any

import pytest

from perftui_agent.probes.sql.binds import MAX_BINDS, MAX_ELEMENTS, hash_of_binds


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1,), (2,)),
        ((1, 2), (2, 1)),
        ({"a": 1}, {"a": 2}),
        (("x",), ("y",)),
        ((None,), (0,)),
        (([1, 2],), ([2, 1],)),
        (({"a": 1},), ({"a": 2},)),
        ((uuid.UUID(int=1),), (uuid.UUID(int=2),)),
        ((datetime.date(2026, 1, 1),), (datetime.date(2026, 1, 2),)),
        ((decimal.Decimal("1.10"),), (decimal.Decimal("1.11"),)),
        ((), (1,)),
    ],
)
def test_same_and_other(one: Any, other: Any) -> None:
    """Equal values have one hash, others another: in tuples, dicts, arrays and JSON alike."""
    assert hash_of_binds(one) == hash_of_binds(type(one)(one)) is not None
    assert hash_of_binds(one) != hash_of_binds(other)


class Unhashable:
    """Like a driver's own wrapper, with a repr that must not be asked for."""

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise AssertionError("a value was looked at")


class Broken:
    """A type whose hash fails in its own way."""

    def __hash__(self) -> int:
        raise RuntimeError("of the app")


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        (Unhashable(),),
        (Broken(),),
        ([Unhashable()],),
        ([[1]],),
        tuple(range(MAX_BINDS + 1)),
        (list(range(MAX_ELEMENTS + 1)),),
        7,
    ],
)
def test_what_is_not_compared(parameters: Any) -> None:
    """Values that are too many or can't be hashed are unknown, not the same."""
    assert hash_of_binds(parameters) is None


def test_salted() -> None:
    """The same values have another hash in each process, even where Python's own hashes are fixed."""
    code = "from perftui_agent.probes.sql.binds import hash_of_binds; print(hash_of_binds((1, 'x')))"
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    }
    assert len(hashes) == 2
