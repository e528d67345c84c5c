"""Promises 13, 16, 17, 20 and 23: who is let in to a worker's stream, and what nobody can do to it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from perftui_agent.serve import worker_socket
from perftui_agent.serve.worker_socket import MAX_CLIENTS, MAX_QUEUED_FRAMES, Act, WorkerSocket
from perftui_agent.wire.codec import decode_from_agent, encode
from perftui_agent.wire.dumps import Dump, DumpRequest, Refusal
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, WIRE_VERSION, Frame, Hello, History
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.keep import Keep
from perftui_agent.wire.messages import ActionRequest
from tests.support.servers import private_dir

HELLO = Hello(
    wire=WIRE_VERSION,
    worker=WorkerIdentity(host="box", pid=7, started_at=1.0, service="shop", supervisor_pid=1),
)


@pytest.fixture
def path() -> Iterator[Path]:
    """Where a socket may be; short enough for one."""
    directory = private_dir()
    yield directory / "w.sock"
    for entry in directory.iterdir():
        entry.unlink()
    directory.rmdir()


async def refuse(request: ActionRequest, peer: str, *_: object) -> Refusal:
    return Refusal(id=request.id, reason=f"not today, {peer}")


@contextlib.asynccontextmanager
async def serving(
    path: Path,
    act: Act = refuse,
    history: Callable[[], list[bytes]] = list,
    kept: Callable[[], list[bytes]] = list,
    keep: Callable[[str], object] = bool,
) -> AsyncIterator[WorkerSocket]:
    stream = WorkerSocket(path, hello=lambda: encode(HELLO), history=history, act=act, kept=kept, keep=keep)
    await stream.open()
    try:
        yield stream
    finally:
        await stream.close()


@contextlib.asynccontextmanager
async def client_of(path: Path, **options: Any) -> AsyncIterator[ClientConnection]:
    async with unix_connect(str(path), uri="ws://worker/", max_size=MAX_MESSAGE_BYTES, **options) as client:
        yield client


async def greeted(client: ClientConnection) -> None:
    """Read what every client gets first: the introduction and what there is of history."""
    assert decode_from_agent(_bytes(await client.recv())) == HELLO
    await client.recv()


def frame(seq: int, padding: int = 0) -> bytes:
    return encode(Frame(seq=seq, ended_at=seq, span_ns=1, probes={"x": "x" * padding}))


def _bytes(message: str | bytes) -> bytes:
    assert isinstance(message, bytes)
    return message


def test_promise_16_the_socket_is_for_its_owner_alone(path: Path) -> None:
    """Its mode is 0600."""

    async def check() -> None:
        async with serving(path):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    asyncio.run(check())


def test_a_client_that_has_judged_has_something_kept_and_goes_on(path: Path) -> None:
    """It is told by the finding that began; nothing is answered, and the next frame comes as before."""

    async def check() -> None:
        kept: list[str] = []
        async with serving(path, keep=kept.append) as stream, client_of(path) as client:
            await greeted(client)
            await client.send(encode(Keep(kind="n-plus-one")))
            await client.send(encode(DumpRequest(id="a")))
            answer = decode_from_agent(_bytes(await client.recv()))
            assert isinstance(answer, Refusal)
            stream.push(frame(7))
            assert await client.recv() == frame(7)
            assert kept == ["n-plus-one"]

    asyncio.run(check())


def test_what_was_kept_comes_after_the_past(path: Path) -> None:
    """A picture of the present need not wait for what happened an hour ago."""

    async def check() -> None:
        kept = [b"one", b"two"]
        async with serving(path, history=lambda: [frame(1)], kept=lambda: kept), client_of(path) as client:
            await greeted(client)
            assert [await client.recv(), await client.recv()] == kept

    asyncio.run(check())


def test_the_latest_of_the_past_comes_first(path: Path) -> None:
    """A small chunk with the latest frame, then those before it; in each chunk the oldest is first."""

    async def check() -> None:
        sent = [frame(seq, padding=10_000) for seq in range(1, 41)]
        async with serving(path, history=lambda: sent) as stream, client_of(path) as client:
            assert decode_from_agent(_bytes(await client.recv())) == HELLO
            chunks: list[History] = []
            while not chunks or not chunks[-1].last:
                chunk = decode_from_agent(_bytes(await client.recv()))
                assert isinstance(chunk, History)
                chunks.append(chunk)
            assert [each.seq for each in chunks[0].frames] == [40]
            assert [each.seq for chunk in reversed(chunks) for each in chunk.frames] == list(range(1, 41))
            assert len(chunks) > 2
            assert stream.clients == 1

    asyncio.run(check())


def test_promise_21_a_socket_that_is_removed_is_made_again_and_clients_keep_their_stream(path: Path) -> None:
    """There or elsewhere, as often as it takes; at the end everyone is told, those of before as well."""

    async def check() -> None:
        async with serving(path) as stream, client_of(path) as first:
            await greeted(first)
            assert stream.is_there()
            os.unlink(path)
            assert not stream.is_there()
            os.mknod(path)
            assert not stream.is_there(), "another file of the same name"
            await stream.open_again(path)
            assert stream.is_there()
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            async with client_of(path) as second:
                await greeted(second)
                os.unlink(path)
                elsewhere = path.with_name("x.sock")
                await stream.open_again(elsewhere)
                async with client_of(elsewhere) as third:
                    await greeted(third)
                    stream.push(frame(1))
                    for client in (first, second, third):
                        message = decode_from_agent(_bytes(await client.recv()))
                        assert isinstance(message, Frame)
                    await stream.close()
                    for client in (first, second, third):
                        with pytest.raises(ConnectionClosed):
                            await client.recv()
                        assert client.close_code == 1001

    asyncio.run(check())


def test_promise_16_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says who is at the other end; only this user and root are let in."""

    async def check() -> None:
        async with serving(path):
            monkeypatch.setattr(worker_socket, "_peer_uid", lambda connection: os.getuid() + 1)
            with pytest.raises(InvalidStatus) as refused:
                async with client_of(path):
                    pass
            assert refused.value.response.status_code == 403

    asyncio.run(check())


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell")
def test_the_kernel_says_who_is_at_the_other_end(path: Path) -> None:
    """An action is told who asked for it."""

    async def check() -> None:
        async with serving(path), client_of(path) as client:
            await greeted(client)
            await client.send(encode(DumpRequest(id="1")))
            reply = decode_from_agent(_bytes(await client.recv()))
            assert reply == Refusal(id="1", reason=f"not today, uid {os.getuid()}")

    asyncio.run(check())


def test_promise_17_a_browser_is_refused(path: Path) -> None:
    """A handshake with an Origin comes from a page, whoever opened it."""

    async def check() -> None:
        async with serving(path):
            for origin in ("http://localhost", "null"):
                with pytest.raises(InvalidStatus) as refused:
                    async with client_of(path, origin=origin):
                        pass
                assert refused.value.response.status_code == 403

    asyncio.run(check())


def test_promise_13_a_ninth_client_is_refused_with_a_reason(path: Path) -> None:
    """Eight are served; when one of them leaves there is room again."""

    async def check() -> None:
        async with serving(path) as stream, contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(client_of(path)) for _ in range(MAX_CLIENTS)]
            for client in clients:
                await greeted(client)
            async with client_of(path) as ninth:
                with pytest.raises(ConnectionClosed) as closed:
                    await ninth.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1013
                assert closed.value.rcvd.reason == "8 clients are connected already"
            await clients[0].close()
            await _until(lambda: stream.clients == MAX_CLIENTS - 1)
            async with client_of(path) as next_one:
                await greeted(next_one)

    asyncio.run(check())


def test_promise_13_a_client_that_does_not_read_loses_frames_and_nobody_else_does(path: Path) -> None:
    """Pushing never waits, what waits for one client is bounded, and what was lost is counted."""

    async def check() -> None:
        async with serving(path) as stream, client_of(path) as reader, client_of(path, max_queue=1) as slow:
            await greeted(reader)
            await greeted(slow)
            slow.transport.pause_reading()
            for seq in range(1, 201):
                stream.push(frame(seq, padding=100_000))
                received = decode_from_agent(_bytes(await reader.recv()))
                assert isinstance(received, Frame)
                assert received.seq == seq
            waiting = [queue.qsize() for queue in stream._queues.values()]
            assert sorted(waiting) == [0, MAX_QUEUED_FRAMES]
            assert 100 < stream.frames_dropped < 200
            slow.transport.resume_reading()
            seqs: list[int] = []
            while not seqs or seqs[-1] < 200:
                late = decode_from_agent(_bytes(await slow.recv()))
                assert isinstance(late, Frame)
                seqs.append(late.seq)
            assert len(seqs) == 200 - stream.frames_dropped

    asyncio.run(check())


@pytest.mark.parametrize(
    "message", [b"", b"\xff" * 100, b"\x80", "text", b"\x93" * 60_000, encode(HELLO)], ids=repr
)
def test_promise_20_what_is_no_request_closes_the_connection_with_a_reason(
    path: Path, message: str | bytes
) -> None:
    """The one that sent it, and no other."""

    async def check() -> None:
        async with serving(path) as stream, client_of(path) as other, client_of(path) as hostile:
            await greeted(other)
            await greeted(hostile)
            await hostile.send(message)
            with pytest.raises(ConnectionClosed) as closed:
                await hostile.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1003
            assert closed.value.rcvd.reason.startswith("not a message of this wire version")
            stream.push(frame(1))
            assert isinstance(decode_from_agent(_bytes(await other.recv())), Frame)

    asyncio.run(check())


def test_promise_20_a_request_that_is_too_long_closes_the_connection(path: Path) -> None:
    """It is not even read to its end."""

    async def check() -> None:
        async with serving(path), client_of(path) as hostile:
            await greeted(hostile)
            await hostile.send(b"\x00" * 100_000)
            with pytest.raises(ConnectionClosed) as closed:
                await hostile.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009

    asyncio.run(check())


@pytest.mark.parametrize("bytes_sent", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 50, b"\r\n" * 5000])
def test_promise_24_a_thousand_hang_ups_leave_nothing(path: Path, bytes_sent: bytes) -> None:
    """Whatever was sent before: no task, no descriptor, no client is left, and the next one is served."""

    async def check() -> None:
        async with serving(path) as stream:
            gc.collect()  # what tests before have left: closed meanwhile, it would be taken off ours
            before = len(os.listdir("/dev/fd"))
            for _ in range(250):
                with contextlib.closing(socket.socket(socket.AF_UNIX)) as raw:
                    raw.setblocking(False)
                    await asyncio.get_running_loop().sock_connect(raw, str(path))
                    with contextlib.suppress(OSError):
                        raw.send(bytes_sent)
            await _until(lambda: len(asyncio.all_tasks()) == 1)
            assert len(os.listdir("/dev/fd")) == before
            assert stream.clients == 0
            async with client_of(path) as client:
                await greeted(client)

    asyncio.run(check())


def test_an_action_of_a_client_that_has_left_is_given_up(path: Path) -> None:
    """Nobody waits for it any more."""
    given_up = asyncio.Event()

    async def slow(request: ActionRequest, peer: str, *_: object) -> Dump | Refusal:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            given_up.set()
            raise
        raise AssertionError

    async def check() -> None:
        async with serving(path, slow):
            async with client_of(path) as client:
                await greeted(client)
                await client.send(encode(DumpRequest(id="1")))
                await client.ping()
            await asyncio.wait_for(given_up.wait(), 10)

    asyncio.run(check())


def test_the_last_frame_reaches_the_clients(path: Path) -> None:
    """A worker that stops says what it had to say before it closes."""

    async def check() -> None:
        async with contextlib.AsyncExitStack() as stack:
            stream = WorkerSocket(path, hello=lambda: encode(HELLO), history=list, act=refuse)
            await stream.open()
            client = await stack.enter_async_context(client_of(path))
            await greeted(client)
            stream.push(frame(1))
            await stream.close()
            last = decode_from_agent(_bytes(await client.recv()))
            assert isinstance(last, Frame)
            with pytest.raises(ConnectionClosed):
                await client.recv()

    asyncio.run(check())


def test_promise_22_a_forked_child_does_not_keep_the_connections_open(path: Path) -> None:
    """When the worker dies its clients see it, though a child of it lives on."""

    async def check() -> None:
        async with serving(path) as stream, client_of(path) as client:
            await greeted(client)
            (connection,) = stream._queues
            inherited = connection.transport.get_extra_info("socket").fileno()
            listener = stream._listener
            assert listener is not None
            read, write = os.pipe()
            if (child := os.fork()) == 0:
                stream.leave_to_parent()
                kinds = [stat.S_ISSOCK(os.fstat(fd).st_mode) for fd in (inherited, listener.fileno())]
                os.write(write, b"closed" if kinds == [False, False] else b"open")
                os._exit(0)
            assert os.read(read, 10) == b"closed"
            os.waitpid(child, 0)  # noqa: ASYNC222 - it is ending
            os.close(read)
            os.close(write)
            stream.push(frame(1))
            # The parent's goes on.
            assert isinstance(decode_from_agent(_bytes(await client.recv())), Frame)

    asyncio.run(check())


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
