"""Serves this worker's stream on its own Unix socket, and nobody else's.

Takes encoded frames, gives them to every connected client; a client that does not read loses frames,
never the agent its pace. Admits this user and root, at most eight at a time, and no browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TypeAlias

from websockets.asyncio.server import Server, ServerConnection, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from perftui_agent.wire.actions import Finish, Progress
from perftui_agent.wire.codec import WireError, decode_from_client, encode, encode_history
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.keep import Keep
from perftui_agent.wire.listen import Listen
from perftui_agent.wire.messages import ActionRequest, ActionResult

MAX_CLIENTS = 8

MAX_QUEUED_FRAMES = 16
"""Frames that wait for one client; past it the oldest goes, and the gap in `seq` tells."""

HISTORY_CHUNK_BYTES = 128 * 1024
"""About as much as goes to a client between two live frames."""

FIRST_CHUNK_BYTES = 16 * 1024
"""The latest second of a service of sixty routes: so much is enough for a first picture."""

MAX_REQUEST_BYTES = 64 * 1024

FOR_HEADER = "Perftui-For"
"""By which a worker that relays says for whom: an address, and a word of the process there."""

FLUSH_WITHIN_S = 0.02
"""How long the last frames have to reach the clients."""

_CLOSE_GOING_AWAY = 1001
_CLOSE_TRY_AGAIN_LATER = 1013
_CLOSE_NOT_UNDERSTOOD = 1003

# What a client does is not the host app's to read about in its log.
_log = logging.getLogger("perftui.socket")
_log.addHandler(logging.NullHandler())
_log.propagate = False


Act: TypeAlias = Callable[
    [ActionRequest, str, Callable[[Progress], Awaitable[None]], asyncio.Event],
    Awaitable[ActionResult | Refusal],
]
"""Does what a client asks: takes the request, who asks, whom to tell its progress, and what ends it early."""


class WorkerSocket:
    """The stream of one worker."""

    def __init__(
        self,
        path: Path,
        *,
        hello: Callable[[], bytes],
        history: Callable[[], list[bytes]],
        act: Act,
        kept: Callable[[], list[bytes]] = list,
        keep: Callable[[str], object] = bool,
        shared: Callable[[ActionRequest, ActionResult], bytes | None] | None = None,
    ) -> None:
        self.path = path
        self._bound: tuple[int, int] | None = None
        """The device and the inode of the socket file: another one of the same name is not ours."""
        self._former: list[Server] = []
        """Those whose socket files were removed: they take no new clients and keep those they have."""
        self._hello = hello
        self._history = history
        self._act = act
        self._kept = kept
        """Messages for a client that connects, after the frames of the past."""
        self._keep = keep
        """Takes the finding for which a client wants the seconds around now kept."""
        self._shared = shared
        """Returns what those who listen are told of what somebody got; None if nothing."""
        self._listening: set[ServerConnection] = set()
        self._queues: dict[ServerConnection, asyncio.Queue[bytes]] = {}
        self._server: Server | None = None
        self._listener: socket.socket | None = None
        self.bytes_sent = 0
        self.frames_dropped = 0

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._queues)

    async def open(self) -> None:
        """Bind the socket, mode 0600, and begin to serve."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
            listener.bind(str(self.path))
            self._listener = listener
            os.chmod(self.path, 0o600)
            info = os.lstat(self.path)
            self._bound = info.st_dev, info.st_ino
            self._server = await unix_serve(
                self._serve,
                sock=listener,
                compression=None,
                max_size=MAX_REQUEST_BYTES,
                max_queue=4,
                write_limit=256 * 1024,
                ping_interval=None,
                open_timeout=5,
                close_timeout=0.05,
                origins=[None],  # a browser always sends one
                process_request=_admit,
                server_header=None,
                logger=_log,
            )
        except BaseException:
            listener.close()
            raise

    def is_there(self) -> bool:
        """Tell whether a client that goes by the path would come here."""
        try:
            info = os.lstat(self.path)
        except OSError:
            return False
        return (info.st_dev, info.st_ino) == self._bound

    async def open_again(self, path: Path) -> None:
        """Bind anew, there or elsewhere: the file is gone. Whoever is connected stays so."""
        former, self._server = self._server, None
        if former is not None:
            former.close(close_connections=False)
            self._former = [each for each in self._former if each.sockets or each.connections] + [former]
        self.path = path
        await self.open()

    def push(self, frame: bytes) -> None:
        """Give a frame to every client."""
        for queue in self._queues.values():
            self._put(queue, frame)

    def _put(self, queue: asyncio.Queue[bytes], message: bytes) -> None:
        if queue.full():
            queue.get_nowait()
            queue.task_done()
            self.frames_dropped += 1
        queue.put_nowait(message)

    def leave_to_parent(self) -> None:
        """Give up, in a forked child, its copies of the sockets: with them open, nobody would see the end.

        Each descriptor is made to lead nowhere and stays taken, since its owner closes it some day.
        """
        listener = self._listener
        sockets = [connection.transport.get_extra_info("socket") for connection in self._queues]
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for inherited in [listener, *sockets]:
            if inherited is not None and inherited.fileno() >= 0:
                os.dup2(nowhere, inherited.fileno(), inheritable=False)
        os.close(nowhere)

    async def close(self) -> None:
        """Stop serving; clients get what waits for them, and are told."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_WITHIN_S):
                await asyncio.gather(*(queue.join() for queue in self._queues.values()))
        if self._former:
            farewells = [asyncio.ensure_future(each.close(_CLOSE_GOING_AWAY)) for each in self._queues]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*farewells, return_exceptions=True), 0.1)
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 0.1)

    async def _serve(self, connection: ServerConnection) -> None:
        if len(self._queues) >= MAX_CLIENTS:
            await connection.close(_CLOSE_TRY_AGAIN_LATER, f"{MAX_CLIENTS} clients are connected already")
            return
        queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED_FRAMES)
        # In one step, so that no frame is in both or in neither.
        history = self._history()
        self._queues[connection] = queue
        writer = asyncio.create_task(self._write(connection, history, queue))
        actions: set[asyncio.Task[None]] = set()
        to_end: dict[str, asyncio.Event] = {}
        try:
            async for message in connection:
                request = decode_from_client(message if isinstance(message, bytes) else message.encode())
                if isinstance(request, Finish):
                    if request.id in to_end:
                        to_end[request.id].set()
                    continue
                if isinstance(request, Keep):
                    self._keep(request.kind)
                    continue
                if isinstance(request, Listen):
                    self._listening.add(connection)
                    continue
                action = asyncio.create_task(self._answer(connection, request, to_end))
                actions.add(action)
                action.add_done_callback(actions.discard)
        except WireError as error:
            await connection.close(_CLOSE_NOT_UNDERSTOOD, str(error)[:100])
        except ConnectionClosed:
            pass
        finally:
            del self._queues[connection]
            self._listening.discard(connection)
            for task in (writer, *actions):
                task.cancel()
            await asyncio.gather(writer, *actions, return_exceptions=True)

    async def _write(
        self, connection: ServerConnection, history: list[bytes], queue: asyncio.Queue[bytes]
    ) -> None:
        with contextlib.suppress(ConnectionClosed):
            await connection.send(self._hello())
            for chunk in _history_chunks(history):
                await connection.send(chunk)
                self.bytes_sent += len(chunk)
                # What is live goes first: history never stalls it.
                while not queue.empty():
                    await self._send(connection, queue.get_nowait())
                    queue.task_done()
            for message in self._kept():
                await self._send(connection, message)
            while True:
                await self._send(connection, await queue.get())
                queue.task_done()

    async def _send(self, connection: ServerConnection, frame: bytes) -> None:
        await connection.send(frame)
        self.bytes_sent += len(frame)

    async def _answer(
        self, connection: ServerConnection, request: ActionRequest, to_end: dict[str, asyncio.Event]
    ) -> None:
        async def tell(progress: Progress) -> None:
            with contextlib.suppress(ConnectionClosed):
                await connection.send(encode(progress))

        finish = to_end[request.id] = asyncio.Event()
        try:
            reply = await self._act(request, _asker(connection), tell, finish)
            with contextlib.suppress(ConnectionClosed):
                await connection.send(encode(reply))
            if not isinstance(reply, Refusal):
                self._share(connection, request, reply)
        finally:
            to_end.pop(request.id, None)

    def _share(self, asker: ServerConnection, request: ActionRequest, result: ActionResult) -> None:
        """Tell those who listen what another process got: what their own asks for they have."""
        own = _process(asker)
        others = [each for each in self._listening if each in self._queues and _process(each) != own]
        if others and self._shared is not None and (told := self._shared(request, result)) is not None:
            for each in others:
                self._put(self._queues[each], told)


def _history_chunks(frames: list[bytes]) -> Iterator[bytes]:
    """Yield `frames`, oldest first, in chunks, the latest first; that is a small one."""
    chunk: list[bytes] = []
    size, most = 0, FIRST_CHUNK_BYTES
    for frame in reversed(frames):
        if chunk and size + len(frame) > most:
            yield encode_history(chunk[::-1], last=False)
            chunk, size, most = [], 0, HISTORY_CHUNK_BYTES
        chunk.append(frame)
        size += len(frame)
    yield encode_history(chunk[::-1], last=True)


def _admit(connection: ServerConnection, _request: Request) -> Response | None:
    """Refuse everyone but this user and root: the mode of the socket says so, the kernel proves it."""
    uid = _peer_uid(connection)
    if uid is None or uid in {0, os.getuid()}:
        return None
    return connection.respond(HTTPStatus.FORBIDDEN, "not your worker\n")


def _for(connection: ServerConnection) -> str:
    """Return for whom a sibling relays; empty if the client is here."""
    request = connection.request
    return request.headers.get(FOR_HEADER, "")[:100] if request is not None else ""


def _asker(connection: ServerConnection) -> str:
    """Return who asks, for the audit trail."""
    relayed = _for(connection)
    return f"uid {_peer_uid(connection)}" + (f" for {relayed}" if relayed else "")


def _process(connection: ServerConnection) -> tuple[int | None, str]:
    """Return what all connections of one client's process have in common: theirs, and nobody else's."""
    relayed = _for(connection)
    word = relayed.rpartition(" ")[2]
    return (None, word) if relayed else (_peer(connection)[0], "")


def _peer_uid(connection: ServerConnection) -> int | None:
    """Return the uid at the other end; None where the system doesn't tell."""
    return _peer(connection)[1]


def _peer(connection: ServerConnection) -> tuple[int | None, int | None]:
    """Return the pid and the uid at the other end; see `_peer_uid`."""
    peer = connection.transport.get_extra_info("socket")
    if peer is None or not hasattr(socket, "SO_PEERCRED"):
        return None, None
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", credentials)
    return pid, uid
