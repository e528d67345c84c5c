"""A bounded stretch of a file that is written round and round.

Writes never straddle its end. Nothing is synced: the page cache outlives the process, and a crash of
the machine is not what a black box of a worker is for.
"""

from __future__ import annotations

import os
from collections import deque
from typing import NamedTuple

from perftui_agent.wire.boxes import ENVELOPE_BYTES, envelope


class _Slot(NamedTuple):
    stamp: int
    offset: int
    length: int


class Ring:
    """The bytes from `start` to `start + size` of an open file."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self._size = size
        self._head = 0
        self._slots: deque[_Slot] = deque()
        """What is still whole, oldest first."""

    def append(self, stamp: int, message: bytes) -> bool:
        """Write `message` over the oldest; False if it is larger than the ring. OSError as the disk says.

        `stamp` is given back by `stamps`, and nothing else is done with it.
        """
        data = envelope(message)
        if len(data) > self._size:
            return False
        if self._head + len(data) > self._size:
            # What lies between here and the end is of the round before, and older than all that begins anew:
            # kept, it would stand before what is overwritten next, and keep that from being given up.
            while self._slots and self._slots[0].offset >= self._head:
                self._slots.popleft()
            self._head = 0
        end = self._head + len(data)
        while self._slots and self._is_overwritten(self._slots[0], end):
            self._slots.popleft()
        written = 0
        while written < len(data):
            written += os.pwrite(self._descriptor, data[written:], self._start + self._head + written)
        self._slots.append(_Slot(stamp, self._head, len(data)))
        self._head = end
        return True

    def stamps(self) -> list[int]:
        """Return the stamps of all that is whole, oldest first."""
        return [slot.stamp for slot in self._slots]

    def messages(self, *, after: int, until: int) -> list[bytes]:
        """Return the messages with a stamp in (after, until], oldest first."""
        return [
            os.pread(
                self._descriptor, slot.length - ENVELOPE_BYTES, self._start + slot.offset + ENVELOPE_BYTES
            )
            for slot in self._slots
            if after < slot.stamp <= until
        ]

    def _is_overwritten(self, slot: _Slot, end: int) -> bool:
        return slot.offset < end and slot.offset + slot.length > self._head
