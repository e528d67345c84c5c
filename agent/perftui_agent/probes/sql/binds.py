"""Tells whether two executions had the same values, without keeping the values.

A hash, salted per process, is all that leaves the statement; it never leaves the process. Values that
are many or of no hashable kind are not compared: "unknown" is no "same".
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, TypeAlias

BindHash: TypeAlias = int
"""Equal for equal values, in this process."""

MAX_BINDS = 64

MAX_ELEMENTS = 64
"""Of a list or a JSON object. A text of any length is hashed: 1 MB takes 0.4 ms, the driver several."""

SALT = random.SystemRandom().getrandbits(62)


def hash_of_binds(parameters: Any) -> BindHash | None:
    """Return the hash of one execution's values, as the driver gets them; None if they are not compared."""
    try:
        if parameters is None or len(parameters) > MAX_BINDS:
            return None
        values = tuple(parameters.values() if type(parameters) is dict else parameters)
        try:
            return hash((SALT, values))
        except TypeError:
            return hash((SALT, tuple(_hashable(values))))
    except Exception:  # noqa: BLE001 - the hash of someone's own type may do anything
        return None


def _hashable(values: Iterable[Any]) -> Iterable[Any]:
    """Yield lists and dicts of plain values (arrays, JSON) in a form that has a hash."""
    for value in values:
        kind = type(value)
        if kind is not list and kind is not dict:
            yield value
        elif len(value) > MAX_ELEMENTS:
            raise TypeError(f"{len(value)} elements; {MAX_ELEMENTS} are compared")
        else:
            yield kind, *(value if kind is list else value.items())
