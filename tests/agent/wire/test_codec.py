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
from perftui_agent.wire.dumps import DumpRequest
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, Frame, History
from perftui_agent.wire.outside import CacheFrame, PoolFrame
from perftui_agent.wire.process import AgentStats
from perftui_agent.wire.requests import ExceptionCount, RouteFrame, StatusCounts

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


@given(st.text(st.characters(), max_size=20) | st.text(st.characters(categories=["Cs"]), max_size=5))
def test_one_text_that_cannot_be_encoded_costs_no_message(text: str) -> None:
    """Names of files and services need not be UTF-8: what can't be told is a replacement character."""
    sent = Frame(
        seq=1,
        ended_at=1,
        span_ns=1,
        routes=[RouteFrame(route=text, status=StatusCounts(success=3), latency=LatencySketch())],
        pools=[PoolFrame(name=text, kind="QueuePool")],
        probes={text: "on"},
    )
    received = decode_from_agent(encode(sent))
    assert isinstance(received, Frame)
    expected = "".join("\ufffd" if 0xD800 <= ord(char) < 0xE000 else char for char in text)
    assert received.routes[0].route == received.pools[0].name == expected
    assert received.routes[0].status.success == 3
    assert received.probes == {expected: "on"}


def test_what_differs_only_in_what_cannot_be_encoded_is_counted_together() -> None:
    """Two files whose names look the same once they are shown."""
    bounded = {f"a{chr(0xDC80)}": 1, f"a{chr(0xDC81)}": 2, "b": 3}
    received = decode_from_agent(
        encode(Frame(seq=1, ended_at=1, span_ns=1, agent=AgentStats(bounded=bounded)))
    )
    assert isinstance(received, Frame)
    assert received.agent.bounded == {"a\ufffd": 3, "b": 3}


def test_a_number_that_is_too_large_costs_no_message() -> None:
    """Somebody's cache may hold more than 64 bits can say."""
    cache = CacheFrame(name="all", kind="Cache", size=1, maxsize=10**30)
    received = decode_from_agent(encode(Frame(seq=1, ended_at=1, span_ns=1, caches=[cache])))
    assert isinstance(received, Frame)
    assert received.caches[0].maxsize == (1 << 63) - 1


def test_a_text_of_a_class_of_its_own_travels_as_text() -> None:
    """Titles and names of the app's may be lazy ones."""

    class Title(str):
        __slots__ = ()

    received = decode_from_agent(encode(Frame(seq=1, ended_at=1, span_ns=1, probes={"x": Title("shop")})))
    assert isinstance(received, Frame)
    assert received.probes == {"x": "shop"}
