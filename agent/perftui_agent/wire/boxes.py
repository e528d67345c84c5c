"""The bytes of a black box: messages in a file that may end, or have been overwritten, anywhere.

Each message stands in an envelope: a magic number, its length, its checksum. Whoever reads looks for
envelopes and believes those whose checksum is right, so what was torn by a crash, or half overwritten
by a newer message, costs that message alone and needs no index.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from perftui_agent.wire.codec import EVIDENCE, WireError, decode_from_agent
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, Frame, Hello, History
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.merging import latest_evidence

MAGIC = b"\xf5PTB"
"""No UTF-8 text and no msgpack string contains the first of these bytes before the others."""

_ENVELOPE = struct.Struct("<4sII")

ENVELOPE_BYTES = _ENVELOPE.size

WHOLE_SHARE = 0.97
"""Seconds that cover so much of a thinned frame are all of those it was made of: one less is a tenth less."""

MAX_BOX_BYTES = 256 * 1024 * 1024
"""No box that is read is larger."""


def envelope(message: bytes) -> bytes:
    """Return `message` in its envelope."""
    return _ENVELOPE.pack(MAGIC, len(message), zlib.crc32(message)) + message


def whole_messages(data: bytes) -> Iterator[bytes]:
    """Yield each message in `data` that is whole, in the order they lie there."""
    at = data.find(MAGIC)
    while at >= 0:
        end = at + ENVELOPE_BYTES
        if end > len(data):
            return
        _, length, checksum = _ENVELOPE.unpack_from(data, at)
        message = data[end : end + length] if length <= MAX_MESSAGE_BYTES else b""
        if len(message) == length and zlib.crc32(message) == checksum:
            yield message
            at = data.find(MAGIC, end + length)
        else:
            at = data.find(MAGIC, at + 1)


def read_box(path: Path) -> tuple[Hello | None, list[Frame]]:
    """Return who wrote the box and its frames, oldest first, none twice; what can't be read is left out.

    Raises OSError if the file can't be read at all, `WireError` if it is no box.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BOX_BYTES)
    hello: Hello | None = None
    fine: dict[int, Frame] = {}
    coarse: dict[int, Frame] = {}
    frozen: dict[int, Frame] = {}
    for bytes_ in whole_messages(data):
        try:
            message = decode_from_agent(bytes_)
        except WireError:
            continue
        if isinstance(message, Frame):
            (coarse if message.thinned else fine)[message.moment_ns] = message
        elif isinstance(message, History):
            frozen.update({frame.moment_ns: frame for frame in message.frames})
        elif isinstance(message, Hello):
            hello = hello or message
    if hello is None and not fine and not coarse:
        raise WireError(f"{path.name} is no black box: no whole message in its {len(data)} bytes")
    turn = turning_point(list(coarse), list(fine))
    thinned = [frame for moment, frame in coarse.items() if moment <= turn]
    frames = _with_frozen(thinned, [frame for moment, frame in frozen.items() if moment <= turn])
    frames += [frame for moment, frame in fine.items() if moment > turn]
    return hello, sorted(frames, key=lambda frame: frame.moment_ns)


def _with_frozen(thinned: list[Frame], frozen: list[Frame]) -> list[Frame]:
    """Return thinned frames, each replaced by the seconds it was made of where all of them were kept."""
    frames: list[Frame] = []
    for whole in thinned:
        begin = whole.moment_ns - whole.span_ns
        within = [each for each in frozen if begin < each.moment_ns - each.span_ns // 2 <= whole.moment_ns]
        is_covered = sum(each.span_ns for each in within) >= WHOLE_SHARE * whole.span_ns
        frames += within if is_covered else [whole]
    return frames


def read_evidence(path: Path) -> tuple[Hello | None, list[Evidence]]:
    """Return who wrote a box and what it has kept, each piece as it was told of last; see `read_box`.

    Nothing else of the box is decoded: this takes some milliseconds. Of a box without any it says nothing.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BOX_BYTES)
    hello: Hello | None = None
    if EVIDENCE not in data:
        return None, []
    told: list[tuple[int, Evidence]] = []
    for bytes_ in whole_messages(data):
        if hello is not None and EVIDENCE not in bytes_:
            continue
        try:
            message = decode_from_agent(bytes_)
        except WireError:
            continue
        if isinstance(message, Hello):
            hello = hello or message
        elif isinstance(message, Frame | History):
            told += [(each.at + each.ns, each) for each in message.evidence]
    # Each was told of in a frame as well as kept, and one after the other of several.
    told.sort(key=lambda each: (each[0], bool(each[1].outcome), len(each[1].result)))
    return hello, latest_evidence([each for _, each in told])


def turning_point(coarse: Sequence[int], fine: Sequence[int]) -> int:
    """Return the moment up to which thinned frames tell the story, and from which on fine ones do.

    Takes the ends of the frames of either kind (a thinned one ends where some fine one ended). The
    answer is the earliest end of a thinned frame from which on every second is there; 0 if the fine
    ones go back as far as the thinned.
    """
    if not fine:
        return max(coarse, default=0)
    fine_from = min(fine)
    if not any(ended_at < fine_from for ended_at in coarse):
        return 0
    later = [ended_at for ended_at in coarse if ended_at >= fine_from]
    return min(later) if later else max(coarse)
