"""What a source tells, as it lies in a recording, and back.

An entry is the name of an event and the event: who does not know a name passes over it, and a field that was
added since has its default. Everything read is hostile until it has been validated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from perftui.model.events import (
    ClockStepped,
    EvidenceKept,
    FrameReceived,
    HistoryReceived,
    LinkChanged,
    Marked,
    SourceEvent,
    WorkerFound,
    WorkerGone,
    WorkerJoined,
)
from perftui.model.happenings import Finding
from perftui.model.ramp import RampCourse
from perftui.record import Record
from perftui.recording.blocks import BlockError
from perftui.recording.columns import put_back, taken_apart
from perftui_agent.wire.codec import encode_part
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import WorkerIdentity

LATEST = 1e11
"""No moment is later: a thousand years are not recorded."""


class Judged(Record, frozen=True):
    """Which findings stood from a moment on, as whoever recorded judged."""

    at: float
    findings: tuple[Finding, ...] = ()


class RampTold(Record, frozen=True):
    """How a ramp went that was recorded."""

    at: float
    course: RampCourse


class RollCall(Record, frozen=True):
    """Which workers there have been, told again and again."""

    at: float
    workers: tuple[WorkerIdentity, ...] = ()


class Head(Record, frozen=True):
    """What a recording says of itself."""

    version: int
    wire: int
    target: str
    """As one would type it."""
    began_at: float
    """From when on it was recorded; frames of before are those that agents remembered."""
    perftui: str = ""
    cut: str = ""
    """What was taken out, of a piece of another recording."""


Said: TypeAlias = Judged | RampTold
"""What whoever recorded has said of it: no event of the service."""

Entry: TypeAlias = SourceEvent | Said | RollCall

_TYPES = (
    FrameReceived,
    HistoryReceived,
    WorkerFound,
    WorkerJoined,
    EvidenceKept,
    WorkerGone,
    LinkChanged,
    ClockStepped,
    Marked,
    Judged,
    RampTold,
    RollCall,
)

_DECODERS: Mapping[str, msgspec.msgpack.Decoder[Entry]] = MappingProxyType(
    {each.__name__: msgspec.msgpack.Decoder(each) for each in _TYPES}
)


class _Named(msgspec.Struct, array_like=True, frozen=True):
    name: str
    event: msgspec.Raw


COLUMNS = "Columns"
"""The name of what is no event: the numbers of all frames of a block, where they have been taken apart."""

_named: msgspec.msgpack.Decoder[list[_Named]] = msgspec.msgpack.Decoder(list[_Named])
_columns: msgspec.msgpack.Decoder[dict[str, bytes]] = msgspec.msgpack.Decoder(dict[str, bytes])
_head: msgspec.msgpack.Decoder[Head] = msgspec.msgpack.Decoder(Head)

_BROKEN = (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError, OverflowError)


def entry(event: Entry) -> bytes:
    """Return the bytes of an event."""
    return encode_part([type(event).__name__, event])


def together(entries: Iterable[bytes]) -> bytes:
    """Return the bytes of a block that holds `entries`."""
    return encode_part([msgspec.Raw(each) for each in entries])


def apart(entries: Iterable[bytes]) -> bytes:
    """Return what `together` does, with the numbers of frames apart; `BlockError` for what can't be read."""
    events = entries_of(together(entries))
    columns = taken_apart(_frames_of(events))
    return encode_part([[COLUMNS, columns], *([type(each).__name__, each] for each in events)])


def entries_of(data: bytes, *, packs: bool = False) -> list[Entry]:
    """Return the events of a block; `BlockError` if it holds anything else. Unknown ones are passed over.

    With `packs`, sketches are packed that nobody wants otherwise: see `put_back`.
    """
    try:
        named = _named.decode(data)
        found = [_DECODERS[each.name].decode(each.event) for each in named if each.name in _DECODERS]
        for each in named[:1]:
            if each.name == COLUMNS:
                put_back(_frames_of(found), _columns.decode(each.event), packs=packs)
    except _BROKEN as error:
        raise BlockError(f"it holds no events: {error}") from None
    if not all(0.0 <= moment_of(each) < LATEST for each in found):
        raise BlockError("it tells of no time that there is")
    return found


def _frames_of(entries: Iterable[Entry]) -> list[Frame]:
    found: list[Frame] = []
    for each in entries:
        if isinstance(each, FrameReceived):
            found.append(each.frame)
        elif isinstance(each, HistoryReceived):
            found += each.frames
    return found


def head_of(data: bytes) -> Head:
    """Return what the head of a recording says; `BlockError` if it is none."""
    try:
        return _head.decode(data)
    except _BROKEN as error:
        raise BlockError(f"it is no head: {error}") from None


def moment_of(event: Entry) -> float:
    """Return the moment at which an event is told: of a frame of before, the one in which it ended."""
    match event:
        case FrameReceived() | EvidenceKept():
            return event.received_at
        case HistoryReceived():
            return max((frame.ended_at for frame in event.frames), default=0) / 1e9
        case _:
            return event.at
