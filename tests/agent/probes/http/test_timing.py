"""Promises 1, 2 and 9: what passes through is unchanged, and what is counted of it is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse

from perftui_agent.instrumentation import the_agent
from perftui_agent.probes.http.scope_copies import MARKER
from tests.support.timed import REQUEST, client_of, http_scope, timed

MS = 1_000_000

_ENDS_BEFORE_THE_RESPONSE = tuple(map(int, version("fastapi").split(".")[:2])) < (0, 118)
"""Whether a dependency with `yield` is torn down before the response is sent."""


def sends(*messages: dict[str, Any]) -> Any:
    """Return an ASGI app that sends these messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def test_promise_1_messages_pass_unchanged_and_in_order() -> None:
    """The very same objects arrive, duplicates of headers, unknown kinds and trailers included."""
    messages = [
        {"type": "http.response.push", "path": "/style.css", "headers": []},
        start(200, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"X-Odd", b"\xff"))
        | {"trailers": True},
        body(b"one", more=True),
        {"type": "http.response.body"},
        {"type": "http.response.trailers", "headers": [(b"x", b"y")], "more_trailers": False},
        {"type": "vendor.extension"},
    ]
    with timed(sends(*messages)) as service:
        sent = service.call(http_scope())
    assert [id(message) for message in sent] == [id(message) for message in messages]


def test_promise_1_the_scope_gains_one_private_key() -> None:
    """Nothing else about it is different, and it is the same object."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, dict(scope)))
        await PlainTextResponse("ok")(scope, receive, send)

    scope = http_scope()
    before = dict(scope)
    with timed(app) as service:
        service.call(scope)
    (same, within) = seen[0]
    assert same is scope
    assert {key: value for key, value in within.items() if key != MARKER} == before
    assert set(within) - set(before) == {MARKER}


def test_promise_1_the_agent_never_receives() -> None:
    """An app that doesn't read its request leaves all of it unread; one that does gets every message."""
    received: list[Any] = []
    calls = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/read":
            received.extend([await receive(), await receive()])
        await PlainTextResponse("ok")(scope, receive, send)

    async def receive() -> Any:
        nonlocal calls
        calls += 1
        return {"type": "http.request", "body": b"x" * calls, "more_body": True}

    async def send(message: Any) -> None:
        pass

    with timed(app) as service:
        asyncio.run(service.app(http_scope("/ignore"), receive, send))
        assert calls == 0
        asyncio.run(service.app(http_scope("/read"), receive, send))
        assert [message["body"] for message in received] == [b"x", b"xx"]


@pytest.mark.parametrize(
    ("status", "field"),
    [(200, "success"), (204, "success"), (302, "redirect"), (404, "client_error"), (500, "server_error")],
)
def test_promise_9_a_request_counts_by_its_status(status: int, field: str) -> None:
    """Once, in its class."""
    with timed(sends(start(status), body(b"x"))) as service:
        service.call(http_scope())
        (route,) = service.seen.routes.values()
        assert route.status.total() == getattr(route.status, field) == 1


def test_promise_9_latency_ends_with_the_last_byte_of_a_stream() -> None:
    """The first byte of a stream comes early, its latency is that of the whole."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"a" * 10
        await asyncio.sleep(0.05)
        yield b"b" * 20

    app = FastAPI()
    app.add_api_route("/stream", lambda: StreamingResponse(parts()))
    with timed(app) as service:
        service.get("/stream")
        (route,) = service.seen.routes.values()
        assert route.latency.max >= 50 * MS
        assert 0 < route.ttfb.max < route.latency.max - 45 * MS
        assert route.body_bytes.max == 30
        assert route.streaming == 1


def test_promise_9_a_body_in_one_part_has_its_first_byte_with_its_last() -> None:
    """Then time to first byte and latency are one."""
    app = FastAPI()
    app.add_api_route("/", lambda: {"a": 1})
    with timed(app) as service:
        service.get("/")
        (route,) = service.seen.routes.values()
        assert (route.ttfb.count, route.ttfb.total) == (1, route.latency.total)
        assert route.body_bytes.max == len(b'{"a":1}')
        assert route.streaming == 0


def test_promise_9_a_middleware_that_splits_a_body_makes_no_stream() -> None:
    """A response of known length is none, in however many messages it comes."""
    with timed(sends(start(200, (b"content-length", b"4")), body(b"ab", more=True), body(b"cd"))) as service:
        service.call(http_scope())
        (route,) = service.seen.routes.values()
        assert (route.streaming, route.latency.count, route.body_bytes.max) == (0, 1, 4)


def test_promise_9_sizes_are_those_on_the_wire() -> None:
    """A compressed body counts as it is sent."""
    app = FastAPI()
    app.add_middleware(GZipMiddleware, minimum_size=1)
    app.add_api_route("/", lambda: PlainTextResponse("x" * 100_000))
    with timed(app) as service:
        assert len(service.get("/").content) == 100_000
        (route,) = service.seen.routes.values()
        assert 0 < route.body_bytes.max < 1_000


def test_promise_9_background_tasks_are_apart() -> None:
    """What goes on after the last byte is no latency."""

    async def slow() -> None:
        await asyncio.sleep(0.05)

    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(slow)

    app = FastAPI()
    app.add_api_route("/", endpoint)
    with timed(app) as service:
        service.get("/")
        (route,) = service.seen.routes.values()
        assert route.background is not None
        assert route.background.max >= 50 * MS
        assert route.latency.max < 50 * MS


def test_promise_9_what_a_dependency_does_after_the_response_is_background() -> None:
    """The teardown of a dependency with `yield` runs when the last byte is out; in FastAPI 0.117 before."""

    async def session() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(0.05)

    async def endpoint(session: None = Depends(session)) -> str:
        return "ok"

    app = FastAPI()
    app.add_api_route("/", endpoint)
    with timed(app) as service:
        service.get("/")
        (route,) = service.seen.routes.values()
        if _ENDS_BEFORE_THE_RESPONSE:
            assert route.background is None
            assert route.latency.max >= 50 * MS
            return
        assert route.background is not None
        assert route.background.max >= 50 * MS
        assert route.latency.max < 50 * MS


def test_promise_9_preflights_stay_out_of_latency() -> None:
    """They are counted as requests all the same; other OPTIONS requests are like any."""
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.add_api_route("/", lambda: "ok")
    asking = {"origin": "http://other", "access-control-request-method": "GET"}
    with timed(app) as service:
        assert service.request("OPTIONS", "/", headers=asking).status_code == 200
        (route,) = service.seen.routes.values()
        assert (route.status.success, route.latency.count, route.ttfb.count) == (1, 0, 0)
        service.request("OPTIONS", "/")
        routes = service.seen.routes.values()
        assert sum(route.status.total() for route in routes) == 2
        assert sum(route.latency.count for route in routes) == 1


def test_promise_9_event_streams_stay_out_of_latency() -> None:
    """They last as long as somebody listens; time to first byte is told."""

    async def events() -> AsyncIterator[bytes]:
        yield b"data: 1\\n\\n"
        yield b"data: 2\\n\\n"

    app = FastAPI()
    app.add_api_route("/", lambda: StreamingResponse(events(), media_type="text/event-stream"))
    with timed(app) as service:
        service.get("/")
        (route,) = service.seen.routes.values()
        assert (route.status.success, route.latency.count, route.streaming) == (1, 0, 1)
        assert route.ttfb.count == 1


def test_promise_9_open_streams_are_no_requests_in_flight() -> None:
    """A stream that has begun is open; before that it is in flight like any."""
    shown: list[tuple[int, int]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in (start(200, (b"content-type", b"text/event-stream")), body(b"x", more=True), body()):
            frame = service.window.close(seq=1, ended_at_ns=1, span_ns=1)
            shown.append((frame.in_flight, frame.open_streams))
            await send(message)

    with timed(app) as service:
        service.call(http_scope())
        frame = service.window.close(seq=1, ended_at_ns=1, span_ns=1)
        shown.append((frame.in_flight, frame.open_streams))
    assert shown == [(1, 0), (1, 0), (0, 1), (0, 0)]


def test_promise_9_websockets_are_open_and_nothing_else() -> None:
    """While one is open it is counted; it makes no row and no latency."""
    app = FastAPI()
    open_within = 0

    @app.websocket("/ws")
    async def echo(websocket: WebSocket) -> None:
        nonlocal open_within
        await websocket.accept()
        open_within = service.seen.last.open_websockets
        await websocket.send_text(await websocket.receive_text())

    with timed(app) as service:
        with client_of(app).websocket_connect("/ws") as client:
            client.send_text("hello")
            assert client.receive_text() == "hello"
        assert open_within == 1
        assert service.seen.last.open_websockets == 0
        assert service.requests == {}


def test_promise_9_a_client_that_leaves_is_disconnected() -> None:
    """Before the response, with or without a failure of the app because of it: never a 5xx."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.disconnect"
        if scope["path"] == "/raises":
            raise OSError("client has gone")
        if scope["path"] == "/answers":
            await PlainTextResponse("to nobody")(scope, receive, send)

    with timed(app) as service:
        service.call(http_scope("/gives-up"), [])
        service.call(http_scope("/answers"), [])
        with pytest.raises(OSError, match="gone"):
            service.call(http_scope("/raises"), [])
        (route,) = service.seen.routes.values()
        assert (route.status.disconnected, route.status.total()) == (3, 3)
        assert route.latency.count == 0
        assert service.seen.exceptions == []


def test_promise_9_a_client_that_leaves_during_a_stream_is_disconnected() -> None:
    """The server cancels the app in the middle of its work."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"x", more=True))
        await asyncio.sleep(60)

    async def leave() -> None:
        task = asyncio.ensure_future(service.app(http_scope(), _never, _nowhere))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with timed(app) as service:
        asyncio.run(leave())
        (route,) = service.seen.routes.values()
        assert (route.status.disconnected, route.status.total()) == (1, 1)
        assert not service.window.in_flight


def test_promise_9_a_client_that_leaves_after_the_last_byte_is_none_of_ours() -> None:
    """Every client leaves some day."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("ok")(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    with timed(app) as service:
        service.call(http_scope(), [])
        (route,) = service.seen.routes.values()
        assert (route.status.success, route.status.disconnected) == (1, 0)


def test_promise_9_an_app_that_sends_nothing_has_failed() -> None:
    """Servers answer 500 for it."""
    with timed(sends()) as service:
        service.call(http_scope())
        (route,) = service.seen.routes.values()
        assert (route.status.server_error, route.status.total()) == (1, 1)


def test_promise_2_context_variables_are_seen_as_without_the_agent() -> None:
    """What the server set is seen within, what the app sets is seen by the server: one task, one context."""
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    within: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        within.append(variable.get())
        variable.set("by the app")
        await PlainTextResponse("ok")(scope, receive, send)

    async def serve() -> str:
        variable.set("by the server")
        await service.app(http_scope(), _never, _nowhere)
        return variable.get()

    with timed(app) as service:
        assert asyncio.run(serve()) == "by the app"
    assert within == ["by the server"]


def test_promise_3_lifespan_state_reaches_the_requests() -> None:
    """What the lifespan yields is in the state of each request, as without the agent."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
        yield {"pool": "open"}

    async def endpoint(request: Any) -> JSONResponse:
        return JSONResponse({"pool": request.state.pool})

    app = FastAPI(lifespan=lifespan)
    app.router.add_route("/", endpoint)
    with timed(app), client_of(app) as client:
        assert client.get("/").json() == {"pool": "open"}


def test_promise_3_a_failure_at_startup_is_the_apps_own() -> None:
    """The exception of a lifespan comes out as it is."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        if app is not None:
            raise RuntimeError("no database")
        yield

    app = FastAPI(lifespan=lifespan)
    with timed(app), pytest.raises(RuntimeError, match="no database"), client_of(app):
        pass


@pytest.fixture(autouse=True)
def _no_thread() -> Iterator[None]:
    """A lifespan starts the agent's thread: stop it."""
    yield
    the_agent().stop()


async def _never() -> Any:
    return REQUEST


async def _nowhere(message: Any) -> None:
    pass
