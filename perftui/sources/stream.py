"""One worker's stream: a WebSocket over the worker's own Unix socket.

Gives the hello and the frames as they come, and takes requests whose answers come in between. It
believes that it talks to the worker it was told of only when the socket belongs to a trusted user and
the hello names that very worker.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from perftui.sources.discovery import may_connect
from perftui_agent.wire.codec import WireError, decode_from_agent, encode, is_history
from perftui_agent.wire.frames import (
    MAX_MESSAGE_BYTES,
    WIRE_VERSION,
    Dump,
    DumpRequest,
    Frame,
    FromAgent,
    Hello,
    History,
    Refusal,
)
from perftui_agent.wire.registration import Registration

OPEN_TIMEOUT_S = 10.0
"""A worker whose GIL is held accepts connections and answers none."""

LOST = (OSError, TimeoutError, WebSocketException, WireError)
"""What a stream that can't go on raises; connecting again may help."""


class WrongWireError(Exception):
    """The agent speaks another version of the wire: connecting again won't help."""


class NotAnsweredError(Exception):
    """A request brought no answer: one sentence says why."""


class EarlierFrames(NamedTuple):
    """A `History` as it came: to be decoded when there is time."""

    data: bytes


class Stream:
    """The stream of one worker; `follow` it, and `ask` while it is followed."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self.worker = registration.worker
        self.last_seq = 0
        """The `seq` of the last live frame."""
        self._connection: ClientConnection | None = None
        self._answers: dict[str, asyncio.Future[Dump | Refusal]] = {}

    @property
    def connected(self) -> bool:
        """Whether the agent has said hello and the connection is open."""
        return self._connection is not None

    async def follow(self, tell: Callable[[Hello | Frame | EarlierFrames], Awaitable[None]]) -> None:
        """Connect and `tell` of everything that comes; return when the agent ends it, raise `LOST` else."""
        path = self.registration.socket
        if not may_connect(path):
            raise PermissionError(f"{path} is no socket of this user or root")
        async with unix_connect(
            path,
            "ws://localhost/",
            max_size=MAX_MESSAGE_BYTES,
            max_queue=2,  # megabytes of the past are not to be read before there is time for them
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=0.5,
            ping_interval=None,  # frames come every second: their absence tells more
        ) as connection:
            await tell(self._checked(_decoded(await connection.recv())))
            self._connection = connection
            try:
                async for data in connection:
                    if isinstance(data, bytes) and is_history(data):
                        await tell(EarlierFrames(data))
                        continue
                    message = _decoded(data)
                    if isinstance(message, Frame):
                        await tell(message)
                    elif not isinstance(message, Hello | History):
                        self._answered(message)
            finally:
                self._connection = None
                self._fail("the connection ended before the answer")

    async def ask(self, request: DumpRequest, timeout_s: float) -> Dump | Refusal:
        """Send a request and return its answer; `NotAnsweredError` if there is none in time."""
        pid = self.worker.pid
        if self._connection is None:
            raise NotAnsweredError(f"worker {pid} is not connected")
        answer: asyncio.Future[Dump | Refusal] = asyncio.get_running_loop().create_future()
        self._answers[request.id] = answer
        try:
            async with asyncio.timeout(timeout_s):
                await self._connection.send(encode(request))
                return await answer
        except TimeoutError:
            raise NotAnsweredError(f"worker {pid} did not answer within {timeout_s:g} s") from None
        except ConnectionClosed:
            raise NotAnsweredError(f"the connection to worker {pid} ended") from None
        finally:
            self._answers.pop(request.id, None)

    def _checked(self, message: FromAgent) -> Hello:
        if not isinstance(message, Hello):
            raise WireError("an agent's first message is its hello")
        if message.wire != WIRE_VERSION:
            raise WrongWireError(wrong_wire(self.registration.worker.pid, message.wire))
        if message.worker.id != self.worker.id:
            raise WireError(f"{message.worker.id} answers where {self.worker.id} should")
        return message

    def _answered(self, message: Dump | Refusal) -> None:
        answer = self._answers.get(message.id)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _fail(self, why: str) -> None:
        for answer in self._answers.values():
            with contextlib.suppress(asyncio.InvalidStateError):
                answer.set_exception(NotAnsweredError(why))


def wrong_wire(pid: int, version: int) -> str:
    """Return the sentence for an agent of another wire version."""
    newer = "perftui" if version > WIRE_VERSION else "perftui-agent in the service"
    return (
        f"the agent of worker {pid} speaks version {version} of the wire, this perftui {WIRE_VERSION}: "
        f"upgrade {newer}"
    )


def _decoded(data: str | bytes) -> FromAgent:
    if isinstance(data, str):
        raise WireError("agents send binary messages")
    return decode_from_agent(data)
