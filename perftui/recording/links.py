"""Links: where the blocks lie, told now and then while a recording is written, should nobody write its end.

A day that was killed has 17,000 headers, and to go from one to the next takes as long as the picture that is
wanted. Each link tells of the blocks since the one before, which by then are not moved any more.
"""

from __future__ import annotations

import os

import msgspec

from perftui.recording.blocks import HEADER_BYTES, MAGIC, BlockError, header_of
from perftui.recording.places import Place, read_block

LINK_S = 300.0
"""Between two links: those of a day take a third of a megabyte."""

_SOUGHT_AT_ONCE = 1024 * 1024

_SOUGHT_BACK = 64 * _SOUGHT_AT_ONCE
"""So much of the end may lie behind the last link: ten times what a busy service tells within `LINK_S`."""

_MARK = MAGIC + b"I"


class Link(msgspec.Struct, array_like=True, frozen=True):
    """Where the blocks lie that came after those of the link before: written now and then, in a block as an
    index is, whose `last` is 0."""

    before: int
    """Where the link before lies; 0 if there is none."""
    until: int
    """Where the first block begins that it does not tell of: that one may still be moved."""
    places: list[Place]


_links: msgspec.msgpack.Decoder[Link] = msgspec.msgpack.Decoder(Link)


def linked(file: int, size: int) -> tuple[list[Place], int]:
    """Return the places that links tell of, and where the first lies of which they don't."""
    last = _last_link(file, size)
    if last is None:
        return [], 0
    offset, link = last
    until, several = link.until, [link.places]
    try:
        while link.before:
            if not 0 < link.before < offset:
                raise BlockError("a link leads on")
            offset = link.before
            link = _link_at(file, offset)
            several.append(link.places)
    except (BlockError, OSError, OverflowError, ValueError):
        return [], 0  # what it leads to can't be believed: then headers tell all
    return [each for places in reversed(several) for each in places if each.header.kind != "I"], until


def _last_link(file: int, size: int) -> tuple[int, Link] | None:
    end = size
    while end > max(0, size - _SOUGHT_BACK):
        begin = max(0, end - _SOUGHT_AT_ONCE)
        data = os.pread(file, end - begin + len(_MARK) - 1, begin)
        found = data.rfind(_MARK)
        while found >= 0:
            offset = begin + found
            try:
                link = _link_at(file, offset)
                if 0 <= link.until <= offset:
                    return offset, link
            except (BlockError, OSError, OverflowError, ValueError):
                pass
            found = data.rfind(_MARK, 0, found + len(_MARK) - 1)
        end = begin
    return None


def _link_at(file: int, offset: int) -> Link:
    header = header_of(os.pread(file, HEADER_BYTES, offset))
    if header.kind != "I" or header.last:
        raise BlockError("no link lies there")
    return _links.decode(read_block(file, Place(offset, header)))
