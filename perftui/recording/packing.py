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
from perftui.recording.entries import entries_of, entry, together
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import merge_into
from perftui_agent.wire.parts import WorkerId

BLOCK_S = 10
"""What is merged: the blocks in which history is kept, so that none is ever half of one."""

THOROUGH_BYTES = 1024 * 1024
"""So much at once is packed the slow way: 20 to 40 ms of CPU each second for four busy workers of sixty
routes. Of many more a whole core would not be enough."""


class Aged(NamedTuple):
    """What takes the place of seconds, or stands beside them."""

    codec: int
    stored: bytes
    """The seconds together, as `codec` has packed them."""
    merged: list[bytes]
    """An entry for each worker's ten seconds."""


def aged(seconds: Sequence[bytes], ended: Sequence[Mapping[WorkerId, Sequence[bytes]]]) -> Aged:
    """Pack the entries of some `seconds`, and merge those of each ten seconds that have ended, by worker."""
    codec, stored = tightly(together(seconds))
    merged = [found for ten in ended for frames in ten.values() if (found := _merged(frames))]
    return Aged(codec, stored, merged)


def tightly(data: bytes) -> tuple[int, bytes]:
    """Return how `data` was packed, and as what."""
    codec = LZMA if len(data) <= THOROUGH_BYTES else ZLIB
    return codec, packed(data, codec)


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
