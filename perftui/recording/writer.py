"""Writes a recording as things happen, so that a kill at any instant loses a second at most.

Takes the events of a source in their order, and writes what there is of them each half second: frames as a
block of that moment, all else as a piece of the story. Ten seconds of such moments then make room for one
block that holds the same in less; that is written behind them before it is moved to where they were, so that
at each instant one of the two is whole. At the end comes an index; without one, headers lead the way.

Raises OSError as the disk says; what was written until then is a recording.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from perftui.model.dashboard import MAX_WORKERS
from perftui.model.events import EvidenceKept, FrameReceived, HistoryReceived, WorkerFound
from perftui.recording.blocks import RAW, VERSION, ZLIB, Kind, block, block_of, header_of
from perftui.recording.entries import Entry, Head, RollCall, entry, moment_of, together
from perftui.recording.layout import footer, index_of
from perftui.recording.links import LINK_S, Link
from perftui.recording.packing import BLOCK_S, Aged, Tight, aged
from perftui.recording.places import Place
from perftui.recording.writing import mark_as_written
from perftui_agent.wire.codec import encode_part
from perftui_agent.wire.frames import WIRE_VERSION
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.parts import WorkerId

FLUSH_S = 0.5

SETTLED_S = 3
"""A frame that comes so long after its ten seconds were over is not merged with them."""

PAST_S = 30
"""So much of what agents remember lies in one block."""

ROLL_CALL_S = 60
"""How often it is said anew who the workers are: where the first time is damaged, their frames are theirs."""


class _Moment(NamedTuple):
    """What came between two flushes, and has not been packed."""

    number: int
    entries: list[bytes]


class RecordingWriter:
    """An open recording. Belongs to one thread."""

    def __init__(
        self, path: Path, target: str, began_at: float, *, cut: str = "", packs: bool = True
    ) -> None:
        """Make the file; FileExistsError if there is one: nobody's evidence is written over.

        What is to be read at once and then forgotten need not be packed.
        """
        self._packs = packs
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        mark_as_written(self._file)
        self.size = 0
        """How large the file is."""
        self._places: list[Place] = []
        self._tail = 0
        """From which place on there are moments that have not been packed: what is before is not moved any
        more."""
        self._linked = 0
        """How many places links tell of, …"""
        self._link = 0
        """… the number of the last link, if there is one, …"""
        self._linked_at = began_at
        """… and when it was written."""
        self._flushed_at = began_at
        self._numbers: dict[Kind, int] = {}
        self._story: list[bytes] = []
        self._frames: list[bytes] = []
        self._past: list[tuple[float, bytes]] = []
        self._span: tuple[float, float] | None = None
        self._loose: list[_Moment] = []
        self._identities: dict[WorkerId, WorkerIdentity] = {}
        self._called_at = began_at
        self._young: dict[int, dict[WorkerId, list[bytes]]] = {}
        """By the ten seconds they ended in, frames that have not been merged."""
        self._packer = ThreadPoolExecutor(1, "perftui-recording")
        self._packed: list[_Moment] = []
        self._ended: list[int] = []
        """The tens of seconds that are being merged."""
        self._packing: Future[Aged] | None = None
        head = Head(VERSION, WIRE_VERSION, target, began_at, version("perftui"), cut)
        self._add_block("H", encode_part(head), (began_at, began_at), RAW)

    def add(self, event: Entry) -> None:
        """Take an event; it is written with the next `flush`."""
        if isinstance(event, HistoryReceived):
            for frame in event.frames:
                one = HistoryReceived(event.worker, (frame,), event.received_at)
                self._past.append((frame.ended_at / 1e9, entry(one)))
            return
        moment, data = moment_of(event), entry(event)
        first, last = self._span or (moment, moment)
        self._span = min(first, moment), max(last, moment)
        if isinstance(event, FrameReceived):
            self._frames.append(data)
            ten = event.frame.ended_at // 1_000_000_000 // BLOCK_S * BLOCK_S
            self._young.setdefault(ten, {}).setdefault(event.worker, []).append(data)
            if event.frame.evidence:
                # Of whoever leaps here from far: what was told long ago is known to a live dashboard as well.
                kept = EvidenceKept(event.worker, tuple(event.frame.evidence), event.received_at)
                self._story.append(entry(kept))
        else:
            if isinstance(event, WorkerFound):
                self._identities[event.identity.id] = event.identity
            self._story.append(data)

    def flush_due(self, now: float) -> bool:
        """Write what there is, if the last time is long enough ago; tell whether it was."""
        if 0 <= now - self._flushed_at < FLUSH_S:
            return False
        self.flush(now)
        return True

    def flush(self, now: float) -> None:
        """Write what there is."""
        self._flushed_at = now
        if now - self._called_at >= ROLL_CALL_S and self._identities:
            self._called_at = now
            self._story.append(entry(RollCall(now, tuple(self._identities.values())[-MAX_WORKERS:])))
        span, self._span = self._span or (now, now), None
        story, self._story = self._story, []
        if story:
            self._add_block("L", together(story), span)
        frames, self._frames = self._frames, []
        if frames:
            number = self._add_block("T", together(frames), span).header.first
            self._loose.append(_Moment(number, frames))
        self._write_past()
        if self._packing is not None and self._packing.done():
            self._put_in_place()
        if self._packs and self._packing is None and self._covered_s() >= BLOCK_S:
            self._pack(now)
        if not 0 <= now - self._linked_at < LINK_S:
            self._linked_at = now
            self._write_link(now)

    def _write_link(self, now: float) -> None:
        """Tell where the blocks lie that have come to rest since the last time, should nobody write the
        end."""
        told = self._places[self._linked : self._tail]
        links = [place for place in told if place.header.kind == "I" and place.header.first == self._link]
        if not told or (self._link and not links):
            return  # the last link may be moved itself
        before = links[0].offset if links else 0
        until = self._places[self._tail].offset if self._tail < len(self._places) else self.size
        link = Link(before, until, told)
        moment_ns = round(now * 1e9)
        number = self._next_number("I")
        made = block("I", encode_part(link), first_ns=moment_ns, last_ns=moment_ns, first=number)
        self._linked, self._link = self._tail, number
        self._place(made)

    def close(self, now: float) -> None:
        """Write the rest and the index, and close the file."""
        try:
            self.flush(now)
            while self._packs and (self._packing is not None or self._loose):
                if self._packing is None:
                    self._pack(float("inf"))
                self._put_in_place()
            offset = self._add_block("I", index_of(self._places), (now, now)).offset
            self._write(footer(offset))
        finally:
            self._packer.shutdown(cancel_futures=True)
            os.close(self._file)

    def _write_past(self) -> None:
        """Write what agents remember, so much time in each block: it is told latest first."""
        past, self._past = self._past, []
        stretches: dict[float, list[tuple[float, bytes]]] = {}
        for ended_at, data in past:
            stretches.setdefault(ended_at // PAST_S, []).append((ended_at, data))
        for entries in stretches.values():
            entries.sort(key=lambda each: each[0])
            self._add_block("P", together(data for _, data in entries), (entries[0][0], entries[-1][0]))

    def _covered_s(self) -> float:
        """Return how much time the moments cover that have not been packed."""
        if not self._loose:
            return 0.0
        headers = [self._places[index].header for index in self._places_of(self._loose)]
        return (headers[-1].last_ns - headers[0].first_ns) / 1e9

    def _places_of(self, moments: list[_Moment]) -> list[int]:
        numbers = {moment.number for moment in moments}
        return [
            index
            for index, place in enumerate(self._places[self._tail :], self._tail)
            if place.header.kind == "T" and place.header.first in numbers
        ]

    def _pack(self, now: float) -> None:
        """Have the loose moments packed in a thread, and the tens of seconds merged that are over."""
        self._ended = [ten for ten in sorted(self._young) if ten + BLOCK_S + SETTLED_S <= now]
        seconds = [data for moment in self._loose for data in moment.entries]
        ended = [self._young.pop(ten) for ten in self._ended]
        self._packing = self._packer.submit(aged, seconds, ended)
        self._packed, self._loose = self._loose, []

    def _put_in_place(self) -> None:
        """Let what has been packed take the place of the moments it was made of."""
        work, self._packing = self._packing, None
        if work is None:
            return
        found, whose = work.result(), self._places_of(self._packed)
        headers = [self._places[index].header for index in whose]
        made = block_of(
            "S",
            *found.seconds,
            first_ns=min(each.first_ns for each in headers),
            last_ns=max(each.last_ns for each in headers),
            first=headers[0].first,
            last=headers[-1].last,
        )
        if len(made) < sum(each.size for each in headers):
            self._replace(whose, made)
        else:
            self._tail = whose[-1] + 1
        for ten, tight in zip(self._ended, found.tens, strict=True):
            self._add_merged(ten, tight)

    def _replace(self, whose: list[int], made: bytes) -> None:
        begin = whose[0]
        rest = [place for index, place in enumerate(self._places[begin:], begin) if index not in set(whose)]
        blocks = [made, *(os.pread(self._file, place.header.size, place.offset) for place in rest)]
        at = self._places[begin].offset
        # Behind everything first: whatever interrupts the moving, one of the two is whole.
        data = b"".join(blocks)
        self._write(data)
        _write_at(self._file, data, at)
        self.size = at + len(data)
        os.ftruncate(self._file, self.size)
        del self._places[begin:]
        for each in blocks:
            self._places.append(Place(at, header_of(each)))
            at += len(each)
        self._tail = begin + 1

    def _add_merged(self, ten: int, tight: Tight) -> None:
        first_ns, last_ns = ten * 10**9, (ten + BLOCK_S) * 10**9
        number = self._next_number("C")
        self._place(block_of("C", *tight, first_ns=first_ns, last_ns=last_ns, first=number, last=number))

    def _next_number(self, kind: Kind) -> int:
        number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return number

    def _add_block(self, kind: Kind, data: bytes, span: tuple[float, float], codec: int = ZLIB) -> Place:
        first_ns, last_ns = round(span[0] * 1e9), round(span[1] * 1e9)
        number = self._next_number(kind)
        made = block(kind, data, codec, first_ns=first_ns, last_ns=last_ns, first=number, last=number)
        return self._place(made)

    def _place(self, made: bytes) -> Place:
        place = Place(self.size, header_of(made))
        self._write(made)
        self._places.append(place)
        return place

    def _write(self, data: bytes) -> None:
        _write_at(self._file, data, self.size)
        self.size += len(data)


def _write_at(file: int, data: bytes, at: int) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(file, data[written:], at + written)
