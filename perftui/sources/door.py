"""One connection to a service's remote door, on which the streams of all its workers come.

Gives who is there, and a channel for each worker that is followed; takes what each may be asked. Made again
whenever it ends: by another worker, often. What it believes of whoever answers is that it has the certificate
of its name, over HTTPS; over plain HTTP nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from types import TracebackType

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from perftui.sources.knocking import told_of
from perftui.sources.session import retry_after_s
from perftui.sources.stream import LOST, OPEN_TIMEOUT_S
from perftui.sources.target import RemoteTarget
from perftui_agent.wire.codec import WireError
from perftui_agent.wire.door import (
    CLIENT_HEADER,
    DOOR,
    DOOR_PATH,
    MAX_CARRIED_BYTES,
    MAX_CHANNELS,
    ROOM,
    AskRemains,
    Close,
    Closed,
    FromDoor,
    Open,
    Remains,
    Roster,
    ToDoor,
    Took,
    carried,
    decode_from_door,
    opened,
    said,
)
from perftui_agent.wire.parts import WorkerId

QUIET_S = 5.0
"""A door says something each second: one that has said nothing for so long is knocked at anew, since another
worker may answer."""

REMAINS_S = 10.0

MAX_REMAINS = 1000
"""More frames and workers than a door tells of at once."""

OWN_WORD = secrets.token_hex(8)
"""By which the other side knows that several connections are of this process."""


class _Connect(connect):
    """Goes nowhere but where it was told to: the token is for nobody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Channel:
    """A worker's stream, as its own socket would give it."""

    def __init__(self, door: Door, number: int) -> None:
        self.number = number
        self.ended: str | None = None
        self._door = door
        self._came: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, message: bytes) -> None:
        """Take what has come; `WireError` if there is more of it than was let come."""
        if self._came.qsize() >= ROOM:
            raise WireError("a door sends more than there is room for")
        self._came.put_nowait(message)

    def end(self, reason: str) -> None:
        """Note that no more will come."""
        self.ended = reason
        self._came.put_nowait(None)

    async def recv(self) -> bytes:
        """Return the next message; ConnectionResetError if none will come."""
        message = await self._came.get()
        if message is None:
            self._came.put_nowait(None)
            raise ConnectionResetError(self.ended)
        if self.ended is None:
            await self._door.say(Took(channel=self.number))
        return message

    async def send(self, data: bytes) -> None:
        """Send a message to the worker; ConnectionResetError if it can't come there any more."""
        if self.ended is not None:
            raise ConnectionResetError(self.ended)
        await self._door.send(carried(self.number, data))

    def waiting(self) -> AbstractContextManager[None]:
        """Have the door be waited for, however silent it is: see `Patient`."""
        return self._door.waiting()

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except ConnectionResetError:
            raise StopAsyncIteration from None


class Door:
    """A service's remote door, from outside: `async with` it."""

    def __init__(self, target: RemoteTarget, token: str) -> None:
        self.target = target
        self._token = token
        self._connection: ClientConnection | None = None
        self._open = asyncio.Event()
        self._channels: dict[int, Channel] = {}
        self._asked: dict[str, asyncio.Queue[Remains]] = {}
        self._questions = 0
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None
        self.roster: Roster | None = None
        """What was said last of who is there."""

    async def __aenter__(self) -> Door:
        """Knock, and wait until it is said who is there; `TargetError` if nobody opens."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep_open(first))
        try:
            await asyncio.shield(first)
        except LOST as error:
            await self._leave()
            raise told_of(self.target, error) from None
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, and who is there has been said on it."""
        return self._open.is_set()

    @contextlib.asynccontextmanager
    async def channel(self, worker: WorkerId) -> AsyncIterator[Channel]:
        """Open the stream of a worker; `LOST` if the door does not open in time."""
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await self._open.wait()
        free = (number for number in range(1, MAX_CHANNELS + 1) if number not in self._channels)
        number = next(free, None)
        if number is None:
            raise ConnectionRefusedError(f"{MAX_CHANNELS} workers are followed already")
        channel = self._channels[number] = Channel(self, number)
        connection = self._connection
        try:
            await self.say(Open(channel=number, worker=worker))
            yield channel
        finally:
            # Its number is free again when the other side has heard of it.
            if channel.ended is None and connection is self._connection:
                with contextlib.suppress(*LOST):
                    await self.say(Close(channel=number))

    async def remains(self, worker: WorkerId = "", after_seq: int = 0) -> list[Remains]:
        """Return what is left of a worker after a frame, or of all that are gone; what comes in time."""
        self._questions += 1
        name = str(self._questions)
        answers = self._asked[name] = asyncio.Queue(MAX_REMAINS)
        found: list[Remains] = []
        try:
            async with asyncio.timeout(REMAINS_S):
                await self._open.wait()
                await self.say(AskRemains(id=name, worker=worker, after_seq=after_seq))
                while (answer := await answers.get()).more:
                    found.append(answer)
        except LOST:
            pass
        finally:
            del self._asked[name]
        return found

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Take no silence amiss: the worker that answers may be the one that was asked for something long."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def say(self, message: ToDoor) -> None:
        """Say something to the door itself."""
        await self.send(said(message))

    async def send(self, data: bytes) -> None:
        """Send something over the connection; ConnectionResetError if there is none."""
        if self._connection is None:
            raise ConnectionResetError("the door is shut")
        try:
            await self._connection.send(data)
        except ConnectionClosed:
            raise ConnectionResetError("the connection to the door ended") from None

    async def _keep_open(self, first: asyncio.Future[None]) -> None:
        drops = 0
        while True:
            try:
                await self._follow(first)
            except LOST as error:
                if not first.done():
                    first.set_exception(error)
                    return
            finally:
                drops = 0 if self._open.is_set() else drops
                self._shut()
            drops += 1
            await asyncio.sleep(retry_after_s(drops, random.random()))  # noqa: S311 - spreads load, keeps no secret

    async def _follow(self, first: asyncio.Future[None]) -> None:
        """Connect, and take what comes until that ends, which raises one of `LOST`."""
        scheme, _, rest = self.target.url.rstrip("/").partition("://")
        async with _Connect(
            f"{'wss' if scheme.lower() == 'https' else 'ws'}://{rest}{DOOR_PATH}",
            additional_headers={"Authorization": f"Bearer {self._token}", CLIENT_HEADER: OWN_WORD},
            max_size=MAX_CARRIED_BYTES,
            max_queue=16,
            compression=None,  # it would be the app's event loop that compresses
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=0.5,
            ping_interval=None,  # it says something each second
        ) as connection:
            while True:
                try:
                    async with asyncio.timeout(QUIET_S):
                        data = await connection.recv()
                except TimeoutError:
                    if self._waiting:
                        continue
                    raise
                if not isinstance(data, bytes):
                    raise WireError("doors send binary messages")
                number, message = opened(data)
                if number == DOOR:
                    if self._heard(decode_from_door(message)):
                        self._connection = connection
                        self._open.set()
                        if not first.done():
                            first.set_result(None)
                elif (channel := self._channels.get(number)) is not None and channel.ended is None:
                    channel.put(message)

    def _heard(self, message: FromDoor) -> bool:
        """Take what the door has said; tell whether it has said who is there."""
        if isinstance(message, Roster):
            self.roster = message
            return True
        if isinstance(message, Closed):
            channel = self._channels.pop(message.channel, None)
            if channel is not None:
                channel.end(message.reason)
        elif isinstance(message, Remains) and message.id in self._asked:
            try:
                self._asked[message.id].put_nowait(message)
            except asyncio.QueueFull:
                raise WireError(f"a door tells more than {MAX_REMAINS} pieces of what is left") from None
        return False

    def _shut(self) -> None:
        self._connection = None
        self._open.clear()
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            if channel.ended is None:
                channel.end("the connection to the door ended")
        for name, answers in self._asked.items():
            with contextlib.suppress(asyncio.QueueFull):
                answers.put_nowait(Remains(id=name, more=False))
