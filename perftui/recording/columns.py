"""The numbers of frames, apart from the frames: by what they count, so that they pack into half of it.

Takes frames and leaves them without their counters and sketches, which it gives as columns; puts those back
where they were, `BlockError` for columns that do not fit. In a frame a count lies between a name and a sum of
nanoseconds, which have nothing to do with it; what lies at the same place in all frames has. What is left of
the frames is nearly the same each time and packs into nothing.

A column is named after its place (`routes.sql_ns`); see `numbers` and `sketches` for how it is told. One that
a reader has no place for is passed over, and a place without a column is as it lies in the frame: fields may
be added to the wire as ever. Numbers that are impossible stay in the frames as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import Annotated, Any, NamedTuple, TypeAlias, get_args, get_origin

import msgspec

from perftui.recording.numbers import LARGEST, column_of, numbers_of
from perftui.recording.sketches import put_sketches, take_sketches
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import Frame

Columns: TypeAlias = Mapping[str, bytes]
"""By the place of their numbers."""

PACKED_PARTS = frozenset({"routes.", "statements."})
"""Whose sketches can be had packed: nothing but `packed` looks at those, and they are most of a frame."""


class _Shape(NamedTuple):
    """What there is to take out of a kind of part."""

    counters: tuple[str, ...]
    sketches: tuple[str, ...]
    below: tuple[tuple[str, bool, _Shape], ...]
    """Parts of it: their name, whether it is a list of them, and their shape."""


def taken_apart(frames: Sequence[Frame]) -> dict[str, bytes]:
    """Take the numbers out of `frames`, which are no longer what they were; return them."""
    columns: dict[str, bytes] = {}
    for path, parts, shape in _places(frames, _shape(Frame)):
        for name in shape.counters:
            numbers = list(map(attrgetter(name), parts))
            if any(numbers) and min(numbers) >= 0 and max(numbers) <= LARGEST:
                columns[path + name] = column_of(numbers)
                for part in parts:
                    setattr(part, name, 0)
        # The first is taken last: the others are held against it.
        for name in reversed(shape.sketches):
            taken = take_sketches(parts, name, shape.sketches[0])
            columns |= {f"{path}{name}.{what}": column for what, column in taken.items()}
    return columns


def put_back(frames: Sequence[Frame], columns: Columns, *, packs: bool = False) -> None:
    """Put `columns` back into the frames they were taken out of; `BlockError` if they do not fit.

    With `packs`, sketches of routes and statements are `Packed`, as the model packs them first thing.
    """
    for path, parts, shape in _places(frames, _shape(Frame)):
        for name in shape.counters:
            column = columns.get(path + name)
            if column is not None:
                for part, number in zip(parts, numbers_of(column, len(parts)), strict=True):
                    setattr(part, name, number)
        for name in shape.sketches:
            put_sketches(
                parts, name, shape.sketches[0], columns, f"{path}{name}.", packs and path in PACKED_PARTS
            )


def _places(
    parts: Sequence[Any], shape: _Shape, path: str = ""
) -> Iterator[tuple[str, Sequence[Any], _Shape]]:
    """Yield the parts of all frames that are in the same place, with where that is."""
    yield path, parts, shape
    for name, many, below in shape.below:
        found = map(attrgetter(name), parts)
        inner = list(chain.from_iterable(found)) if many else [each for each in found if each is not None]
        if inner:
            yield from _places(inner, below, f"{path}{name}.")


@cache
def _shape(kind: type[msgspec.Struct]) -> _Shape:
    counters, sketches, below = [], [], []
    for field in msgspec.structs.fields(kind):
        hint = _plain(field.type)
        choices = [_plain(each) for each in (hint, *get_args(hint))]
        parts = [each for each in choices if isinstance(each, type) and issubclass(each, msgspec.Struct)]
        many = get_origin(hint) is list
        if hint is int:
            counters.append(field.name)
        elif LatencySketch in parts:
            sketches.append(field.name)
        elif len(parts) == 1 and (many or hint in parts or NoneType in choices) and _can_change(parts[0]):
            below.append((field.name, many, _shape(parts[0])))
    return _Shape(tuple(counters), tuple(sketches), tuple(below))


def _can_change(kind: type[msgspec.Struct]) -> bool:
    return not kind.__struct_config__.frozen


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint
