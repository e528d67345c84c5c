"""Times requests: one pure ASGI callable around the app.

Passes every message on unchanged and in order, never receives on its own, adds one private key to the
scope. Latency ends at the last body byte; what the app does after that is background time. On the
request's path there is no I/O, no lock and no log: a record, a closure, one append.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter_ns
from typing import Any, Protocol, TypeAlias

from perftui_agent.guard import Guard
from perftui_agent.places import where_raised
from perftui_agent.probes.routes import UNMATCHED, RouteLabels
from perftui_agent.records import (
    CHUNKED,
    EVENTS,
    PLAIN,
    BackgroundRecord,
    FailureRecord,
    RequestRecord,
    Scope,
    current_request,
)

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

MARKER = "perftui.seen"
"""The one key added to a scope: whoever sees it knows that the request is already being timed."""

BACKGROUND_FROM_NS = 1_000_000
"""After the last byte the frameworks tidy up, some 50 µs; only what is longer is background work."""


class RequestSink(Protocol):
    """Where records go: the window."""

    open: bool
    """Whether anyone folds what is put: false until the agent's thread runs."""
    in_flight: set[RequestRecord]
    open_websockets: int

    def put(self, record: RequestRecord | FailureRecord | BackgroundRecord) -> None:
        """Take a record that will not be written to any more."""


class HttpProbe:
    """The app, timed. Exposes it as `app`."""

    def __init__(
        self,
        app: AsgiApp,
        *,
        routes_of: object,
        sink: RequestSink,
        guard: Guard,
        wake: Callable[[], None],
        on_lifespan_start: Callable[[], None],
        on_lifespan_end: Callable[[], None],
    ) -> None:
        self.app = app
        self._labels = RouteLabels(routes_of)
        self._sink = sink
        self._guard = guard
        self._wake = wake
        self._on_lifespan_start = on_lifespan_start
        self._on_lifespan_end = on_lifespan_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection.

        One coroutine and one closure for a request: each further call on the way costs 0.1 µs.
        """
        if scope["type"] != "http" or MARKER in scope:
            await self._other(scope, receive, send)
            return
        sink = self._sink
        if not sink.open:
            self._wake()
        scope[MARKER] = True
        record = RequestRecord(perf_counter_ns(), scope, self._labels)
        start: Message = scope
        # uvicorn's side of a request knows when the client has left; elsewhere `receive` tells.
        try:
            client = send.__self__  # type: ignore[attr-defined]
            client.disconnected  # noqa: B018 - is it there?
        except AttributeError:
            client = record
            receive = _watching(receive, record)

        async def observed_send(message: Message) -> None:
            nonlocal start
            await send(message)
            kind = message["type"]
            if kind == "http.response.body":
                record.body_bytes += len(message.get("body", b""))
                if not message.get("more_body", False):
                    if not record.ended_ns:
                        self._end(record, client)
                elif record.streaming is None:
                    record.streaming = _kind_of_body(start)
            elif kind == "http.response.start":
                record.first_byte_ns = perf_counter_ns()
                record.status = message["status"]
                start = message
            elif kind == "http.response.pathsend" and not record.ended_ns:
                self._end(record, client)

        sink.in_flight.add(record)
        token = current_request.set(record)
        try:
            await self.app(scope, receive, observed_send)
        except BaseException as error:
            self._failed(record, error)
            raise
        finally:
            current_request.reset(token)
            if not record.ended_ns:
                # The app is done and the response is not: servers answer 500 or cut the connection.
                record.status = 500
                self._end(record, client)
            elif (after_ns := perf_counter_ns() - record.ended_ns) >= BACKGROUND_FROM_NS:
                sink.put(BackgroundRecord(record.route, after_ns))

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is no request of ours: a lifespan, a WebSocket, an app within the timed one."""
        kind = scope["type"]
        if MARKER in scope or kind not in {"lifespan", "websocket"}:
            await self.app(scope, receive, send)
            return
        scope[MARKER] = True
        if kind == "lifespan":
            self._on_lifespan_start()
            try:
                await self.app(scope, receive, send)
            finally:
                self._on_lifespan_end()
            return
        if not self._sink.open:
            self._wake()
        self._sink.open_websockets += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._sink.open_websockets -= 1

    def _end(self, record: RequestRecord, client: Any) -> None:
        """Close the record and hand it over: at the last byte, or when the app is done without one."""
        record.ended_ns = perf_counter_ns()
        sink = self._sink
        sink.in_flight.discard(record)
        scope = record.scope
        record.scope = None
        if scope is None:
            return
        try:
            if client.disconnected:
                record.disconnected = True
            record.route = self._labels.label(scope, record.status)
            if scope["method"] == "OPTIONS":
                record.preflight = _is_preflight(scope)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a response
            record.route = UNMATCHED
            self._guard.fault("probes.http", error)
        sink.put(record)

    def _failed(self, record: RequestRecord, error: BaseException) -> None:
        """Note how the app failed; the exception itself is neither kept nor changed."""
        if isinstance(error, CancelledError | GeneratorExit):
            # Servers cancel a request whose client has left, and all of them when they stop.
            if not record.ended_ns:
                record.disconnected = True
            return
        try:
            route = record.route or self._labels.label(record.scope or {}, 500)
            self._sink.put(FailureRecord(route, type(error).__qualname__, where_raised(error.__traceback__)))
        except Exception as fault:  # noqa: BLE001 - as above
            self._guard.fault("probes.http", fault)


def _watching(receive: Receive, record: RequestRecord) -> Receive:
    async def observed_receive() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect" and not record.ended_ns:
            record.disconnected = True
        return message

    return observed_receive


def _is_preflight(scope: Scope) -> bool:
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


def _kind_of_body(start: Message) -> int:
    """Tell a body of known length in parts (PLAIN) from a stream. Middleware splits plain bodies too."""
    for name, value in start.get("headers", ()):
        name = name.lower()
        if name == b"content-length":
            return PLAIN
        if name == b"content-type" and value.startswith(b"text/event-stream"):
            return EVENTS
    return CHUNKED
