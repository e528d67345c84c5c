"""Promise 9: an answer that is whole counts as it is, whatever its client does then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from perftui_agent.wire.requests import RouteFrame
from tests.support.timed import http_scope, timed


class Server:
    """The server's side of a request whose client leaves after so many messages, as curl does at once."""

    transport = None

    def __init__(self, leaves_after: int) -> None:
        self.disconnected = leaves_after == 0
        self._leaves_after = leaves_after
        self._received = False
        self._over = asyncio.Event()

    async def receive(self) -> Any:
        if not (self._received or self.disconnected):
            self._received = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if not self.disconnected:
            await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self._leaves_after -= 1
        if self._leaves_after == 0:
            self.disconnected = True
        if self.disconnected or not message.get("more_body", True):
            self._over.set()


def start(status: int = 200, **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


def part(content: bytes = b"", *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


LAST = part(more=False)


def told_of(messages: list[Any], leaves_after: int, method: str = "GET", cut: bool = False) -> RouteFrame:
    """Return what is counted of an app that sends these, and is then cancelled if it is `cut`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        if cut:
            raise asyncio.CancelledError

    async def call() -> None:
        server = Server(leaves_after)
        try:
            await service.app(http_scope(method=method), server.receive, server.send)
        except asyncio.CancelledError:
            assert cut

    with timed(app) as service:
        asyncio.run(call())
        (route,) = service.seen.routes.values()
        assert service.seen.exceptions == []
    return route


def counted(route: RouteFrame) -> tuple[int, int, int, int]:
    """Return successes, server errors, those whose client had left, and latencies."""
    status = route.status
    return status.success, status.server_error, status.disconnected, route.latency.count


@pytest.mark.parametrize(("status", "expected"), [(200, (1, 0, 0, 1)), (503, (0, 1, 0, 1))])
def test_promise_9_the_last_byte_is_the_one_that_was_promised(
    status: int, expected: tuple[int, int, int, int]
) -> None:
    """Middleware says that more will come, nothing does, and by then the client has gone."""
    messages = [start(status, content_length="4"), part(b"ab"), part(b"cd"), LAST]
    assert counted(told_of(messages, leaves_after=3)) == expected
    route = told_of(messages, leaves_after=3)
    assert (route.body_bytes.max, route.streaming) == (4, 0)


def test_promise_9_a_client_that_leaves_before_the_last_promised_byte_is_disconnected() -> None:
    """It has not got what it asked for."""
    messages = [start(content_length="4"), part(b"ab"), part(b"cd"), LAST]
    for leaves_after in (0, 1, 2):
        assert counted(told_of(messages, leaves_after)) == (0, 0, 1, 0)


def test_promise_9_an_answer_that_is_cut_when_it_was_whole_is_whole() -> None:
    """Servers and middleware cancel what still runs when a client goes."""
    messages = [start(content_length="4"), part(b"abcd")]
    assert counted(told_of(messages, leaves_after=2, cut=True)) == (1, 0, 0, 1)
    assert counted(told_of([start(content_length="4"), part(b"ab")], leaves_after=2, cut=True))[2] == 1


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", start(200, content_length="100")),
        ("GET", start(204)),
        ("GET", start(304, content_length="100")),
    ],
)
def test_promise_9_an_answer_without_a_body_is_whole_with_its_headers(method: str, head: Any) -> None:
    """Whatever length they tell of."""
    for messages in ([head, LAST], [head, part(), LAST], [head]):
        route = told_of(messages, leaves_after=1, method=method)
        assert (route.status.disconnected, route.status.server_error, route.latency.count) == (0, 0, 1)
    assert told_of([head], leaves_after=1, method=method, cut=True).status.disconnected == 0
    assert told_of([head, LAST], leaves_after=0, method=method).status.disconnected == 1


def test_promise_9_without_a_promise_the_flag_tells() -> None:
    """A stream is whole when it says so; chunks have no length."""
    for head in (start(), start(content_length="4", transfer_encoding="chunked")):
        messages = [head, part(b"abcd"), LAST]
        assert counted(told_of(messages, leaves_after=2)) == (0, 0, 1, 0)
        assert told_of(messages, leaves_after=9).latency.count == 1


def test_promise_9_an_odd_promise_is_no_fault() -> None:
    """Headers are the app's to get wrong."""
    for length in ("", "x", "-1", "4, 4"):
        assert told_of([start(content_length=length), part(b"abcd"), LAST], leaves_after=9).latency.count == 1


def test_promise_9_less_than_was_promised_is_what_the_server_makes_of_it() -> None:
    """It raises, and the app has failed; the client that waits has got nothing whole."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(content_length="4"))
        await send(part(b"ab", more=False))

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise RuntimeError("Response content shorter than Content-Length")

    async def receive() -> Any: ...

    with timed(app) as service:
        with pytest.raises(RuntimeError, match="shorter"):
            asyncio.run(service.app(http_scope(), receive, send))
        (route,) = service.seen.routes.values()
        assert (route.status.server_error, route.status.disconnected) == (1, 0)
        assert [kind for _, kind, _ in service.seen.exceptions] == ["RuntimeError"]


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_promise_9_through_any_number_of_middleware(layers: int) -> None:
    """Each of Starlette's splits a body off its end; a 503 to everybody is an error rate of 1."""
    app = FastAPI()
    app.add_api_route("/", lambda: JSONResponse({"a": 1}, status_code=503))
    for _ in range(layers):

        @app.middleware("http")
        async def passing(request: Any, call_next: Any) -> Any:
            return await call_next(request)

    async def call() -> None:
        for _ in range(20):
            server = Server(leaves_after=2)
            await service.app(http_scope(), server.receive, server.send)

    with timed(app) as service:
        asyncio.run(call())
        (route,) = service.seen.routes.values()
        assert (route.status.server_error, route.status.total(), route.latency.count) == (20, 20, 20)


def test_promise_9_a_file_that_is_sent_by_its_name_is_whole_with_it() -> None:
    """Its bytes are the server's to count."""
    messages = [start(content_length="4"), {"type": "http.response.pathsend", "path": "/x"}]
    assert counted(told_of(messages, leaves_after=9)) == (1, 0, 0, 1)


def test_promise_9_a_stream_whose_client_leaves_is_disconnected() -> None:
    """As before."""

    async def parts() -> Any:
        yield b"a"
        yield b"b"

    app = FastAPI()
    app.add_api_route("/", lambda: StreamingResponse(parts()))

    async def call() -> None:
        server = Server(leaves_after=2)
        await service.app(http_scope(), server.receive, server.send)

    with timed(app) as service:
        asyncio.run(call())
        (route,) = service.seen.routes.values()
        assert (route.status.disconnected, route.latency.count) == (1, 0)


class Waiting(Server):
    """A server that comes back from the last part only when the client has closed, and is cancelled there."""

    response_complete = False

    def __init__(self) -> None:
        super().__init__(leaves_after=9)

    async def send(self, message: Any) -> None:
        if message.get("more_body", True):
            return
        self.response_complete = True
        self._over.set()
        await asyncio.sleep(60)


@pytest.mark.parametrize("length", [None, 4])
def test_promise_9_a_stream_that_is_cancelled_when_the_server_has_all_is_whole(length: int | None) -> None:
    """Starlette ends a stream when it hears that the client has gone, which is what the server waits for."""

    async def parts() -> Any:
        yield b"ab"
        yield b"cd"

    headers = {} if length is None else {"content-length": str(length)}
    app = FastAPI()
    app.add_api_route("/", lambda: StreamingResponse(parts(), status_code=201, headers=headers))

    async def call() -> None:
        server = Waiting()
        await asyncio.wait_for(service.app(http_scope(), server.receive, server.send), 5)

    with timed(app) as service:
        asyncio.run(call())
        (route,) = service.seen.routes.values()
        assert (*counted(route), route.body_bytes.max) == (1, 0, 0, 1, 4)
        assert service.seen.exceptions == []


def test_promise_9_a_failure_after_the_last_part_was_handed_over_is_the_servers() -> None:
    """What it raises of the last part is no sign that all has gone out."""

    class Refusing(Server):
        response_complete = False

        async def send(self, message: Any) -> None:
            if not message.get("more_body", True):
                self.response_complete = True
                raise RuntimeError("Too little data for declared Content-Length")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(part(b"ab", more=False))

    with timed(app) as service:
        server = Refusing(leaves_after=9)
        with pytest.raises(RuntimeError, match="Too little"):
            asyncio.run(service.app(http_scope(), server.receive, server.send))
        assert counted(next(iter(service.seen.routes.values()))) == (0, 1, 0, 1)


def test_promise_9_the_bytes_of_an_answer_are_those_that_go_out() -> None:
    """Of an answer to HEAD none; of a file that the server sends, as many as the headers promise."""
    messages = [start(content_length="4"), part(b"abcd", more=False)]
    assert told_of(messages, leaves_after=9).body_bytes.max == 4
    assert told_of(messages, leaves_after=9, method="HEAD").body_bytes.max == 0
    messages = [start(content_length="4000"), {"type": "http.response.pathsend", "path": "/x"}]
    assert told_of(messages, leaves_after=9).body_bytes.quantile(0.5) == pytest.approx(4000, rel=0.02)


@pytest.mark.parametrize("shown", [True, False])
def test_promise_9_a_client_that_leaves_while_it_sends_is_no_exception(shown: bool) -> None:
    """Starlette raises a `ClientDisconnect`, and answers 500 to nobody."""

    async def upload(request: Request) -> Response:
        return Response(await request.body())

    app = Starlette(routes=[Route("/", upload, methods=["POST"])])
    server = Server(leaves_after=0)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None: ...

    told, answer = (server.receive, server.send) if shown else (receive, send)
    with timed(app) as service:
        with pytest.raises(ClientDisconnect):
            asyncio.run(service.app(http_scope(method="POST"), told, answer))
        assert counted(next(iter(service.seen.routes.values()))) == (0, 0, 1, 0)
        assert service.seen.exceptions == []
