"""Tells whether two executions had the same values, without keeping the values.

A hash, salted per process, is all that leaves the statement; it never leaves the process. Values that
are many, long or of no hashable kind are not compared: "unknown" is no "same".
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, TypeAlias

BindHash: TypeAlias = int
"""Equal for equal values, in this process."""

MAX_BINDS = 64

MAX_BIND_LENGTH = 1_024
"""Of a text, of bytes or a list: hashing 1 MB takes half a millisecond."""

_SALT = random.SystemRandom().getrandbits(62)

_LONG_KINDS = frozenset({str, bytes, bytearray, memoryview, list, tuple, set, frozenset, dict})


def hash_of_binds(parameters: Any) -> BindHash | None:
    """Return the hash of one execution's values, as the driver gets them; None if they are not compared."""
    if not parameters:
        return None if parameters is None else _SALT
    try:
        values = tuple(parameters.values() if type(parameters) is dict else parameters)
        if len(values) > MAX_BINDS:
            return None
        for value in values:
            if type(value) in _LONG_KINDS and len(value) > MAX_BIND_LENGTH:
                return None
        try:
            return hash((_SALT, values))
        except TypeError:
            return hash((_SALT, *_hashable(values)))
    except Exception:  # noqa: BLE001 - the hash of someone's own type may do anything
        return None


def _hashable(values: Iterable[Any]) -> Iterable[Any]:
    """Yield lists and dicts of plain values (arrays, JSON) in a form that has a hash."""
    for value in values:
        if type(value) is list:
            yield "list", *value
        elif type(value) is dict:
            yield "dict", *value.items()
        else:
            yield value
