"""The bytes of a recording: blocks that say how long they are, of when they tell, and that they are whole.

Takes bytes, gives blocks; believes nothing. A header has a checksum of its own, so that a file without an
index is gone through by its headers alone; a payload has another, which is held against it when it is read.
What is torn or changed costs its block and no other: the next begins with the same magic number.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

VERSION = 2
"""1: the numbers of all frames lie within them. It is read as ever."""

MAGIC = b"\xf5PTR"
"""No UTF-8 text and no msgpack string contains the first of these bytes before the others."""

Kind: TypeAlias = Literal["H", "L", "T", "S", "P", "C", "I"]
"""H: the head. L: the story, which is all but frames. T: frames of a moment, as they came. S: those of
several moments, in place of their Ts. P: frames of before. C: frames merged over ten seconds. I: where all
of it is."""

KINDS: Mapping[int, Kind] = MappingProxyType(
    {ord(kind): kind for kind in ("H", "L", "T", "S", "P", "C", "I")}
)

RAW, ZLIB, LZMA = 0, 1, 2

MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
"""No block is larger, as it is stored or unpacked: whatever announces more is damage, or a bomb."""

_HEADER = struct.Struct("<4sBBBxIIqqII")

_CHECK = struct.Struct("<I")

_WHOLE = struct.Struct(_HEADER.format + "I")

HEADER_BYTES = _WHOLE.size

_LZMA = (
    {
        "id": lzma.FILTER_LZMA2,
        "preset": 6,
        "lc": 4,
        "lp": 0,
        "pb": 0,
        "dict_size": 8 * 1024 * 1024,
        "mf": lzma.MF_HC4,
        "depth": 24,
    },
)
"""Nothing in msgpack is aligned: without `pb` frames take 2 % less. Bytes of numbers hold few matches: to
look less for them takes half of the time, and 1 % more room."""


class BlockError(ValueError):
    """The bytes are no block, or not what was written."""


class Header(NamedTuple):
    """What a block says of itself."""

    kind: Kind
    version: int
    codec: int
    length: int
    """Of the payload as it is stored."""
    checksum: int
    first_ns: int
    """Of when it tells, on the time axis of who recorded."""
    last_ns: int
    first: int
    """Which moments its frames are those of, counted from 1: an S stands for the Ts of the same numbers."""
    last: int

    @property
    def size(self) -> int:
        """The bytes of the whole block."""
        return HEADER_BYTES + self.length


def block(
    kind: Kind,
    data: bytes,
    codec: int = ZLIB,
    *,
    first_ns: int = 0,
    last_ns: int = 0,
    first: int = 0,
    last: int = 0,
) -> bytes:
    """Return `data` as a block."""
    stored = packed(data, codec)
    return block_of(kind, codec, stored, first_ns=first_ns, last_ns=last_ns, first=first, last=last)


def block_of(
    kind: Kind, codec: int, stored: bytes, *, first_ns: int, last_ns: int, first: int, last: int
) -> bytes:
    """Return the block of what is packed already."""
    fields = (
        MAGIC,
        ord(kind),
        VERSION,
        codec,
        len(stored),
        zlib.crc32(stored),
        first_ns,
        last_ns,
        first,
        last,
    )
    header = _HEADER.pack(*fields)
    return header + _CHECK.pack(zlib.crc32(header)) + stored


def header_of(data: bytes) -> Header:
    """Return what the first bytes of a block say; `BlockError` if they are not those of one."""
    if len(data) < HEADER_BYTES:
        raise BlockError("it ends within a header")
    magic, kind, version, codec, length, checksum, first_ns, last_ns, first, last, check = _WHOLE.unpack_from(
        data
    )
    if magic != MAGIC or check != zlib.crc32(data[: _HEADER.size]):
        raise BlockError("this is no header of a block")
    if kind not in KINDS or length > MAX_PAYLOAD_BYTES:
        raise BlockError(f"a block of {length} bytes of an unknown kind, or over {MAX_PAYLOAD_BYTES}")
    return Header(KINDS[kind], version, codec, length, checksum, first_ns, last_ns, first, last)


def stored_of(header: Header, stored: bytes) -> bytes:
    """Return `stored` if it is what was written behind `header`; else `BlockError`."""
    if len(stored) != header.length or zlib.crc32(stored) != header.checksum:
        raise BlockError("its bytes are not those that were written")
    return stored


def packed(data: bytes, codec: int) -> bytes:
    """Return `data` as it is stored."""
    if codec == LZMA:
        return lzma.compress(data, lzma.FORMAT_RAW, filters=_LZMA)
    return zlib.compress(data, 6) if codec == ZLIB else data


def unpacked(stored: bytes, codec: int) -> bytes:
    """Return what was stored; `BlockError` for what can't be, or is too much."""
    try:
        if codec == LZMA:
            data = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA).decompress(
                stored, MAX_PAYLOAD_BYTES + 1
            )
        elif codec == ZLIB:
            data = zlib.decompressobj().decompress(stored, MAX_PAYLOAD_BYTES + 1)
        else:
            data = stored
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise BlockError(f"it can't be unpacked: {error}") from None
    if codec not in {RAW, ZLIB, LZMA} or len(data) > MAX_PAYLOAD_BYTES:
        raise BlockError(f"it is packed in an unknown way, or holds over {MAX_PAYLOAD_BYTES} bytes")
    return data
