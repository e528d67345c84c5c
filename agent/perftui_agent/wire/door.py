"""What goes over a service's remote door: the streams of several workers on one WebSocket.

Each message begins with the number of a channel, in two bytes. The rest of it is, on channel 0, a message of
the door or to it; on any other, one that a worker's own socket has given or is to get, untouched. A client
opens a channel for each worker it follows. Of each channel no more than `ROOM` messages are on their way
that it has not said to have taken: what it has no time for stays with the worker, as on its socket.
"""

from __future__ import annotations

import struct
from typing import TypeAlias, TypeVar

import msgspec

from perftui_agent.sketch import Count
from perftui_agent.wire.codec import WireError, encode_part
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, Frame
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.parts import Part, WorkerId
from perftui_agent.wire.registration import Registration

DOOR_PATH = "/_perftui"
"""Where an app with a token is asked for it, below any prefix."""

CLIENT_HEADER = "Perftui-Client"
"""Says in the handshake which process asks: any word of it, the same for all its connections."""

ROOM = 4
"""At 128 KiB a message: 5 MB of the past each second where an answer takes a tenth of one."""

DOOR = 0
"""The channel of the door itself."""

MAX_CHANNELS = 256

SIGN_OF_LIFE_S = 1.0
"""How often the door says at least something."""

MAX_CARRIED_BYTES = MAX_MESSAGE_BYTES + 2

T = TypeVar("T")

_number = struct.Struct(">H")


class Roster(Part, tag="roster"):
    """Who works beside the worker that answers, itself included; said first, and whenever it has changed."""

    wire: int
    workers: list[Registration] = msgspec.field(default_factory=list)
    """Where they lie on the disk is not told."""


class SignOfLife(Part, tag="alive"):
    """Nothing has changed, and the door is there."""


class Closed(Part, tag="closed"):
    """A channel has ended: the worker's end, or its socket's."""

    channel: Count
    reason: str = ""


class Remains(Part, tag="remains"):
    """What workers that are gone have left in their black boxes: an answer to `AskRemains`."""

    id: str
    more: bool = True
    """Whether this is a part of the answer; else it ends it."""
    worker: WorkerIdentity | None = None
    """Whose evidence it is."""
    frame: Frame | None = None
    evidence: list[Evidence] = msgspec.field(default_factory=list)


class Open(Part, tag="open"):
    """Asks for the stream of a worker on a channel that is free."""

    channel: Count
    worker: WorkerId


class Close(Part, tag="close"):
    """Wants no more of a channel."""

    channel: Count


class Took(Part, tag="took"):
    """Says that so many more messages of a channel have been taken."""

    channel: Count
    messages: Count = 1


class AskRemains(Part, tag="ask-remains"):
    """Asks for what is in the boxes of the dead."""

    id: str
    worker: WorkerId = ""
    """The frames of this one after `after_seq`; empty: the evidence of all."""
    after_seq: Count = 0


FromDoor: TypeAlias = Roster | SignOfLife | Closed | Remains
ToDoor: TypeAlias = Open | Close | Took | AskRemains

_from_door: msgspec.msgpack.Decoder[FromDoor] = msgspec.msgpack.Decoder(FromDoor)
_to_door: msgspec.msgpack.Decoder[ToDoor] = msgspec.msgpack.Decoder(ToDoor)


def carried(channel: int, data: bytes) -> bytes:
    """Return a worker's message, or one for it, as it goes over the door's connection."""
    return _number.pack(channel) + data


def said(message: FromDoor | ToDoor) -> bytes:
    """Return a message of the door, or to it, as it goes over the connection."""
    return carried(DOOR, encode_part(message))


def opened(data: bytes) -> tuple[int, bytes]:
    """Return the channel and the message of what came; `WireError` for what has none."""
    if len(data) <= _number.size or len(data) > MAX_CARRIED_BYTES:
        raise WireError(f"{len(data)} bytes are no message of a door")
    (channel,) = _number.unpack_from(data)
    return channel, data[_number.size :]


def decode_from_door(data: bytes) -> FromDoor:
    """Return what a door said; `WireError` if the bytes are no message of one."""
    return _decode(_from_door, data)


def decode_to_door(data: bytes) -> ToDoor:
    """Return what a door was asked; `WireError` if the bytes are no message for one."""
    return _decode(_to_door, data)


def _decode(decoder: msgspec.msgpack.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as error:
        raise WireError(f"no message of a door: {error}") from None
