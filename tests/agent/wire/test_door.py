"""Promise 20: what goes over the remote door is a message of it, or an error that says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui_agent.wire.codec import WireError
from perftui_agent.wire.door import (
    DOOR,
    Closed,
    Open,
    SignOfLife,
    Took,
    carried,
    decode_from_door,
    decode_to_door,
    opened,
    said,
)


@given(st.integers(0, 2**16 - 1), st.binary(min_size=1))
def test_what_a_worker_says_is_carried_untouched(channel: int, message: bytes) -> None:
    """Only the number of the channel stands before it."""
    assert opened(carried(channel, message)) == (channel, message)


def test_what_is_said_of_the_door_itself_comes_on_channel_0() -> None:
    """In either direction."""
    assert opened(said(SignOfLife()))[0] == opened(said(Took(channel=1)))[0] == DOOR
    assert decode_from_door(opened(said(Closed(channel=2, reason="gone")))[1]) == Closed(
        channel=2, reason="gone"
    )
    assert decode_to_door(opened(said(Open(channel=3, worker="w")))[1]) == Open(channel=3, worker="w")


@given(st.binary(max_size=200))
def test_promise_20_any_bytes_are_a_message_of_the_door_or_a_wire_error(data: bytes) -> None:
    """A hostile client or server gets that one kind of error."""
    for decode in (opened, decode_from_door, decode_to_door):
        try:
            decode(data)
        except WireError:
            continue


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\1"], ids=repr)
def test_a_message_without_anything_in_it_is_none(data: bytes) -> None:
    """Not even an empty one has two bytes."""
    with pytest.raises(WireError):
        opened(data)
