"""Where a block lies, and what it holds there."""

from __future__ import annotations

import os
from typing import NamedTuple

from perftui.recording.blocks import HEADER_BYTES, BlockError, Header, header_of, stored_of, unpacked


class Place(NamedTuple):
    """Where a block lies."""

    offset: int
    header: Header


def read_block(file: int, place: Place) -> bytes:
    """Return what a block holds; `BlockError` if that is not what was written there."""
    return unpacked(read_stored(file, place), place.header.codec)


def read_stored(file: int, place: Place) -> bytes:
    """Return what a block holds as it is stored; `BlockError` if that is not what was written there."""
    data = os.pread(file, place.header.size, place.offset)
    if header_of(data) != place.header:
        raise BlockError("another block lies there")
    return stored_of(place.header, data[HEADER_BYTES:])
