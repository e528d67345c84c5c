"""Messages to msgpack bytes and back.

Takes anything, gives a message or `WireError` and nothing else: every byte from a socket or a
file is hostile until it has been validated here.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, History
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.messages import FromAgent, FromClient
from perftui_agent.wire.texts import encodable

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_from_agent: msgspec.msgpack.Decoder[FromAgent] = msgspec.msgpack.Decoder(FromAgent)
_from_client: msgspec.msgpack.Decoder[FromClient] = msgspec.msgpack.Decoder(FromClient)


EVIDENCE = b"\xa8evidence"
"""The name of a field as it travels."""

_HEAD_BYTES = 32
"""In which the names of a message's first fields stand: its kind takes 13."""


class WireError(ValueError):
    """The bytes are no message of this wire version."""


def encode(message: FromAgent | FromClient) -> bytes:
    """Return the bytes of `message`; what can't be encoded in it is replaced, see `wire.texts`."""
    return encode_part(message)


def encode_part(value: object) -> bytes:
    """Return the bytes of a message, or of a part of one."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, OverflowError, TypeError):
        return _encoder.encode(encodable(value))


class _EncodedHistory(msgspec.Struct, tag="history", omit_defaults=True):
    """A `History` whose frames have been encoded before."""

    frames: list[msgspec.Raw]
    last: bool = False


def encode_history(frames: list[bytes], *, last: bool) -> bytes:
    """Return the bytes of a `History` of frames that are encoded already."""
    return _encoder.encode(_EncodedHistory([msgspec.Raw(frame) for frame in frames], last))


def decode_from_agent(data: bytes) -> FromAgent:
    """Return the message an agent sent; `WireError` if the bytes are not one."""
    return _decode(_from_agent, data)


class _Kind(msgspec.Struct):
    """A message of which nothing but its kind is looked at."""

    type: str


_kind_of: msgspec.msgpack.Decoder[_Kind] = msgspec.msgpack.Decoder(_Kind)


def is_history(data: bytes) -> bool:
    """Tell whether an agent's message says that it is a `History`; `WireError` if it says nothing."""
    return _decode(_kind_of, data).type == "history"


def kept_evidence(data: bytes) -> list[Evidence]:
    """Return the evidence of a message that has nothing else; `WireError` if it is none, empty for others."""
    if EVIDENCE not in data[:_HEAD_BYTES]:
        return []
    message = decode_from_agent(data)
    return message.evidence if isinstance(message, History) else []


def decode_from_client(data: bytes) -> FromClient:
    """Return the request a client sent; `WireError` if the bytes are not one."""
    return _decode(_from_client, data)


def _decode(decoder: msgspec.msgpack.Decoder[T], data: bytes) -> T:
    if len(data) > MAX_MESSAGE_BYTES:
        raise WireError(f"a message of {len(data)} bytes is over the {MAX_MESSAGE_BYTES} allowed")
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as error:
        raise WireError(f"not a message of this wire version: {error}") from None
