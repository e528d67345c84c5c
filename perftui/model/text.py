"""Text from outside is data: what it may contain once it is in the model.

Takes any part of a message, gives it back with every control character, escape and bidirectional
override gone and every string and list within its bound. What is clean already, which is nearly
everything, comes back as the same object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain
from operator import attrgetter, is_
from types import NoneType
from typing import Any, NamedTuple, TypeVar

import msgspec

MAX_TEXT = 2000
"""Characters of one string; the rest is cut."""

MAX_ITEMS = 2000
"""Entries of one list or mapping; the rest is left out."""

T = TypeVar("T")

# Whole sequences first, so that `ESC[31m` leaves nothing behind and not `[31m`.
_ESCAPE_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, screen
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC and the other strings: titles, clipboard
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]?"
)


def clean_text(text: str) -> str:
    """Return `text` on one line, printable throughout and at most `MAX_TEXT` long."""
    if len(text) <= MAX_TEXT and text.isprintable():
        return text
    # Longer than the bound before the escapes are out; bounded all the same, as this costs time.
    text = _ESCAPE_SEQUENCES.sub("", text[: 4 * MAX_TEXT])
    text = "".join(char if char.isprintable() else " " if char.isspace() else "" for char in text)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def clean(value: T) -> T:
    """Return `value` with every string in it clean; the same object if they all are."""
    result: T = _clean(value)
    return result


def _clean(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return clean_text(value)
    if kind is list:
        return _clean_list(value)
    if kind is dict:
        return _clean_dict(value)
    if issubclass(kind, msgspec.Struct):
        return _clean_struct(value, [field.name for field in _fields(kind)])
    return value


def _clean_struct(value: Any, names: Iterable[str]) -> Any:
    changes = {}
    for name in names:
        before = getattr(value, name)
        # Nearly every string of the thousands in a second is clean: it isn't worth a call.
        if not before or (type(before) is str and len(before) <= MAX_TEXT and before.isprintable()):
            continue
        after = _clean(before)
        if after is not before:
            changes[name] = after
    return msgspec.structs.replace(value, **changes) if changes else value


def _clean_list(values: list[Any]) -> list[Any]:
    kept = values if len(values) <= MAX_ITEMS else values[:MAX_ITEMS]
    kinds = set(map(type, kept))
    first = kinds.pop() if len(kinds) == 1 else None
    if first is not None and issubclass(first, msgspec.Struct):
        # Field by field: one look at the texts of two hundred rows is cheaper than two hundred at one.
        doubtful = [field.name for field in _fields(first) if not field.is_clean(list(map(field.of, kept)))]
        if not doubtful:
            return kept
        cleaned = [_clean_struct(each, doubtful) for each in kept]
    else:
        cleaned = [_clean(value) for value in kept]
    return values if kept is values and all(map(is_, cleaned, values)) else cleaned


def _clean_dict(values: dict[Any, Any]) -> dict[Any, Any]:
    kept = list(values.items())[:MAX_ITEMS]
    cleaned = [(_clean(key), _clean(value)) for key, value in kept]
    unchanged = len(kept) == len(values) and all(
        new_key is key and new is old for (new_key, new), (key, old) in zip(cleaned, kept, strict=True)
    )
    return values if unchanged else dict(cleaned)


class _Field(NamedTuple):
    """A field of a struct that may hold a string, however deep."""

    name: str
    of: Callable[[Any], Any]
    is_clean: Callable[[list[Any]], bool]
    """Tells of a field of many structs at once whether nothing needs to be cleaned, if that is soon told."""


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[_Field, ...]:
    """Return the fields of `kind` that may hold a string."""
    return tuple(
        [
            _Field(field.name, attrgetter(field.name), _look_at(field.type))
            for field in msgspec.structs.fields(kind)
            if _may_hold_text(field.type)
        ]
    )


def _look_at(hint: Any) -> Callable[[list[Any]], bool]:
    """Return what tells soon of values of a type whether all of them are clean."""
    kinds: tuple[Any, ...] = getattr(hint, "__args__", ())
    if hint is str or set(kinds) == {str, NoneType}:
        return _are_clean_texts
    if getattr(hint, "__origin__", None) is dict and kinds[0] is str and not _may_hold_text(kinds[1]):
        return _have_clean_keys
    return _are_empty


def _are_empty(values: list[Any]) -> bool:
    return not any(values)


def _are_clean_texts(values: list[str | None]) -> bool:
    texts = list(filter(None, values))
    return not texts or (max(map(len, texts)) <= MAX_TEXT and "".join(texts).isprintable())


def _have_clean_keys(values: list[dict[str, Any]]) -> bool:
    return max(map(len, values), default=0) <= MAX_ITEMS and _are_clean_texts(list(chain(*values)))


def _may_hold_text(hint: Any) -> bool:
    if hint is str or hint is Any:
        return True
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return bool(_fields(hint))
    return any(_may_hold_text(part) for part in getattr(hint, "__args__", ()))
