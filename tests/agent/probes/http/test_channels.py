"""WebSockets and streams: messages pass unchanged, and what is counted of them is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

from perftui_agent.probes.http.channels import AT_ONCE, ChannelProbe
from perftui_agent.wire.channels import ChannelFrame
from tests.support.timed import Timed, http_scope, timed

MS = 1_000_000

CONNECT = {"type": "websocket.connect"}
LEAVE = {"type": "websocket.disconnect", "code": 1000, "reason": ""}


def text(message: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": message}


def socket_scope(path: str = "/ws") -> dict[str, Any]:
    """Return the scope of a WebSocket."""
    scope = http_scope(path) | {"type": "websocket", "scheme": "ws", "subprotocols": []}
    del scope["method"]
    return scope


def over(
    service: Timed,
    messages: list[dict[str, Any]],
    *,
    path: str = "/ws",
    pause_s: float = 0.0,
    slow_client_s: float = 0.0,
    looks: bool = True,
) -> list[Any]:
    """Talk to a WebSocket, with a pause before each message; return what it has sent."""

    async def talk() -> list[Any]:
        sent: list[Any] = []
        waiting = [CONNECT, *messages, LEAVE]

        async def receive() -> Any:
            if len(waiting) < len(messages) + 2 and pause_s:
                await asyncio.sleep(pause_s)
            return waiting.pop(0) if waiting else LEAVE

        async def send(message: Any) -> None:
            if message["type"] == "websocket.send" and slow_client_s:
                await asyncio.sleep(slow_client_s)
            sent.append(message)

        looking = asyncio.ensure_future(_look(service)) if looks else None
        try:
            await service.app(socket_scope(path), receive, send)
            await asyncio.sleep(0.15)  # until it is known what held the loop
        finally:
            if looking is not None:
                looking.cancel()
        return sent

    return asyncio.run(talk())


async def _look(service: Timed) -> None:
    """Look at handlers every beat, as the agent's thread does."""
    probe = ChannelProbe(service.window)
    while True:
        await asyncio.sleep(0.02)
        probe.look()


def row_of(service: Timed, kind: str = "websocket") -> ChannelFrame:
    """Return what has been counted of the one route with connections."""
    (row,) = [row for row in service.seen.last.channels if row.kind == kind]
    return row


def an_app(handler: Callable[[WebSocket], Awaitable[None]]) -> FastAPI:
    """Return an app with one WebSocket."""
    app = FastAPI()
    app.add_api_websocket_route("/ws", handler)
    return app


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for message in socket.iter_text():
        await socket.send_text(message)


def test_promise_1_messages_of_a_socket_pass_unchanged() -> None:
    """The very same objects go both ways, in order, and nobody receives but the app."""
    incoming = [CONNECT, text("a"), {"type": "websocket.receive", "bytes": b"\x00"}, LEAVE]
    outgoing = [
        {"type": "websocket.accept", "subprotocol": None, "headers": [(b"x", b"1"), (b"x", b"2")]},
        {"type": "websocket.send", "text": "b"},
        {"type": "vendor.extension"},
        {"type": "websocket.close", "code": 1001, "reason": "over"},
    ]
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.append(await receive())
        await send(outgoing[0])
        got.append(await receive())
        for message in outgoing[1:]:
            await send(message)

    with timed(app) as service:
        waiting = list(incoming)
        sent: list[Any] = []

        async def receive() -> Any:
            return waiting.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(service.app(socket_scope(), receive, send))
    assert [id(message) for message in got] == [id(message) for message in incoming[:2]]
    assert [id(message) for message in sent] == [id(message) for message in outgoing]
    assert waiting == incoming[2:]


def test_promise_2_what_a_socket_raises_is_what_it_raised() -> None:
    """The type and the cause; it is counted by its name, and the connection is closed."""

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        raise LookupError("gone") from KeyError("why")

    with timed(an_app(handler)) as service:
        with pytest.raises(LookupError, match="gone") as raised:
            over(service, [text("a")])
        row = row_of(service)
    assert isinstance(raised.value.__cause__, KeyError)
    assert (row.errors, row.failures, row.open, row.closed) == (1, {"LookupError": 1}, 0, 1)


def test_messages_and_bytes_are_counted_each_way() -> None:
    """In bytes as they are sent, whatever the letters; a client that leaves closes with its code."""
    with timed(an_app(echo)) as service:
        over(service, [text("hello"), text("žž")])
        row = row_of(service)
    assert (row.route, row.opened, row.closed, row.open) == ("WS /ws", 1, 1, 0)
    assert (row.received, row.received_bytes, row.sent, row.sent_bytes) == (2, 9, 2, 9)
    assert (row.first.count, row.lasted.count, row.codes) == (1, 1, {"1000": 1})
    assert (row.handling.count, row.replies) == (2, 2)
    assert row.handling.max < 50 * MS


def test_it_is_no_request() -> None:
    """No route has a request for it, and no latency."""
    with timed(an_app(echo)) as service:
        over(service, [text("hello")])
        assert service.seen.last.routes == []


@pytest.mark.parametrize("replies", [True, False])
def test_a_handler_that_works_long_is_slow(replies: bool) -> None:
    """Whether it answers or only takes messages in."""

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        async for message in socket.iter_text():
            await asyncio.sleep(0.08)
            if replies:
                await socket.send_text(message)

    with timed(an_app(handler)) as service:
        over(service, [text("a")] * 3)
        row = row_of(service)
    assert row.handling.count == 3
    assert (row.handling.quantile(0.5) or 0) >= 75 * MS
    assert row.news_ns == row.held_ns == 0


def test_one_that_answers_and_then_works_is_slow_if_the_next_had_to_wait() -> None:
    """What keeps nobody waiting is no slowness."""

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        async for message in socket.iter_text():
            await socket.send_text(message)
            await asyncio.sleep(0.06)

    with timed(an_app(handler)) as service:
        over(service, [text("a")] * 3)
        hurried = row_of(service)
    with timed(an_app(handler)) as service:
        over(service, [text("a")] * 3, pause_s=0.02)
        patient = row_of(service)
    assert hurried.queued == 2
    assert (hurried.handling.quantile(0.5) or 0) >= 55 * MS
    assert (patient.queued, patient.handling.count) == (0, 3)
    assert patient.handling.max < 30 * MS


async def from_a_queue(news: asyncio.Queue[str]) -> str:
    return await news.get()


async def from_an_event(news: asyncio.Queue[str]) -> str:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, event.set)
    await asyncio.wait_for(event.wait(), 5)
    return "news"


@pytest.mark.parametrize("wait", [from_a_queue, from_an_event])
def test_one_that_waits_for_news_is_not_slow(wait: Callable[[Any], Awaitable[str]]) -> None:
    """It has nothing to do until somebody else has something to say."""

    async def handler(socket: WebSocket) -> None:
        news: asyncio.Queue[str] = asyncio.Queue()
        await socket.accept()
        async for _ in socket.iter_text():
            asyncio.get_running_loop().call_later(0.1, news.put_nowait, "news")
            await socket.send_text(await wait(news))

    with timed(an_app(handler)) as service:
        over(service, [text("a")] * 3)
        row = row_of(service)
    assert row.handling.count == 3
    assert row.news_ns >= 200 * MS
    assert row.handling.max < 60 * MS


def test_what_nobody_saw_is_not_judged() -> None:
    """Whether it was at work or waited for news: on a machine too busy to look it is counted apart."""

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        async for _ in socket.iter_text():
            await asyncio.sleep(0.15)

    with timed(an_app(handler)) as service:
        over(service, [text("a")] * 2, looks=False)
        row = row_of(service)
    assert (row.received, row.unjudged, row.handling.count) == (2, 2, 0)


def test_of_many_at_once_each_is_looked_at() -> None:
    """They take turns: that sixty clients wait for the same news is no slowness of the last of them."""
    clients = 3 * AT_ONCE

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        async for _ in socket.iter_text():
            await news.wait()

    async def all_of_them(service: Timed) -> None:
        async def one() -> None:
            waiting = [CONNECT, text("subscribe")]

            async def receive() -> Any:
                return waiting.pop(0) if waiting else LEAVE

            async def send(_: Any) -> None:
                pass

            await service.app(socket_scope(), receive, send)

        probe = ChannelProbe(service.window)
        talking = asyncio.gather(*(one() for _ in range(clients)))
        await asyncio.sleep(0.05)
        for _ in range(3):
            await asyncio.sleep(0.05)
            probe.look()
        news.set()
        await talking
        await asyncio.sleep(0.15)

    news = asyncio.Event()
    with timed(an_app(handler)) as service:
        asyncio.run(all_of_them(service))
        row = row_of(service)
    assert (row.handling.count, row.unjudged) == (clients, 0)
    assert row.news_ns >= clients * 80 * MS


def test_it_rests_only_while_no_message_passes() -> None:
    """A message that came and went between two rare looks would have nobody who saw what it waited for."""
    with timed(an_app(echo)) as service:
        probe = ChannelProbe(service.window)
        assert probe.may_rest
        over(service, [text("a")], looks=False)
        probe.look()
        assert not probe.may_rest


def test_a_client_that_does_not_read_is_no_slow_handler() -> None:
    """The time is that of sending, which is told apart."""
    with timed(an_app(echo)) as service:
        over(service, [text("a")] * 3, slow_client_s=0.06)
        row = row_of(service)
    assert row.handling.max < 30 * MS
    assert (row.blocked.count, row.blocked_ns >= 180 * MS) == (3, True)


def test_a_loop_that_others_hold_is_no_slow_handler() -> None:
    """As a held loop is nobody's fault who waits for it."""

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        async for message in socket.iter_text():
            loop = asyncio.get_running_loop()
            began = loop.time()
            held = loop.create_future()
            loop.call_later(0.1, held.set_result, None)
            await held
            service.window.loop_was_held("x", int(began * 1e9), int(loop.time() * 1e9), None)
            await socket.send_text(message)

    with timed(an_app(handler)) as service:
        over(service, [text("a")] * 2)
        row = row_of(service)
    assert row.held_ns >= 190 * MS
    assert row.handling.max < 30 * MS


def test_a_long_idle_is_no_handling() -> None:
    """A client that says nothing keeps nobody at work."""
    with timed(an_app(echo)) as service:
        over(service, [text("a")] * 2, pause_s=0.1)
        row = row_of(service)
    assert row.handling.max < 30 * MS


def test_the_route_has_every_prefix_and_no_value() -> None:
    """Of mounts and routers, and by the endpoint's own template; a handshake that nobody takes has none."""
    inner, router, app = FastAPI(), APIRouter(prefix="/v1"), FastAPI()
    inner.add_api_websocket_route("/rooms/{room}", echo)
    router.add_api_websocket_route("/items/{item_id}", echo)
    app.include_router(router, prefix="/api")
    app.mount("/chat", inner)
    with timed(app) as service:
        for path in ("/chat/rooms/7", "/api/v1/items/8", "/nowhere"):
            over(service, [text("a")], path=path)
        routes = {row.route for row in service.seen.last.channels}
    assert routes == {"WS /chat/rooms/{room}", "WS /api/v1/items/{item_id}", "WS (unmatched)"}
    plain = Starlette(routes=[Mount("/m", routes=[WebSocketRoute("/{name}", echo)]), Route("/{name}", echo)])
    with timed(plain) as service:
        over(service, [text("a")], path="/m/x")
        assert row_of(service).route == "WS /m/{name}"


def test_sockets_that_are_open_are_counted_by_route() -> None:
    """In each frame, whether or not anything goes over them."""
    opened: list[list[tuple[str, int]]] = []

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        opened.extend([(row.route, row.open) for row in service.seen.last.channels] for _ in range(2))

    with timed(an_app(handler)) as service:
        over(service, [])
    assert opened == [[("WS /ws", 1)], [("WS /ws", 1)]]


@pytest.mark.parametrize(("media_type", "kind"), [("text/event-stream", "events"), ("text/csv", "stream")])
def test_a_stream_tells_its_parts(media_type: str, kind: str) -> None:
    """Parts, bytes, the first of them, and a client that is slow to read."""

    async def parts() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.02)
        for _ in range(3):
            yield b"12345"

    async def endpoint(_request: Any) -> StreamingResponse:
        return StreamingResponse(parts(), media_type=media_type)

    with timed(Starlette(routes=[Route("/out", endpoint)])) as service:
        assert service.get("/out").content == b"12345" * 3
        row = row_of(service, kind)
    assert (row.route, row.opened, row.closed, row.open) == ("GET /out", 1, 1, 0)
    assert (row.sent, row.sent_bytes, row.received, row.handling.count) == (3, 15, 0, 0)
    assert (row.first.quantile(0.5) or 0) >= 19 * MS


def test_a_plain_response_is_no_stream() -> None:
    """Whatever sends it in parts, as long as its length is known."""

    async def endpoint(_request: Any) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"1"
            yield b"2"

        return StreamingResponse(parts(), headers={"content-length": "2"})

    with timed(Starlette(routes=[Route("/out", endpoint)])) as service:
        assert service.get("/out").content == b"12"
        assert service.seen.last.channels == []
