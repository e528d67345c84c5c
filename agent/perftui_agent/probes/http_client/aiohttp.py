"""Sees every exchange of aiohttp's client with another service, of sessions made earlier or later.

A session asks its connector for a connection once per exchange, redirects and the library's own retries one
by one: there a call begins. Its answer begins when `ClientResponse.start` has read the head; it is over when
the connection is let go, which the library tells of whatever the reason. `TraceConfig`, the library's own
way, is a session's: those made earlier have none of ours, and each of its signals is a coroutine more. Mocks
that stand in for the connector go to no network, and are not seen.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter_ns
from types import ModuleType
from typing import Any

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.exchanges import CallSink, Exchanges, name_of_host
from perftui_agent.probes.patches import Patches, bound_first
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.records import CallRecord
from perftui_agent.wire.frames import Frame

MAX_CONNECTORS = 200
"""Sessions whose connections are looked at."""

SWITCHING_PROTOCOLS = 101
"""What follows this head is no body, and may go on for days: a WebSocket."""


class _Call:
    """An exchange, from asking for a connection until that is let go."""

    __slots__ = (
        "_exchanges",
        "content",
        "gave_up_waiting",
        "in_start",
        "protocol",
        "reading_ns",
        "record",
        "timer",
    )

    def __init__(self, record: CallRecord, exchanges: Exchanges, timer: Any) -> None:
        self.record: CallRecord | None = record
        self._exchanges = exchanges
        self.timer = timer
        self.protocol: Any = None
        """What keeps the connection: the next exchange may have the same."""
        self.content: Any = None
        self.in_start = False
        self.gave_up_waiting = False
        self.reading_ns = 0
        """Since when the app waits for more of the body."""

    def failed(self, error: BaseException) -> None:
        """Note what came instead of an answer, or of the rest of one."""
        record = self.record
        if record is None:
            return
        self._leave(record)
        if isinstance(error, asyncio.CancelledError) and getattr(self.timer, "_cancelled", False):
            # The session's own time-out cancels the task, and says so only further out.
            error = TimeoutError()
        timed_out = isinstance(error, TimeoutError)
        self._exchanges.failed(
            record, error, timed_out=timed_out, pool_timed_out=timed_out and self.gave_up_waiting
        )

    def answered(self, response: Any) -> None:
        """Note that the head of an answer has been read; of a short one, the body with it."""
        record = self.record
        if record is None:
            return
        try:
            self._exchanges.answered(record, response.status, _socket_of, self.protocol)
            self.content = response.content
            if response._connection is None or response.status == SWITCHING_PROTOCOLS:
                self._over(record)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a call
            self._exchanges.fault(error)

    def let_go(self) -> None:
        """Be told that the connection is: the body has been read, or nobody wants it."""
        record = self.record
        if record is None or self.in_start:
            return
        try:
            if self.content is None:
                # The request could not be sent: the library closes the connection as it handles that.
                self.failed(sys.exc_info()[1] or ConnectionError())
                return
            error = self.content.exception()
            if error is not None and not _is_release(error):
                self.failed(error)
            else:
                self._over(record)
        except Exception as fault:  # noqa: BLE001 - a fault of ours costs a count, never a call
            self._exchanges.fault(fault)

    def _over(self, record: CallRecord) -> None:
        content = self.content
        self._leave(record)
        record.received_bytes = _size_of(content)
        self._exchanges.over(record)

    def _leave(self, record: CallRecord) -> None:
        if self.reading_ns:
            record.body_ns += perf_counter_ns() - self.reading_ns
            self.reading_ns = 0
        # An idle connection keeps the last of its calls: that must not keep a body.
        self.record = self.content = self.timer = self.protocol = None


_now: ContextVar[_Call | None] = ContextVar("perftui_aiohttp_call", default=None)
"""The call that was begun last here: only what gets it a connection asks for it."""


class AiohttpProbe:
    """Puts a record for each exchange."""

    name = "aiohttp"

    def __init__(self, sink: CallSink, guard: Guard) -> None:
        self._patches = Patches()
        self._exchanges = Exchanges("aiohttp", sink, guard)
        self._connectors: dict[int, weakref.ref[Any]] = {}

    def attach(self) -> ProbeStatus:
        """Wrap connectors, answers and their bodies, once the library's client is imported."""
        if self._patches:
            return ON
        library = sys.modules.get("aiohttp")
        if library is None or getattr(library.__spec__, "_initializing", False):
            return NOT_IMPORTED
        try:
            connector, stream = library.BaseConnector, library.StreamReader
            connect = vars(connector)["connect"]
            start = vars(library.ClientResponse)["start"]
            wait = vars(stream)["_wait"]
        except (AttributeError, KeyError) as error:
            return f"off: aiohttp {getattr(library, '__version__', '?')} has no {error}"
        self._patches.replace(connector, "connect", self._timed_connect(connect))
        self._patches.replace(library.ClientResponse, "start", _timed_start(start))
        self._patches.replace(stream, "_wait", _timed_wait(wait))
        self._wrap_beneath(library)
        self._exchanges.attached = True
        return ON

    def detach(self) -> None:
        """Put the originals back."""
        self._exchanges.attached = False
        self._patches.take_back()
        self._exchanges.forget()
        self._connectors.clear()

    def fill(self, frame: Frame) -> None:
        """Add the calls that go on, and the connections there are to whom was called."""
        rows = self._exchanges.fill(frame)
        there: dict[str, list[int]] = {}
        for key, ref in list(self._connectors.items()):
            connector = ref()
            if connector is None:
                self._connectors.pop(key, None)
            elif rows:
                _count_connections(connector, there)
        for (host, _), row in rows.items():
            if host in there:
                row.connections, row.idle, limit = there[host]
                row.limit = limit or None

    def _wrap_beneath(self, library: ModuleType) -> None:
        """Wrap what tells of waits and of opening a connection; without it they are not told apart."""
        connector = library.BaseConnector
        waits = vars(connector).get("_wait_for_available_connection")
        if waits is not None:
            timed = _timed_wait_for_connection(waits, self._exchanges)
            self._patches.replace(connector, "_wait_for_available_connection", timed)
        for name in ("TCPConnector", "UnixConnector"):
            owner = getattr(library, name, None)
            creates = vars(owner).get("_create_connection") if owner is not None else None
            if owner is not None and creates is not None:
                self._patches.replace(owner, "_create_connection", _timed_creation(creates))
        eyeballs = sys.modules.get("aiohappyeyeballs")
        if eyeballs is not None and "start_connection" in vars(eyeballs):
            self._patches.replace(eyeballs, "start_connection", _timed_tcp(eyeballs.start_connection))

    def _timed_connect(self, original: Any) -> Callable[..., Any]:
        """Return `BaseConnector.connect` with a record of what is asked over the connection."""
        connect, exchanges = bound_first(original), self._exchanges

        @functools.wraps(original)
        async def timed_connect(connector: Any, req: Any, *args: Any, **options: Any) -> Any:
            call = self._begin(connector, req) if exchanges.attached and exchanges.sink.open else None
            if call is None:
                return await connect(connector, req, *args, **options)
            _now.set(call)
            try:
                connection = await connect(connector, req, *args, **options)
            except BaseException as error:
                call.failed(error)
                raise
            try:
                call.protocol = protocol = connection.protocol
                protocol._perftui_call = call
                connection.add_callback(call.let_go)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a call
                exchanges.fault(error)
                call.let_go()
            return connection

        return timed_connect

    def _begin(self, connector: Any, req: Any) -> _Call | None:
        try:
            new = not getattr(connector, "_perftui_met", False)
            if new:
                connector._perftui_met = True
                if len(self._connectors) < MAX_CONNECTORS:
                    self._connectors[id(connector)] = weakref.ref(connector)
            url = req.url
            key = (url.raw_host, req.method, url.port, url.scheme)
            record = self._exchanges.begin(key, url.raw_path_qs, new)
            return (
                _Call(record, self._exchanges, getattr(req, "_timer", None)) if record is not None else None
            )
        except Exception as error:  # noqa: BLE001 - as above
            self._exchanges.fault(error)
            return None


def _call_of(protocol: Any) -> _Call | None:
    call = getattr(protocol, "_perftui_call", None)
    return call if type(call) is _Call else None  # a mock has whatever one asks it for


def _timed_start(original: Any) -> Callable[..., Any]:
    start = bound_first(original)

    @functools.wraps(original)
    async def timed_start(response: Any, connection: Any, *args: Any, **options: Any) -> Any:
        call = _call_of(connection.protocol)
        if call is None or call.record is None:
            return await start(response, connection, *args, **options)
        call.in_start = True
        try:
            started = await start(response, connection, *args, **options)
        except BaseException as error:
            call.failed(error)
            raise
        call.in_start = False
        call.answered(response)
        return started

    return timed_start


def _timed_wait(original: Any) -> Callable[..., Any]:
    wait = bound_first(original)

    @functools.wraps(original)
    async def timed_wait(reader: Any, *args: Any, **options: Any) -> None:
        call = _call_of(reader._protocol)
        if call is None or call.record is None:
            await wait(reader, *args, **options)
            return
        call.reading_ns = perf_counter_ns()
        try:
            await wait(reader, *args, **options)
        except BaseException as error:
            call.failed(error)
            raise
        record = call.record
        if record is not None:
            record.body_ns += perf_counter_ns() - call.reading_ns
            call.reading_ns = 0

    return timed_wait


def _timed_wait_for_connection(original: Any, exchanges: Exchanges) -> Callable[..., Any]:
    waits = bound_first(original)

    @functools.wraps(original)
    async def timed_wait_for_connection(connector: Any, *args: Any, **options: Any) -> Any:
        call = _now.get()
        record = call.record if call is not None else None
        if call is None or record is None:
            return await waits(connector, *args, **options)
        exchanges.waiting.add(record)
        started_ns = perf_counter_ns()
        call.gave_up_waiting = True
        try:
            waited = await waits(connector, *args, **options)
            call.gave_up_waiting = False
            return waited
        finally:
            exchanges.waiting.discard(record)
            record.ready_ns = perf_counter_ns()
            record.pool_wait_ns += record.ready_ns - started_ns

    return timed_wait_for_connection


_tcp_ns: ContextVar[int] = ContextVar("perftui_aiohttp_tcp", default=0)
"""When the connection that is being opened was one of TCP: the rest of its opening is TLS."""


def _timed_creation(original: Any) -> Callable[..., Any]:
    create = bound_first(original)

    @functools.wraps(original)
    async def timed_creation(connector: Any, req: Any, *args: Any, **options: Any) -> Any:
        call = _now.get()
        record = call.record if call is not None else None
        if record is None:
            return await create(connector, req, *args, **options)
        started_ns = perf_counter_ns()
        _tcp_ns.set(0)
        try:
            protocol = await create(connector, req, *args, **options)
            record.opened = True
            return protocol
        finally:
            record.ready_ns = now_ns = perf_counter_ns()
            record.connect_ns += now_ns - started_ns
            _put_down(record, req, now_ns)

    return timed_creation


def _put_down(record: CallRecord, req: Any, now_ns: int) -> None:
    tcp_ns = _tcp_ns.get()
    if tcp_ns and req.url.scheme in {"https", "wss"}:
        record.tls_ns += now_ns - tcp_ns


def _timed_tcp(original: Any) -> Callable[..., Any]:
    @functools.wraps(original)
    async def timed_tcp(*args: Any, **options: Any) -> Any:
        sock = await original(*args, **options)
        _tcp_ns.set(perf_counter_ns())
        return sock

    return timed_tcp


def _is_release(error: BaseException) -> bool:
    """Tell what the library leaves in a body that is released before its end: nothing that has failed.

    Newer ones always leave the same exception, older ones a new one each time.
    """
    return type(error).__name__ == "ClientConnectionError" and error.args == ("Connection closed",)


def _socket_of(protocol: Any) -> Any:
    return protocol.transport.get_extra_info("socket")


def _size_of(content: Any) -> int:
    """Return how much of a body has come, as it was sent: packed, where it was."""
    packed = getattr(content, "total_compressed_bytes", None)
    return packed if packed is not None else getattr(content, "total_bytes", 0)


def _count_connections(connector: Any, there: dict[str, list[int]]) -> None:
    """Add a session's connections to those of each host: how many, how many idle, how many there may be."""
    hosts: set[str] = set()
    for key, idle in list(connector._conns.items()):
        host = name_of_host("https" if key.is_ssl else "http", key.host, key.port)
        counts = there.setdefault(host, [0, 0, 0])
        counts[0] += len(idle)
        counts[1] += len(idle)
        hosts.add(host)
    for protocol in list(connector._acquired):
        call = _call_of(protocol)
        record = call.record if call is not None else None
        upstream = record.upstream if record is not None else None
        if upstream is not None:
            there.setdefault(upstream.host, [0, 0, 0])[0] += 1
            hosts.add(upstream.host)
    limit = connector.limit
    for host in hosts:
        there[host][2] += min(limit or sys.maxsize, connector.limit_per_host or sys.maxsize) % sys.maxsize
