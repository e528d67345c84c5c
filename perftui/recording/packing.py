"""What becomes of a recording's latest seconds: packed tightly, and merged for whoever leaps there.

Pure, and some milliseconds of CPU for each frame: whoever records does it in a thread. Seconds are written as
they come, each by itself; ten of them packed together, slowly, take two thirds of that. Ten seconds of a
worker merged into one frame are a tenth of the work to show: of those the first picture of any minute is
made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from perftui.model.events import FrameReceived, HistoryReceived
from perftui.recording.blocks import LZMA, ZLIB, BlockError, packed
from perftui.recording.entries import apart, entries_of, entry, together
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import merge_into
from perftui_agent.wire.parts import WorkerId

BLOCK_S = 10
"""What is merged: the blocks in which history is kept, so that none is ever half of one."""

THOROUGH_BYTES = 1024 * 1024
"""So much at once is packed the slow way: 20 to 40 ms of CPU each second for four busy workers of sixty
routes. Of many more a whole core would not be enough."""


class Tight(NamedTuple):
    """What a block holds, as it is stored."""

    codec: int
    stored: bytes


class Aged(NamedTuple):
    """What takes the place of seconds, and stands beside them."""

    seconds: Tight
    tens: list[Tight]
    """Of each ten seconds, an entry for each worker."""


def aged(seconds: Sequence[bytes], ended: Sequence[Mapping[WorkerId, Sequence[bytes]]]) -> Aged:
    """Pack the entries of some `seconds`, and merge those of each ten seconds that have ended, by worker."""
    tens = [[found for frames in ten.values() if (found := _merged(frames))] for ten in ended]
    return Aged(tightly(seconds), [tightly(ten) for ten in tens])


def tightly(entries: Sequence[bytes]) -> Tight:
    """Pack entries as well as can be done in time."""
    try:
        data = apart(entries)
    except BlockError:  # what was written here can be read, but for what no agent tells
        data = together(entries)
    codec = LZMA if len(data) <= THOROUGH_BYTES else ZLIB
    return Tight(codec, packed(data, codec))


def _merged(frames: Sequence[bytes]) -> bytes:
    """Return one entry for several frames of a worker; nothing if they can't be read again."""
    try:
        read = [each for each in entries_of(together(frames)) if isinstance(each, FrameReceived)]
    except BlockError:
        return b""
    if not read:
        return b""
    read.sort(key=lambda event: event.frame.moment_ns)
    whole: Frame = read[0].frame
    for event in read[1:]:
        merge_into(whole, event.frame)
    return entry(HistoryReceived(read[-1].worker, (whole,), read[-1].received_at))
