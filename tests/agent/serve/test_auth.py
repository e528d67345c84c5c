"""Promise 17: who may come in by the remote door."""

from __future__ import annotations

import pytest

from perftui_agent.serve.auth import Lock

TOKEN = "0123456789abcdef"
RIGHT = (b"authorization", f"Bearer {TOKEN}".encode())


@pytest.mark.parametrize(
    "headers",
    [[RIGHT], [(b"host", b"shop"), (b"Authorization", f"bearer  {TOKEN} ".encode())]],
    ids=["as it should be", "in another case, with blanks"],
)
def test_promise_17_the_token_in_its_header_opens(headers: list[tuple[bytes, bytes]]) -> None:
    """Names of headers and schemes have no case."""
    assert Lock(TOKEN).opens_for(headers)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", TOKEN.encode())],
        [(b"authorization", f"Basic {TOKEN}".encode())],
        [(b"authorization", f"Bearer {TOKEN}x".encode())],
        [(b"authorization", f"Bearer {TOKEN[:-1]}".encode())],
        [(b"authorization", f"Bearer {TOKEN.upper()}".encode())],
        [(b"authorization", b"Bearer \xff\x00")],
        [RIGHT, (b"authorization", b"Bearer of something else")],
        [RIGHT, RIGHT],
        [(b"x-token", TOKEN.encode()), (b"cookie", f"token={TOKEN}".encode())],
        [RIGHT, (b"origin", b"https://shop.example")],
        [(b"Origin", b"null"), RIGHT],
    ],
    ids=repr,
)
def test_promise_17_nothing_else_opens(headers: list[tuple[bytes, bytes]]) -> None:
    """Another token, one elsewhere, one of two: none; nor a browser's, which says where it comes from."""
    assert not Lock(TOKEN).opens_for(headers)


def test_a_lock_does_not_tell_its_token() -> None:
    """Whoever dumps the variables of the agent finds a digest."""
    lock = Lock(TOKEN)
    assert TOKEN not in repr([getattr(lock, name) for name in dir(lock)])
