"""The slowest run of a statement: its text, its values, and where it ran. It stays in the process.

It is kept so that the database can be asked how it goes about that very run. Nothing of it is ever copied
out: not into a frame, a file, a log, a repr. What is large, or of a kind that might be more than a value, is
not kept, so that nothing of the app's lives longer for it than a few kilobytes.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
import weakref
from typing import Any

import msgspec

MOST_VALUES = 500

MOST_BYTES = 8_192
"""Of the values of one run."""

MOST_CHARACTERS = 16_384
"""Of its text."""

_PLAIN = (
    bool,
    int,
    float,
    decimal.Decimal,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    type(None),
)

_PLAIN_BYTES = 64


class KeptRun(msgspec.Struct, frozen=True, eq=False, repr_omit_defaults=True):
    """One run of a statement."""

    ns: int
    text: str
    parameters: Any
    """As the driver got them, a tuple or a dict."""
    engine: weakref.ref[Any]
    bytes: int

    def __repr__(self) -> str:
        return f"KeptRun({self.ns / 1e6:.0f} ms, {self.bytes} bytes)"


def kept_run(ns: int, text: str, parameters: Any, engine: Any) -> KeptRun | None:
    """Return a run to be kept; None for one that is too large, or has values of unknown kinds."""
    if engine is None or len(text) > MOST_CHARACTERS:
        return None
    if type(parameters) is list and parameters and type(parameters[0]) in {tuple, dict}:
        parameters = parameters[0]  # one of many that went together
    size = _size_of(parameters, 0)
    if size is None or size > MOST_BYTES:
        return None
    # What `execution_options` returns goes with whoever asked for it; the engine behind it stays.
    engine = getattr(engine, "_proxied", engine)
    return KeptRun(ns, text, parameters, weakref.ref(engine), size + len(text))


def _size_of(value: Any, depth: int) -> int | None:
    """Return about how large a value is; None if it is of no kind that is kept."""
    kind = type(value)
    if kind is str or kind is bytes:
        return _PLAIN_BYTES + len(value)
    if kind in _PLAIN or isinstance(value, datetime.date):
        return _PLAIN_BYTES
    if kind is dict:
        value = value.values()
    elif kind not in {tuple, list}:
        return None
    if len(value) > MOST_VALUES or depth > 3:
        return None
    whole = _PLAIN_BYTES
    for each in value:
        size = _size_of(each, depth + 1)
        if size is None:
            return None
        whole += size
        if whole > MOST_BYTES:
            return whole
    return whole
