"""A request is believed to be the running code's as long as it lives, by everybody who asks."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.websockets import WebSocket

from perftui_agent.await_chain import request_of
from perftui_agent.channels import SocketRecord
from perftui_agent.records import RequestRecord, current_request
from perftui_agent.whose import request_at, request_in_context, request_now
from tests.support.requests import begin, end
from tests.support.timed import http_scope, timed


@pytest.fixture
def request_here() -> Iterator[RequestRecord]:
    """A request that is current in the test."""
    record = begin()
    token = current_request.set(record)
    yield record
    current_request.reset(token)


def leave(record: RequestRecord) -> None:
    """Have the app be done with a request."""
    end(record)
    record.left_ns = record.ended_ns + 10


def test_a_request_is_current_until_the_app_has_left_it(request_here: RequestRecord) -> None:
    """Its background work, after the last byte, is its own."""
    context = contextvars.copy_context()
    assert request_now() is request_in_context(context) is request_here
    end(request_here)
    assert request_now() is request_in_context(context) is request_here
    leave(request_here)
    assert request_now() is None
    assert request_in_context(context) is None


def test_what_began_in_time_is_the_requests(request_here: RequestRecord) -> None:
    """A statement that goes on while the app leaves is its own, one that begins then is not."""
    leave(request_here)
    assert request_at(request_here.left_ns - 1) is request_here
    assert request_at(request_here.left_ns) is None


def test_nobody_has_no_request() -> None:
    """Outside of any request there is none."""
    assert request_now() is request_at(1) is None


def test_a_task_is_the_requests_until_that_has_been_left(request_here: RequestRecord) -> None:
    """As seen from another thread, which asks the task's own context."""

    async def asking() -> None:
        task = asyncio.create_task(asyncio.sleep(0))
        assert request_of(task) is request_here
        leave(request_here)
        assert request_of(task) is None
        await task

    asyncio.run(asking())


def test_a_websocket_is_no_earlier_request_of_its_connection() -> None:
    """Servers make its task where an earlier request with background work may still be current."""
    seen: list[RequestRecord | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            seen.append(request_now())
            await WebSocket(scope, receive, send).close()
            return
        await PlainTextResponse("ok")(scope, receive, send)
        websocket = http_scope() | {"type": "websocket", "subprotocols": []}
        del websocket["method"]
        await asyncio.create_task(instrumented.app(websocket, receive, send))
        seen.append(request_now())

    with timed(app) as instrumented:
        instrumented.call(http_scope())
    assert isinstance(seen[0], SocketRecord)
    assert seen[1] is not None


class Streams:
    """An app whose request streams; what `ask` notes is for which request the running code works."""

    def __init__(self, body: Callable[[Streams], Awaitable[None]]) -> None:
        self.asked: dict[str, RequestRecord | None] = {}
        self._body = body

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        await self._body(self)
        await send({"type": "http.response.body", "body": b"2"})

    async def ask(self, who: str) -> None:
        """Note it, having waited for others."""
        await asyncio.sleep(0.001)
        self.asked[who] = request_now()

    def run(self) -> set[str]:
        """Serve one request; return who works for it, as far as they know."""
        with timed(self) as service:
            service.call(http_scope())
        return {who for who, request in self.asked.items() if request is not None}


def test_tasks_that_a_stream_waits_for_are_its_own() -> None:
    """Awaited, gathered, waited for in any other way, in groups of asyncio's and anyio's, one in another."""

    async def body(app: Streams) -> None:
        await app.ask("itself")
        await asyncio.create_task(app.ask("awaited"))
        await asyncio.gather(app.ask("gathered"), app.ask("gathered too"))
        await asyncio.wait([asyncio.create_task(app.ask("wait"))])
        await asyncio.wait_for(app.ask("wait_for"), 5)
        await asyncio.shield(app.ask("shielded"))
        async with asyncio.TaskGroup() as group:
            group.create_task(app.ask("grouped"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.ask, "of anyio")

        async def outer() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(app.ask("within"))

        await asyncio.create_task(outer())
        await asyncio.to_thread(lambda: app.asked.update(thread=request_now()))

    app = Streams(body)
    assert app.run() == set(app.asked)
    assert len(app.asked) == 11


def test_tasks_that_a_stream_has_only_started_are_nobodys() -> None:
    """A consumer that everybody's events go through belongs to no stream, nor do its tasks."""
    consumers: set[asyncio.Task[None]] = set()

    async def body(app: Streams) -> None:
        async def consume() -> None:
            await app.ask("consumer")
            await asyncio.create_task(app.ask("its task"))
            await asyncio.to_thread(lambda: app.asked.update({"its thread": request_now()}))

        task = asyncio.create_task(consume())
        consumers.add(task)
        task.add_done_callback(consumers.discard)
        asyncio.get_running_loop().call_later(0.001, lambda: app.asked.update(callback=request_now()))
        await asyncio.sleep(0.1)
        assert not consumers
        await app.ask("itself")

    app = Streams(body)
    assert app.run() == {"itself"}
    assert set(app.asked) == {"consumer", "its task", "its thread", "callback", "itself"}


def test_what_a_plain_request_has_started_is_its_own_while_it_is_young() -> None:
    """Whoever waits for it and when; it is long under way after some seconds."""

    async def asking() -> list[RequestRecord | None]:
        record = begin()
        current_request.set(record)
        seen: list[RequestRecord | None] = []

        async def ask() -> None:
            seen.append(request_now())

        started = asyncio.create_task(ask())
        await asyncio.sleep(0)
        record.doubted = True
        later = asyncio.create_task(ask())
        await asyncio.sleep(0.001)
        await asyncio.gather(started, later)
        return [request and record for request in seen]

    first, later = asyncio.run(asking())
    assert first is not None
    assert later is None


def test_a_request_that_was_answered_long_ago_is_asked_what_is_its_own() -> None:
    """While its background work goes on, a refresher that it has only started is none of it."""

    async def asking(answered_ago_ns: int) -> RequestRecord | None:
        record = begin()
        current_request.set(record)
        end(record)
        record.ended_ns -= answered_ago_ns
        seen: list[RequestRecord | None] = []

        async def refresh() -> None:
            seen.append(request_at(record.ended_ns + 1))

        refresher = asyncio.create_task(refresh())
        await asyncio.sleep(0.001)
        assert refresher.done()
        return seen[0]

    assert asyncio.run(asking(0)) is not None
    assert asyncio.run(asking(60_000_000_000)) is None


def test_a_middleware_that_runs_the_app_in_a_task_of_its_own() -> None:
    """What Starlette's middleware does between a stream and its client changes nothing."""
    seen: dict[str, RequestRecord | None] = {}

    async def events(_request: Any) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for number in range(3):
                yield str(number)
                await asyncio.sleep(0.001)
                seen[f"part {number}"] = request_now()

        return StreamingResponse(parts(), media_type="text/event-stream")

    async def passes_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    middleware = [Middleware(BaseHTTPMiddleware, dispatch=passes_on) for _ in range(2)]
    with timed(Starlette(routes=[Route("/", events)], middleware=middleware)) as service:
        service.get("/")
    assert len(seen) == 3
    assert all(seen.values())
