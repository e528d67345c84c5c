"""The sender's HTTP: each request gets its answer, or what went wrong, once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from perftui.ramp.client import Client, Exchange
from perftui.ramp.plan import Sent
from tests.support.servers import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Served:
    """A server that answers each request of a connection with the next of some bytes."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self.heads: list[bytes] = []
        self.connections = self.ended = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer, and hang up."""
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for answer in self._answers:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(answer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.ended += 1


@asynccontextmanager
async def served(*answers: bytes) -> AsyncIterator[tuple[Served, Client]]:
    service = Served(*answers)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield service, client
    finally:
        await client.close()
        await until(lambda: service.ended == service.connections)
        server.close()


async def until(holds: Callable[[], bool]) -> None:
    """Wait beside the loop that is to make it so."""
    await asyncio.to_thread(wait_until, holds, "the server")


async def asked(
    client: Client, method: str = "GET", *, fresh: bool = False, path: str = "/x"
) -> tuple[int, str]:
    told: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
    request = Sent(method, path, b"{}" if method == "POST" else None, "application/json")
    data = client.written(request, is_fresh=fresh)
    client.send(Exchange(request, data, lambda _, *said: told.set_result(said), is_fresh=fresh))
    async with asyncio.timeout(10):
        return await told


CHUNKED = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall there is"


@pytest.mark.parametrize(
    ("method", "answer", "expected"),
    [
        ("GET", OK, (200, "")),
        ("POST", CHUNKED, (201, "")),
        ("GET", TO_THE_END, (200, "")),
        ("HEAD", OK.removesuffix(b"ok"), (200, "")),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", (204, "")),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK, (200, "")),
        ("GET", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", (503, "")),
        ("GET", b"this is no HTTP\r\n\r\n", (0, "HttpParserInvalidStatusError")),
        ("GET", OK.removesuffix(b"ok"), (0, "ServerDisconnectedError")),
    ],
)
def test_an_answer_ends_where_it_says(method: str, answer: bytes, expected: tuple[int, str]) -> None:
    """By its length, its chunks, its status, its method, or the end of the connection."""

    async def ask() -> tuple[int, str]:
        async with served(answer) as (_, client):
            return await asked(client, method)

    told = asyncio.run(ask())
    assert told[0] == expected[0]
    assert bool(told[1]) is bool(expected[1])


def test_connections_are_kept_unless_a_request_is_to_have_its_own() -> None:
    """The first three share one, HEAD among them; the fourth says that it closes, and does."""

    async def ask() -> tuple[int, list[bytes]]:
        async with served(OK, OK.removesuffix(b"ok"), OK, OK) as (service, client):
            for method in ("GET", "HEAD", "POST"):
                assert (await asked(client, method))[0] == 200
            assert (await asked(client, fresh=True))[0] == 200
            return service.connections, service.heads

    connections, heads = asyncio.run(ask())
    assert connections == 2
    assert [b"Connection: close" in head for head in heads] == [False, False, False, True]
    assert heads[2].startswith(b"POST /x HTTP/1.1\r\nHost: 127.0.0.1:")


def test_a_request_that_crosses_a_hang_up_is_sent_once_more_if_it_changes_nothing() -> None:
    """The server closed while the connection rested: that is no failure of the service."""

    async def ask(method: str) -> tuple[tuple[int, str], int]:
        async with served(OK) as (service, client):
            assert (await asked(client))[0] == 200
            return await asked(client, method), service.connections

    assert asyncio.run(ask("GET")) == ((200, ""), 2)


def test_where_nobody_listens_is_said() -> None:
    """By the name of the error."""

    async def ask() -> tuple[int, str]:
        async with served() as (_, client):
            pass
        return await asked(client)

    assert asyncio.run(ask()) == (0, "ConnectionRefusedError")


def test_a_path_can_not_bring_a_header_with_it() -> None:
    """Paths that were learned from a service may hold anything, and stay one request."""

    async def ask() -> list[bytes]:
        async with served(OK) as (service, client):
            await asked(client, path="/a b\r\nX-Evil: 1\r\n\r\n/ü")
            return service.heads

    (head,) = asyncio.run(ask())
    assert head.startswith(b"GET /a%20b%0D%0AX-Evil:%201%0D%0A%0D%0A/%C3%BC HTTP/1.1\r\n")


def test_what_is_given_up_is_closed_without_a_word() -> None:
    """Nobody waits for it any more."""

    async def ask() -> tuple[list[str], int]:
        told: list[str] = []
        async with served(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", OK) as (service, client):
            request = Sent("GET", "/x", None, "")
            data = client.written(request, is_fresh=False)
            exchange = Exchange(request, data, lambda *_: told.append("ended"))
            client.send(exchange)
            await until(lambda: bool(service.heads))
            client.give_up(exchange)
            await until(lambda: bool(service.ended))
            return told, service.ended

    assert asyncio.run(ask()) == ([], 1)
