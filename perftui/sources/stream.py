"""One worker's stream, over the worker's own Unix socket or a channel of a remote door.

Gives the hello and the frames as they come, and takes requests whose answers come in between. It
believes that it talks to the worker it was told of only when the hello names that very worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from websockets.exceptions import ConnectionClosed, WebSocketException

from perftui_agent.wire.actions import Finish, Progress
from perftui_agent.wire.codec import WireError, decode_from_agent, encode, is_history, kept_evidence
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.frames import WIRE_VERSION, Frame, Hello, History
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.keep import Keep
from perftui_agent.wire.listen import Listen
from perftui_agent.wire.messages import ActionRequest, ActionResult, FromAgent
from perftui_agent.wire.registration import Registration

OPEN_TIMEOUT_S = 10.0
"""A worker whose GIL is held accepts connections and answers none."""

LOST = (OSError, TimeoutError, WebSocketException, WireError)
"""What a stream that can't go on raises; connecting again may help."""


_CLOSED = (ConnectionClosed, ConnectionError)


class Connection(Protocol):
    """What a worker's messages come over."""

    async def recv(self) -> str | bytes:
        """Return the next message; one of `LOST` if none will come."""

    async def send(self, message: bytes, /) -> None:
        """Send a message; one of `LOST` if it can't be."""

    def __aiter__(self) -> AsyncIterator[str | bytes]: ...


@runtime_checkable
class Patient(Protocol):
    """A connection that is given up when nothing comes over it for a while."""

    def waiting(self) -> AbstractContextManager[None]:
        """Not within this: what was asked of the other side may keep it from saying anything."""


class WrongWireError(Exception):
    """The agent speaks another version of the wire: connecting again won't help."""


class NotAnsweredError(Exception):
    """A request brought no answer: one sentence says why."""


class EarlierFrames(NamedTuple):
    """A `History` as it came: to be decoded when there is time."""

    data: bytes


class KeptEvidence(NamedTuple):
    """What an agent has kept of its own accord, from before anybody looked."""

    evidence: tuple[Evidence, ...]


Told: TypeAlias = Hello | Frame | EarlierFrames | KeptEvidence
"""What a stream tells of by itself."""


@dataclass
class _Asked:
    """A request that waits for its answer."""

    answer: asyncio.Future[ActionResult | Refusal]
    told: Callable[[Progress], None] | None
    heard_at: float
    """When there was news of it last, or it was asked; `time.monotonic`."""


class Stream:
    """The stream of one worker; `follow` it, and `ask` while it is followed."""

    def __init__(
        self,
        registration: Registration,
        turn: Callable[[], AbstractAsyncContextManager[None]],
        connect: Callable[[Registration], AbstractAsyncContextManager[Connection]],
        *,
        listens: bool = False,
    ) -> None:
        self.registration = registration
        self._listens = listens
        self._connect = connect
        self._turn = turn
        """Within it a message is decoded and told of."""
        self.worker = registration.worker
        self.last_seq = 0
        """The `seq` of the last live frame."""
        self.keeps = False
        """Whether the agent keeps seconds on being asked to."""
        self._connection: Connection | None = None
        self._asked: dict[str, _Asked] = {}

    @property
    def connected(self) -> bool:
        """Whether the agent has said hello and the connection is open."""
        return self._connection is not None

    async def follow(self, tell: Callable[[Told], Awaitable[None]]) -> None:
        """Connect and `tell` of everything that comes; return when the agent ends it, raise `LOST` else."""
        async with self._connect(self.registration) as connection:
            hello = self._checked(_decoded(await connection.recv()))
            self.keeps = hello.keeps
            if self._listens and hello.shares:
                await connection.send(encode(Listen()))
            await tell(hello)
            self._connection = connection
            try:
                async for data in connection:
                    if isinstance(data, bytes) and is_history(data):
                        if kept := kept_evidence(data):
                            await tell(KeptEvidence(tuple(kept)))
                            continue
                        await tell(EarlierFrames(data))
                        continue
                    async with self._turn():
                        message = _decoded(data)
                        if isinstance(message, Frame):
                            await tell(message)
                        elif not isinstance(message, Hello | History):
                            self._answered(message)
            finally:
                self._connection = None
                self._fail("the connection ended before the answer")

    async def ask(
        self,
        request: ActionRequest,
        timeout_s: float,
        told: Callable[[Progress], None] | None = None,
        finish: asyncio.Event | None = None,
    ) -> ActionResult | Refusal:
        """Send a request and return its answer; `NotAnsweredError` if nothing is heard of it for so long.

        `told` gets its progress; once `finish` is set it is asked to end with what there is.
        """
        pid = self.worker.pid
        if self._connection is None:
            raise NotAnsweredError(f"worker {pid} is not connected")
        answer: asyncio.Future[ActionResult | Refusal] = asyncio.get_running_loop().create_future()
        pending = self._asked[request.id] = _Asked(answer, told, time.monotonic())
        finishing = asyncio.create_task(self._finish(request.id, finish)) if finish is not None else None
        connection = self._connection
        waiting = connection.waiting() if isinstance(connection, Patient) else contextlib.nullcontext()
        try:
            with waiting:
                await connection.send(encode(request))
                while True:
                    left_s = pending.heard_at + timeout_s - time.monotonic()
                    done, _ = await asyncio.wait({answer}, timeout=max(left_s, 0.0))
                    if done:
                        return answer.result()
                    if left_s <= 0:
                        raise NotAnsweredError(f"worker {pid} did not answer within {timeout_s:g} s")
        except _CLOSED:
            raise NotAnsweredError(f"the connection to worker {pid} ended") from None
        finally:
            self._asked.pop(request.id, None)
            if finishing is not None:
                finishing.cancel()

    async def keep(self, kind: str) -> None:
        """Have the worker keep the seconds around now, if it can."""
        if self._connection is not None and self.keeps:
            with contextlib.suppress(*_CLOSED):
                await self._connection.send(encode(Keep(kind=kind)))

    async def _finish(self, request_id: str, finish: asyncio.Event) -> None:
        await finish.wait()
        with contextlib.suppress(*_CLOSED):
            if self._connection is not None:
                await self._connection.send(encode(Finish(id=request_id)))

    def _checked(self, message: FromAgent) -> Hello:
        if not isinstance(message, Hello):
            raise WireError("an agent's first message is its hello")
        if message.wire != WIRE_VERSION:
            raise WrongWireError(wrong_wire(self.registration.worker.pid, message.wire))
        if message.worker.id != self.worker.id:
            raise WireError(f"{message.worker.id} answers where {self.worker.id} should")
        return message

    def _answered(self, message: Progress | ActionResult | Refusal) -> None:
        asked = self._asked.get(message.id)
        if asked is None or asked.answer.done():
            return
        if not isinstance(message, Progress):
            asked.answer.set_result(message)
            return
        asked.heard_at = time.monotonic()
        if asked.told is not None:
            asked.told(message)

    def _fail(self, why: str) -> None:
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(NotAnsweredError(why))


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
