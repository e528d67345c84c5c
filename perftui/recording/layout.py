"""Where the blocks of a recording lie: by the index at its end, else by links, then from header to header.

Takes an open file, gives places, and where there is none. Where no header is, the next one is looked for; of
blocks that lie there twice, since a kill came between writing and moving them, each counts once.
"""

from __future__ import annotations

import contextlib
import gc
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from perftui.recording.blocks import (
    HEADER_BYTES,
    MAGIC,
    BlockError,
    Header,
    Kind,
    header_of,
)
from perftui.recording.links import linked
from perftui.recording.places import Place, read_block, read_stored

INDEX_MARK = b"PTRINDEX"

FOOTER_BYTES = 8 + len(INDEX_MARK)

_SOUGHT_AT_ONCE = 1024 * 1024

MAX_BLOCKS = 4_000_000
"""Of weeks; what is beyond is not read."""


class Damage(NamedTuple):
    """A part of the file that holds nothing that can be read."""

    offset: int
    size: int
    to_the_end: bool
    """Whether nothing comes after it: the file was cut off, or whoever wrote it was killed."""


class Layout(NamedTuple):
    """What there is."""

    places: list[Place]
    damage: list[Damage]
    closed: bool
    """Whether it was written to its end."""


_rows: msgspec.msgpack.Decoder[list[Place]] = msgspec.msgpack.Decoder(list[Place])


def index_of(places: Iterable[Place]) -> bytes:
    """Return what an index block holds."""
    return msgspec.msgpack.encode(list(places))


def footer(offset: int) -> bytes:
    """Return the last bytes of a file, which say where its index is."""
    return offset.to_bytes(8, "little") + INDEX_MARK


def layout_of(file: int) -> Layout:
    """Return where everything is in an open file."""
    size = os.fstat(file).st_size
    with _uncollected():
        places = _indexed(file, size)
        if places is not None:
            return Layout(places, [], closed=True)
        told, at = linked(file, size)
        found = list(_walked(file, size, at))
        places = _each_once(file, [each for each in found if isinstance(each, Place)])
        damage = [each for each in found if isinstance(each, Damage)]
        closed = bool(places) and places[-1].header.kind == "I" and places[-1].header.last > 0
        return Layout([*told, *[each for each in places if each.header.kind != "I"]], damage, closed)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: among ten thousands of new tuples that is half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _indexed(file: int, size: int) -> list[Place] | None:
    """Return what the index says; None where there is none that can be believed."""
    tail = os.pread(file, FOOTER_BYTES, max(0, size - FOOTER_BYTES))
    if len(tail) < FOOTER_BYTES or not tail.endswith(INDEX_MARK):
        return None
    offset = int.from_bytes(tail[:8], "little")
    try:
        header = header_of(os.pread(file, HEADER_BYTES, offset))
        if header.kind != "I" or offset + header.size != size - FOOTER_BYTES:
            return None
        return [
            each for each in _rows.decode(read_block(file, Place(offset, header))) if each.header.kind != "I"
        ]
    except (BlockError, OSError, OverflowError, ValueError):
        return None


def _walked(file: int, size: int, at: int = 0) -> Iterator[Place | Damage]:
    """Yield what lies in the file from `at` on, in order."""
    count = 0
    while at < size and count < MAX_BLOCKS:
        if size - at == FOOTER_BYTES and os.pread(file, FOOTER_BYTES, at).endswith(INDEX_MARK):
            return
        header = _header_at(file, at)
        if header is not None and at + header.size <= size:
            yield Place(at, header)
            at, count = at + header.size, count + 1
            continue
        following = _next_header(file, at + 1, size)
        yield Damage(at, (following or size) - at, to_the_end=following is None)
        if following is None:
            return
        at = following


def _header_at(file: int, at: int) -> Header | None:
    try:
        return header_of(os.pread(file, HEADER_BYTES, at))
    except BlockError:
        return None


def _next_header(file: int, at: int, size: int) -> int | None:
    """Return where the next block begins whose header is whole, from `at` on."""
    while at < size:
        data = os.pread(file, _SOUGHT_AT_ONCE + HEADER_BYTES, at)
        found = data.find(MAGIC)
        while 0 <= found < _SOUGHT_AT_ONCE:
            header = _header_at(file, at + found)
            if header is not None and at + found + header.size <= size:
                return at + found
            found = data.find(MAGIC, found + 1)
        at += _SOUGHT_AT_ONCE
    return None


def _each_once(file: int, places: Sequence[Place]) -> list[Place]:
    """Return each block once; seconds that are packed in another block are left to it."""
    kept: dict[tuple[Kind, int], Place] = {}
    for place in places:
        key = place.header.kind, place.header.first
        # Of two the first may have been torn as the second was being moved there.
        if key not in kept or not _is_whole(file, kept[key]):
            kept[key] = place
    packed = sorted(
        (each.header.first, each.header.last, each) for each in kept.values() if each.header.kind == "S"
    )
    whole: dict[int, bool] = {}
    found = []
    for place in kept.values():
        holds = _holding(packed, place.header.first) if place.header.kind == "T" else None
        # There are such seconds only where somebody was killed: not every block is read for it.
        if holds is None or not whole.setdefault(holds.offset, _is_whole(file, holds)):
            found.append(place)
    return sorted(found, key=lambda each: each.offset)


def _holding(packed: Sequence[tuple[int, int, Place]], number: int) -> Place | None:
    """Return the block in which a moment is packed."""
    index = bisect_right(packed, number, key=lambda each: each[0]) - 1
    return packed[index][2] if index >= 0 and number <= packed[index][1] else None


def _is_whole(file: int, place: Place) -> bool:
    try:
        read_stored(file, place)
    except BlockError:
        return False
    return True
