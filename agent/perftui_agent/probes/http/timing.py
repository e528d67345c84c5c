"""Times requests: one pure ASGI callable around the app.

Passes every message on unchanged and in order, never receives on its own, adds one private key to the
scope. Latency begins when the request's bytes had arrived and ends at the last body byte, which is the one
that completes what `Content-Length` has promised; what the app does after that is background time, and what
the client does its own affair. On the request's path there is no I/O, no lock and no log: a record, a
closure, one append; where the loop may have been late, one question to the kernel.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Token
from time import perf_counter_ns
from types import MethodType
from typing import Any, NamedTuple, Protocol, TypeAlias

from perftui_agent.channels import Channel
from perftui_agent.guard import Guard
from perftui_agent.places import where_raised
from perftui_agent.probes.http import channels
from perftui_agent.probes.http.answers import Message, has_no_body, is_preflight, kind_of_body, promised_bytes
from perftui_agent.probes.http.arrival import Arrivals
from perftui_agent.probes.http.channels import send_part, stream_of
from perftui_agent.probes.http.departures import (
    Receive,
    connection_is_lost,
    tells_that_client_left,
    watching,
)
from perftui_agent.probes.http.routes import UNMATCHED, RouteLabels
from perftui_agent.probes.http.scope_copies import MARKER
from perftui_agent.probes.http.server_side import ServerSides
from perftui_agent.records import (
    HEADERS_FROM_BYTES,
    MAX_PENDING,
    BackgroundRecord,
    FailureRecord,
    OpenEnded,
    Record,
    RequestRecord,
    Scope,
    current_request,
)

Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Untimed: TypeAlias = Callable[[Any, Scope, Receive, Send], Awaitable[None]]
"""The `__call__` of a class of ASGI apps, its `self` included."""
ProbeFor: TypeAlias = "Callable[[Any, Scope], HttpProbe | None]"
"""Finds a probe for an app that has none yet."""


class Road(NamedTuple):
    """The way that all requests to one class of apps go, and how they are led by another."""

    untimed: Untimed
    lead: Callable[[Untimed], None]


roads: list[Road] = []
"""Those of this process: one for what is instrumented as it is, one for what is wrapped."""

BACKGROUND_FROM_NS = 1_000_000
"""After the last byte the frameworks tidy up, some 50 µs; only what is longer is background work."""


_NOTHING = Token.MISSING

_OF_HEADERS = frozenset({"HEAD", "OPTIONS"})
"""Methods by which one asks for headers alone, or may."""

_SUCCESSES = frozenset(range(200, 300))
"""Asked for at a quarter of the price of two comparisons."""

_FILE_KINDS = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
"""Messages with a part of the body too: extensions of ASGI, which give a file for it."""


class RequestSink(Protocol):
    """Where records go: the window."""

    open: bool
    """Whether anyone folds what is put: false until the agent's thread runs."""
    begun: deque[RequestRecord]
    records_dropped: int
    open_websockets: int
    touched: deque[Channel]
    open_ended: dict[str, OpenEnded]
    one_in: int
    """One request in so many is followed in full."""

    def follows(self) -> bool:
        """Decide whether one is."""

    def channel(self, kind: str, record: RequestRecord, opened_ns: int) -> Channel:
        """Return a connection that messages go over."""

    @property
    def busy_channels(self) -> Iterable[Channel]:
        """Those whose app has a message right now."""

    def put(self, record: Record) -> None:
        """Take a record that will not be written to any more."""


def timed_call(untimed: Untimed, probe_for: ProbeFor) -> Untimed:
    """Return the `__call__` of a class of ASGI apps; instances with a probe in `_perftui_probe` are timed.

    `probe_for` is asked about those whose `_perftui_probe` is None. `untimed` serves what it has no probe
    for, and the rest of the way for all: others may wrap the same class before and after, and whoever went
    back to the first of them from here would go round in circles.

    It is one coroutine and one closure, with the common case written out: amid the app's own work, which
    has filled the processor's caches, each Python call costs 0.2 to 0.4 µs, several times what it costs in
    a loop of its own. What can wait is left to the agent's thread. Where requests are to be led past somebody
    for a while, what `untimed` names is another: that costs nothing when nobody asks for it.
    """

    def lead(by: Untimed) -> None:
        nonlocal untimed
        untimed = by

    roads.append(Road(untimed, lead))

    async def call(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        probe: HttpProbe | None = self._perftui_probe or probe_for(self, scope)
        if probe is None:
            await untimed(self, scope, receive, send)
            return
        if scope["type"] != "http" or MARKER in scope:
            await probe.other(MethodType(untimed, self), scope, receive, send)
            return
        sink = probe.sink
        if not sink.open:
            probe.wake()
        record = RequestRecord()
        # What is asked for again and again is found at an eighth of the price where it is no default.
        record.ended_ns = record.queue_ns = record.body_bytes = 0
        record.doubted = False
        record.head = record.streaming = record.parts = None
        record.started_ns = scope[MARKER] = started_ns = perf_counter_ns()
        record.scope = scope
        record.labels = probe.labels
        record.followed = sink.one_in == 1 or sink.follows()
        begun = sink.begun
        if len(begun) < MAX_PENDING:
            begun.append(record)
        else:
            sink.records_dropped += 1
        # The server's side of a request knows when the client has left; else `receive` may tell.
        try:
            client = send.__self__  # type: ignore[attr-defined]
            client.disconnected  # noqa: B018 - is it there?
        except AttributeError:
            client = probe.sides.find(send, receive)
            if client is None:
                client = record
                receive = watching(receive, record)
        if started_ns >= probe.pace.ask_from_ns:
            probe.ask(record, client)

        # By defaults: four cells of a closure take 1,300 instructions more to make and to forget.
        def observed_send(
            message: Message,
            probe: HttpProbe = probe,
            record: RequestRecord = record,
            client: Any = client,
            send: Send = send,
        ) -> Awaitable[None]:
            if message["type"] != "http.response.start":
                return observed_body(probe, record, client, send, message)
            record.head = message
            record.had_left = client.disconnected
            return send(message)

        token = current_request.set(record)
        try:
            await untimed(self, scope, receive, observed_send)
        except BaseException as error:
            probe.broken_off(record, error, client)
            raise
        finally:
            outer = token.old_value
            if outer is not _NOTHING and outer is not None and not outer.left_ns:
                # One app has called another in this process, and goes on with its own request.
                current_request.reset(token)
            if not record.ended_ns:
                probe.end_if_whole(record, client)
                if not record.ended_ns:
                    # The app is done and the response is not: servers answer 500 or cut the connection.
                    probe.end(record, None, client.disconnected)
            record.left_ns = left_ns = perf_counter_ns()
            if left_ns - record.ended_ns >= BACKGROUND_FROM_NS:
                sink.put(BackgroundRecord(record.route, left_ns - record.ended_ns))

    return call


async def observed_body(
    probe: HttpProbe, record: RequestRecord, client: Any, send: Send, message: Message
) -> None:
    """Hand over what comes after a response's start: a part of its body, the last one most often."""
    # Before it is handed over: what a client does that has the whole answer is its own affair.
    has_left = client.disconnected
    if record.streaming:
        await send_part(record.channel, send, message)
    else:
        await send(message)
    if record.ended_ns:
        return
    kind = message["type"]
    if kind != "http.response.body" and kind not in _FILE_KINDS:
        return
    head = record.head
    if "body" in message:
        record.body_bytes += len(message["body"])
    elif kind in _FILE_KINDS:
        record.body_bytes = max(record.body_bytes, probe.whole_at(head, record.scope))
    if not message.get("more_body"):
        left = has_left or client.disconnected
        if left and not record.had_left and has_no_body(head, record.scope):
            left = record.disconnected = False
        probe.end(record, head, left)
        return
    if record.whole_at is None:
        record.whole_at = probe.whole_at(head, record.scope)
    if 0 <= record.whole_at <= record.body_bytes:
        probe.end(record, head, has_left if record.whole_at else record.had_left)
    elif record.streaming is None:
        record.first_byte_ns = perf_counter_ns()
        record.streaming = kind_of_body(head)
        record.doubted = True
        if record.streaming:
            record.channel = stream_of(record, probe.sink, record.body_bytes)
    elif has_left or connection_is_lost(client):
        record.disconnected = True


async def _untimed(probe: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve what a probe is around."""
    await probe.app(scope, receive, send)


class HttpProbe:
    """Times the requests of one app, which it exposes as `app`; itself an ASGI app that can be served."""

    def __init__(
        self,
        app: AsgiApp,
        *,
        routes_of: object,
        sink: RequestSink,
        sides: ServerSides,
        arrivals: Arrivals,
        guard: Guard,
        wake: Callable[[], None],
        on_lifespan_start: Callable[[], None],
        on_lifespan_end: Callable[[], None],
    ) -> None:
        self.app = app
        self.labels = RouteLabels(routes_of, sink.open_ended)
        self.sink = sink
        self.sides = sides
        self.pace = arrivals.pace
        self.wake = wake
        self._arrivals = arrivals
        self._guard = guard
        self._on_lifespan_start = on_lifespan_start
        self._on_lifespan_end = on_lifespan_end
        self._perftui_probe = self

    def __setstate__(self, app: AsgiApp) -> None:
        """Go around this app: a copy of a probe exists before the copy of what it is around."""
        self.app = app
        self.labels = RouteLabels(app)

    __call__ = timed_call(_untimed, lambda *_: None)

    async def other(self, app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have `app` serve what is no request of ours: a lifespan, a WebSocket, what is timed already."""
        kind = scope["type"]
        if MARKER in scope or kind not in {"lifespan", "websocket"}:
            await app(scope, receive, send)
            return
        scope[MARKER] = perf_counter_ns()
        if kind == "lifespan":
            self._on_lifespan_start()
            try:
                await app(scope, receive, send)
            finally:
                self._on_lifespan_end()
            return
        if not self.sink.open:
            self.wake()
        await channels.call(app, scope, receive, send, self.sink, self.labels, self._guard)

    def ask(self, record: RequestRecord, client: Any) -> None:
        """Have it found out for how long a request has waited that is called now."""
        if client is record:
            self._arrivals.ask(record, None)
        else:
            self.sides.shown()
            self._arrivals.ask(record, client)

    def whole_at(self, head: Message | None, scope: Scope | None) -> int:
        """Return after how many bytes of body a response is whole; -1 if it does not say."""
        try:
            return 0 if has_no_body(head, scope) else promised_bytes(head)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a response
            self._guard.fault("probes.http", error)
            return -1

    def end_if_whole(self, record: RequestRecord, client: Any) -> None:
        """Close the record if its response has been handed over, though nobody came back from the last part.

        It is whole without a body, or the server says that it has all: who waits there for the connection to
        close is cancelled when it has. `client` is None where the app has failed, whatever the server says.
        """
        head = record.head
        if has_no_body(head, record.scope):
            record.disconnected = record.had_left
            self.end(record, head, record.had_left)
        elif head is not None and getattr(client, "response_complete", False):
            record.body_bytes = max(record.body_bytes, self.whole_at(head, record.scope))
            self.end(record, head, False)

    def broken_off(self, record: RequestRecord, error: BaseException, client: Any) -> None:
        """Close the record of a request whose app has raised, or was cancelled."""
        if not record.ended_ns:
            self.end_if_whole(record, None if isinstance(error, Exception) else client)
        self.failed(record, error, client)
        if not record.ended_ns:
            self.end(record, None, client.disconnected)

    def end(self, record: RequestRecord, head: Message | None, left: bool) -> None:
        """Close the record: at the last byte, or when the app is done without one.

        `head` is the message that has started the response; `left` says whether its client was gone by then.
        """
        ended_ns = perf_counter_ns()
        scope: Any = record.scope
        record.scope = record.head = None
        try:
            record.path = scope["path"]
            record.status = status = head["status"] if head else 500
            method = scope["method"]
            if left:
                record.disconnected = True
            elif status in _SUCCESSES and record.streaming is None:
                record.plain = True
            if method in _OF_HEADERS:
                if method == "HEAD":
                    record.body_bytes = 0  # what the app has sent of one, the server keeps
                elif is_preflight(scope):
                    record.preflight = True
                    record.plain = False
            if record.body_bytes >= HEADERS_FROM_BYTES and head:
                record.response_headers = head.get("headers")
            try:
                labels = self.labels
                if len(labels.top) != labels.length:
                    labels.look_again()
                record.route = labels.known[id(scope.get("route") or scope["endpoint"])][method]
            except KeyError:
                record.route = labels.label(scope, status)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a response
            record.route = UNMATCHED
            self._guard.fault("probes.http", error)
        record.ended_ns = ended_ns
        if record.streaming and record.channel is not None:
            record.channel.close()

    def failed(self, record: RequestRecord, error: BaseException, client: Any) -> None:
        """Note how the app failed; the exception itself is neither kept nor changed."""
        if isinstance(error, CancelledError | GeneratorExit):
            if record.ended_ns:
                return
            if client is record or client.disconnected or isinstance(error, GeneratorExit):
                # Servers cancel a request whose client has left.
                record.disconnected = True
                return
            # One that knows its client to be there answers 500: the app has cancelled itself.
        left = record.disconnected or (client.disconnected and not record.ended_ns)
        if left and tells_that_client_left(error):
            return
        try:
            route = record.route or self.labels.label(record.scope or {}, 500)
            answered = record.ended_ns > 0 and record.status < 500 and not record.disconnected
            place = where_raised(error.__traceback__)
            self.sink.put(FailureRecord(route, type(error).__qualname__, place, answered))
        except Exception as fault:  # noqa: BLE001 - as above
            self._guard.fault("probes.http", fault)
