"""What the remote door does on the app's own event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perftui_agent.guard import Guard
from perftui_agent.serve.endpoint import MESSAGES_ON_THEIR_WAY, Call, RemoteDoor

SCOPE: dict[str, Any] = {
    "type": "websocket",
    "path": "/_perftui",
    "headers": [(b"perftui-client", b"cafe01")],
}


class Transport:
    """A connection on which so many bytes wait for a client that does not read."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return True

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("10.0.0.7", 5000)


class Server:
    """A server's side of a WebSocket, as uvicorn's is."""

    def __init__(self, transport: Transport, reads: bool = True) -> None:
        self.transport = transport
        self.reads = reads
        self.sent: list[dict[str, Any]] = []
        self.ends = asyncio.Event()
        self.connected = False

    async def receive(self) -> dict[str, Any]:
        if not self.connected:
            self.connected = True
            return {"type": "websocket.connect"}
        await self.ends.wait()
        return {"type": "websocket.disconnect", "code": 1012}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if message["type"] == "websocket.send" and not self.reads:
            await asyncio.Event().wait()


class Desk:
    """Takes calls, as the agent's thread does."""

    service = "shop"

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.calls: list[Call] = []
        self.came = asyncio.Event()

    def begin(self, call: Call) -> None:
        self.calls.append(call)
        self.came.set()


@pytest.mark.parametrize(("waiting", "aborted"), [(70_000, True), (0, False)])
def test_promise_3_a_client_that_reads_nothing_holds_up_no_shutdown(waiting: int, aborted: bool) -> None:
    """What it has not read is dropped: else the server would wait for it without end."""

    async def check() -> None:
        door = RemoteDoor(Guard(), lambda: None)
        desk = door.reception = Desk()
        server = Server(Transport(waiting), reads=False)
        serving = asyncio.create_task(door.answer(SCOPE, server.receive, server.send))
        await desk.came.wait()
        await desk.calls[0].outward.give(b"a frame")
        server.ends.set()
        await serving
        assert server.transport.aborted == aborted

    asyncio.run(check())


def test_a_slow_client_has_four_messages_handed_over_and_no_more() -> None:
    """The rest waits where it comes from: the app's loop has nothing to do with it."""

    async def check() -> None:
        door = RemoteDoor(Guard(), lambda: None)
        desk = door.reception = Desk()
        server = Server(Transport(0), reads=False)
        serving = asyncio.create_task(door.answer(SCOPE, server.receive, server.send))
        await desk.came.wait()
        given = []

        async def give() -> None:
            for number in range(20):
                await desk.calls[0].outward.give(b"frame")
                given.append(number)

        giving = asyncio.create_task(give())
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(given) == MESSAGES_ON_THEIR_WAY
        assert [message["type"] for message in server.sent] == ["websocket.accept", "websocket.send"]
        giving.cancel()
        server.ends.set()
        await serving

    asyncio.run(check())


def test_a_call_says_who_is_at_the_other_end() -> None:
    """The address of the connection itself, and the word of the client's process."""

    async def check() -> None:
        door = RemoteDoor(Guard(), lambda: None)
        desk = door.reception = Desk()
        server = Server(Transport(0))
        scope = SCOPE | {"client": ("203.0.113.7", 1)}
        serving = asyncio.create_task(door.answer(scope, server.receive, server.send))
        await desk.came.wait()
        server.ends.set()
        await serving
        assert (desk.calls[0].peer, desk.calls[0].client) == ("10.0.0.7", "cafe01")

    asyncio.run(check())


def test_where_the_agent_does_not_come_to_run_the_client_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was woken, and has its time."""
    monkeypatch.setattr("perftui_agent.serve.endpoint.STARTS_WITHIN_S", 0.04)

    async def check() -> None:
        woken: list[bool] = []
        door = RemoteDoor(Guard(), lambda: woken.append(True))
        server = Server(Transport(0))
        await door.answer(SCOPE, server.receive, server.send)
        assert woken == [True]
        assert [message.get("code") for message in server.sent] == [None, 1013]

    asyncio.run(check())
