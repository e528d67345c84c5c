"""Every byte from a socket is hostile until the codec has seen it."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.codec import (
    WireError,
    decode_from_agent,
    decode_from_client,
    encode,
    encode_history,
)
from perftui_agent.wire.frames import (
    MAX_MESSAGE_BYTES,
    DumpRequest,
    ExceptionCount,
    Frame,
    History,
    RouteFrame,
    StatusCounts,
)

counts = st.integers(min_value=0, max_value=2**40)
texts = st.text(max_size=40)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    latency = LatencySketch()
    for value in draw(st.lists(counts, max_size=20)):
        latency.add(value)
    route = RouteFrame(
        route=draw(texts),
        status=StatusCounts(success=draw(counts), disconnected=draw(counts)),
        latency=latency,
        exceptions=[ExceptionCount(type=draw(texts), place=draw(texts), count=draw(counts))],
    )
    return Frame(seq=draw(counts), ended_at=draw(counts), span_ns=draw(counts), routes=[route])


@given(frames())
def test_a_frame_comes_back_as_it_went(frame: Frame) -> None:
    """Encoding and decoding change nothing."""
    assert decode_from_agent(encode(frame)) == frame


@given(st.lists(frames(), max_size=5), st.booleans())
def test_history_is_spliced_from_encoded_frames(earlier: list[Frame], last: bool) -> None:
    """Frames that were encoded before come back as the frames they were."""
    message = encode_history([encode(frame) for frame in earlier], last=last)
    assert decode_from_agent(message) == History(frames=earlier, last=last)


@given(st.binary(max_size=300))
def test_promise_20_any_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    """Nothing but `WireError` ever comes of bytes that are no message."""
    for decode in (decode_from_agent, decode_from_client):
        with contextlib.suppress(WireError):
            decode(data)


@given(frames(), st.data())
def test_promise_20_damaged_messages_are_a_message_or_a_wire_error(frame: Frame, data: st.DataObject) -> None:
    """A flipped byte or a cut end never raises anything else."""
    whole = bytearray(encode(frame))
    at = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    whole[at] ^= data.draw(st.integers(min_value=1, max_value=255))
    for damaged in (bytes(whole), bytes(whole[:at])):
        with contextlib.suppress(WireError):
            decode_from_agent(damaged)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "frame", "seq": -1, "ended_at": 1, "span_ns": 1},
        {"type": "frame", "seq": 1, "ended_at": 1, "span_ns": -1},
        {"type": "frame", "seq": "1", "ended_at": 1, "span_ns": 1},
        {"type": "somebody"},
        [],
        None,
    ],
)
def test_promise_7_what_would_run_backwards_is_refused(message: object) -> None:
    """Negative counts, wrong types and unknown messages do not get in."""
    with pytest.raises(WireError):
        decode_from_agent(msgspec.msgpack.encode(message))


def test_promise_20_deep_nesting_and_huge_lengths_are_refused() -> None:
    """Neither a bomb of arrays nor a length out of bounds gets further than the codec."""
    for data in (
        b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\0" * (MAX_MESSAGE_BYTES + 1),
    ):
        with pytest.raises(WireError):
            decode_from_agent(data)


def test_unknown_fields_are_passed_over() -> None:
    """A newer agent may say more: an older client still understands the rest."""
    message = {"type": "dump", "id": "1", "pid": 7, "colour": "blue"}
    assert decode_from_client(msgspec.msgpack.encode(message)) == DumpRequest(id="1", pid=7)
