"""Frozen data, as cheap to declare as it is to make.

A frozen dataclass with slots takes a millisecond and more to be declared: each of its methods is a text that
is compiled at every start, and there were seventy of them before the first picture. A struct is declared in a
fraction of that.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec


class _Fields:
    """What `dataclasses.replace` asks a class for."""

    def __get__(self, _: object, owner: type[msgspec.Struct]) -> dict[str, dataclasses.Field[Any]]:
        return _fields_of(owner)


@cache
def _fields_of(owner: type[msgspec.Struct]) -> dict[str, dataclasses.Field[Any]]:
    # Asked for by every `replace`, of which a picture takes fifty.
    return {each.name: each for each in map(_field, owner.__struct_fields__)}


def _field(name: str) -> dataclasses.Field[Any]:
    field: dataclasses.Field[Any] = dataclasses.field()
    field.name = name
    field._field_type = dataclasses._FIELD  # type: ignore[attr-defined]  # as the decorator marks it
    return field


class Record(msgspec.Struct, frozen=True):
    """The base of frozen data: `Point(at=1.0)`, and `dataclasses.replace` for one that differs."""

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    else:
        __dataclass_fields__ = _Fields()
