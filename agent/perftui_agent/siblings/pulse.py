"""A worker's sign of life: a small file of its own, in which it notes the time four times a second.

Beside the time stand the requests it has in flight, as they were when the last frame was closed: whoever
finds that it has fallen silent can still read them. Siblings open the file, read it and close it again.

It is written, not mapped: a mapped file that somebody truncates, or that a full disk has no room for, kills
whoever touches it. A write fails with an error.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from perftui_agent.wire.boxes import ENVELOPE_BYTES, envelope, whole_messages
from perftui_agent.wire.codec import encode_part
from perftui_agent.wire.requests import InFlight

EVERY_NS = 250_000_000
"""How often the time is noted: each write lets go of the GIL, which beside a busy app is to come seldom."""

SIZE = 4096

MAX_ROWS = 10

_MAGIC = b"PTPULSE1"

_TIME = struct.Struct("<Q")

_AT = len(_MAGIC)

_ROWS_AT = _AT + _TIME.size

_rows = msgspec.msgpack.Decoder(list[InFlight])


class Sign(NamedTuple):
    """What a worker has noted last."""

    beat_ns: int
    """When, on the monotonic clock, which is that of all processes of a host."""
    in_flight: list[InFlight]
    """The oldest first; those of up to a second before."""


class Pulse:
    """This worker's own. Belongs to the agent's thread."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.beat_ns = 0
        """When the last one was noted."""
        self._file: int | None = None
        self._file_id = (0, 0)
        self._words = b""

    def look_after(self, path: Path) -> None:
        """See that the file is there; OSError where it can't be made. Two calls of the system if it is."""
        if self._file is not None and path == self.path and self._is_there():
            return
        self.close()
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        info = os.fstat(self._file)
        self.path, self._file_id = path, (info.st_dev, info.st_ino)
        os.pwrite(self._file, _MAGIC + _TIME.pack(time.monotonic_ns()) + self._words, 0)

    def beat(self, now_ns: int) -> None:
        """Note the time, if it is due; OSError as the disk says."""
        if now_ns - self.beat_ns >= EVERY_NS and self._file is not None:
            self.beat_ns = now_ns
            os.pwrite(self._file, _TIME.pack(now_ns), _AT)

    def tell(self, in_flight: Sequence[InFlight]) -> None:
        """Note which requests there are, the oldest first: as many as there is room for."""
        words, most = b"", min(len(in_flight), MAX_ROWS)
        while most and not words:
            encoded = encode_part(list(in_flight[:most]))
            if len(encoded) + ENVELOPE_BYTES <= SIZE - _ROWS_AT:
                words = envelope(encoded)
            most //= 2
        words = words or envelope(encode_part([]))
        if self._file is not None and words != self._words:
            self._words = words
            os.pwrite(self._file, words, _ROWS_AT)

    def close(self) -> None:
        """Let go of the file, which stays where it is."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None

    def _is_there(self) -> bool:
        try:
            info = os.lstat(self.path or "")
        except OSError:
            return False
        return (info.st_dev, info.st_ino) == self._file_id


def read_pulse(path: Path) -> Sign | None:
    """Return what a worker has noted last; None if it has no such file, or not one of its own."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        data = os.pread(file, SIZE, 0)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
    except OSError:
        return None
    finally:
        os.close(file)
    return _decoded(data)


def read_beat(path: Path) -> int | None:
    """Return when a worker has noted the time last; as `read_pulse`, with nothing decoded."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        data = os.pread(file, _ROWS_AT, 0)
    except OSError:
        return None
    finally:
        os.close(file)
    return _beat_of(data)


def _decoded(data: bytes) -> Sign | None:
    beat_ns = _beat_of(data)
    if beat_ns is None:
        return None
    for message in whole_messages(data[_ROWS_AT:]):
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            return Sign(beat_ns, _rows.decode(message))
    return Sign(beat_ns, [])


def _beat_of(data: bytes) -> int | None:
    if len(data) < _ROWS_AT or not data.startswith(_MAGIC):
        return None
    beat: int = _TIME.unpack_from(data, _AT)[0]
    return beat
