"""A request is believed to be the running code's as long as it lives, by everybody who asks."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket

from perftui_agent.probes.loop.await_chain import request_of
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
    assert seen[0] is None
    assert seen[1] is not None
