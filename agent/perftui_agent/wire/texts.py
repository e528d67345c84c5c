"""What can travel of a value: UTF-8 knows no lone surrogates, and msgpack no integers beyond 64 bits.

Names of files and variables of the environment need not be UTF-8; Python keeps their other bytes as lone
surrogates, and one of them anywhere in a message would cost all of it. It becomes a replacement character.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

REPLACEMENT = "\ufffd"

_LONE = re.compile("[\ud800-\udfff]")

LEAST, MOST = -(1 << 63), (1 << 63) - 1


def encodable_text(text: str) -> str:
    """Return `text` with a replacement character for what can't be encoded."""
    return _LONE.sub(REPLACEMENT, text)


def encodable(value: T) -> T:
    """Return a copy of a message, or of a part of one, that can be encoded."""
    result: T = _encodable(value)
    return result


def _encodable(value: Any) -> Any:
    if value is None or isinstance(value, bool | float | bytes | msgspec.Raw):
        return value
    if isinstance(value, str):
        return encodable_text(value)  # of a subclass as well: those don't travel
    if isinstance(value, int):
        return min(max(int(value), LEAST), MOST)
    if isinstance(value, list | tuple):
        return [_encodable(each) for each in value]
    if isinstance(value, dict):
        return _encodable_dict(value)
    if isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        return type(value)(**{name: _encodable(getattr(value, name)) for name in fields})
    return encodable_text(str(value))


def _encodable_dict(values: dict[Any, Any]) -> dict[Any, Any]:
    copied: dict[Any, Any] = {}
    for key, value in values.items():
        key, value = _encodable(key), _encodable(value)
        # Two that differ in what can't be told only: what they counted belongs together.
        both_count = type(value) is int and type(copied.get(key)) is int
        copied[key] = min(copied[key] + value, MOST) if both_count else value
    return copied
