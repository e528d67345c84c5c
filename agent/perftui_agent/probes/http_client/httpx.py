"""Sees every exchange of httpx with another service: sync and async, of clients made earlier or later.

Wraps `handle_request` and `handle_async_request` of the transports that go to the network; mocks, WSGI and
ASGI transports are none. Redirects and retries of the app's come by one by one. Of httpcore, beneath, the
wait for a connection of the pool's and the opening of one are wrapped: its `trace` extension would tell of
that as well, but costs each call 11 µs (of 212) before anything is done with its dozen events. TLS and
further tries to connect are told by `trace` all the same, for as long as a connection is being opened.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from time import perf_counter_ns
from typing import Any

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.bodies import CountedAsyncBody, CountedBody
from perftui_agent.probes.http_client.exchanges import CallSink, Exchanges, name_of_host
from perftui_agent.probes.patches import Patches, bound_first
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.records import CallRecord
from perftui_agent.wire.frames import Frame

MAX_POOLS = 200
"""Clients whose connections are looked at."""

_now: ContextVar[CallRecord | None] = ContextVar("perftui_exchange", default=None)
"""The exchange that was begun last here: it goes on as long as it has no end. To put it back with each call
would cost as much as to put it there."""


class HttpxProbe:
    """Puts a record for each exchange."""

    name = "httpx"

    def __init__(self, sink: CallSink, guard: Guard, library: str = "httpx", core: str = "httpcore") -> None:
        self.name = library
        self._core = core
        self._patches = Patches()
        self._exchanges = Exchanges(library, sink, guard)
        self._timeout: type[BaseException] = TimeoutError
        self._pool_timeout: type[BaseException] = TimeoutError
        self._core_is_wrapped = False
        self._pools: dict[int, weakref.ref[Any]] = {}

    def attach(self) -> ProbeStatus:
        """Wrap the transports, once the library is imported; what is beneath, with the first call."""
        if self._patches:
            return ON
        library = sys.modules.get(self.name)
        if library is None or getattr(library.__spec__, "_initializing", False):
            return NOT_IMPORTED
        try:
            handle = vars(library.HTTPTransport)["handle_request"]
            handle_async = vars(library.AsyncHTTPTransport)["handle_async_request"]
            self._timeout, self._pool_timeout = library.TimeoutException, library.PoolTimeout
        except (AttributeError, KeyError) as error:
            return f"off: {self.name} {getattr(library, '__version__', '?')} has no {error}"
        self._patches.replace(library.HTTPTransport, "handle_request", self._timed(handle))
        self._patches.replace(
            library.AsyncHTTPTransport, "handle_async_request", self._timed_async(handle_async)
        )
        self._exchanges.attached = True
        return ON

    def detach(self) -> None:
        """Put the originals back."""
        self._exchanges.attached = self._core_is_wrapped = False
        self._patches.take_back()
        self._exchanges.forget()
        self._pools.clear()

    def fill(self, frame: Frame) -> None:
        """Add the calls that go on, and the connections there are to whom was called."""
        rows = self._exchanges.fill(frame)
        if not rows:
            self._pools = {key: ref for key, ref in list(self._pools.items()) if ref() is not None}
            return
        there: dict[str, list[int]] = {}
        for key, ref in list(self._pools.items()):
            pool = ref()
            if pool is None:
                self._pools.pop(key, None)
                continue
            _count_connections(pool, there)
        for (host, _), row in rows.items():
            if host in there:
                row.connections, row.idle, limit = there[host]
                row.limit = limit or None

    def _timed(self, original: Any) -> Callable[..., Any]:
        """Return `handle_request` with a record of each call.

        Written out here and below: a function more costs as much as what it does.
        """
        handle, exchanges = bound_first(original), self._exchanges

        @functools.wraps(original)
        def handle_request(transport: Any, request: Any) -> Any:
            record = self._begin(transport, request) if exchanges.attached and exchanges.sink.open else None
            if record is None:
                return handle(transport, request)
            _now.set(record)
            try:
                response = handle(transport, request)
            except BaseException as error:
                self._failed(record, error)
                raise
            try:
                exchanges.answered(record, response.status_code, _socket_of, response)
                stream = response.stream
                stream._httpcore_stream = CountedBody(stream._httpcore_stream, record, exchanges)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a call
                exchanges.lost(record, error)
            return response

        return handle_request

    def _timed_async(self, original: Any) -> Callable[..., Any]:
        """Return `handle_async_request` with a record of each call."""
        handle, exchanges = bound_first(original), self._exchanges

        @functools.wraps(original)
        async def handle_async_request(transport: Any, request: Any) -> Any:
            record = self._begin(transport, request) if exchanges.attached and exchanges.sink.open else None
            if record is None:
                return await handle(transport, request)
            _now.set(record)
            try:
                response = await handle(transport, request)
            except BaseException as error:
                self._failed(record, error)
                raise
            try:
                exchanges.answered(record, response.status_code, _socket_of, response)
                stream = response.stream
                stream._httpcore_stream = CountedAsyncBody(stream._httpcore_stream, record, exchanges)
            except Exception as error:  # noqa: BLE001 - as above
                exchanges.lost(record, error)
            return response

        return handle_async_request

    def _begin(self, transport: Any, request: Any) -> CallRecord | None:
        try:
            new = "_perftui_met" not in transport.__dict__
            if new or not self._core_is_wrapped:
                self._meet(transport)
            # What `raw_scheme` and the others encode anew with each call.
            url = request.url._uri_reference
            target = url.path if url.query is None else f"{url.path}?{url.query}"
            return self._exchanges.begin((url.host, request.method, url.port, url.scheme), target, new)
        except Exception as error:  # noqa: BLE001 - as above
            self._exchanges.fault(error)
            return None

    def _meet(self, transport: Any) -> None:
        """Take note of a client's transport that calls for the first time."""
        transport._perftui_met = True
        pool = getattr(transport, "_pool", None)
        if pool is not None and len(self._pools) < MAX_POOLS:
            self._pools[id(pool)] = weakref.ref(pool)
        if not self._core_is_wrapped:
            self._core_is_wrapped = True
            self._wrap_core()

    def _failed(self, record: CallRecord, error: BaseException) -> None:
        self._exchanges.failed(
            record,
            error,
            timed_out=isinstance(error, self._timeout),
            pool_timed_out=isinstance(error, self._pool_timeout),
        )

    def _wrap_core(self) -> None:
        """Wrap what tells of waits and connections; where there is none of it, they are not told apart."""
        for flavour, prefix in (("_sync", ""), ("_async", "Async")):
            pools = sys.modules.get(f"{self._core}.{flavour}.connection_pool")
            connections = sys.modules.get(f"{self._core}.{flavour}.connection")
            request = getattr(pools, f"{prefix}PoolRequest", None) or getattr(pools, "RequestStatus", None)
            waits = vars(request).get("wait_for_connection") if request is not None else None
            if request is not None and waits is not None:
                timed_wait = _timed_async_wait if prefix else _timed_wait
                self._patches.replace(request, "wait_for_connection", timed_wait(waits, self._exchanges))
            connection = getattr(connections, f"{prefix}HTTPConnection", None)
            connects = vars(connection).get("_connect") if connection is not None else None
            if connection is not None and connects is not None:
                timed_connect = _timed_async_connect if prefix else _timed_connect
                self._patches.replace(connection, "_connect", timed_connect(connects))


def _going_on() -> CallRecord | None:
    record = _now.get()
    return None if record is None or record.ended_ns else record


def _socket_of(response: Any) -> Any:
    return response.extensions["network_stream"].get_extra_info("socket")


def _timed_wait(wait: Callable[..., Any], exchanges: Exchanges) -> Callable[..., Any]:
    def wait_for_connection(pool_request: Any, timeout: float | None = None) -> Any:
        record = _going_on() if pool_request.connection is None else None
        if record is None:
            return wait(pool_request, timeout=timeout)
        started_ns = _begin_wait(record, exchanges)
        try:
            return wait(pool_request, timeout=timeout)
        finally:
            _end_wait(record, exchanges, started_ns)

    return wait_for_connection


def _timed_async_wait(wait: Callable[..., Any], exchanges: Exchanges) -> Callable[..., Any]:
    async def waited(pool_request: Any, at_most_s: float | None, record: CallRecord) -> Any:
        started_ns = _begin_wait(record, exchanges)
        try:
            return await wait(pool_request, timeout=at_most_s)
        finally:
            _end_wait(record, exchanges, started_ns)

    def wait_for_connection(pool_request: Any, timeout: float | None = None) -> Coroutine[Any, Any, Any]:
        record = _going_on() if pool_request.connection is None else None
        if record is None:
            waits: Coroutine[Any, Any, Any] = wait(pool_request, timeout=timeout)
            return waits
        return waited(pool_request, timeout, record)

    return wait_for_connection


def _begin_wait(record: CallRecord, exchanges: Exchanges) -> int:
    exchanges.waiting.add(record)
    return perf_counter_ns()


def _end_wait(record: CallRecord, exchanges: Exchanges, started_ns: int) -> None:
    exchanges.waiting.discard(record)
    record.ready_ns = perf_counter_ns()
    record.pool_wait_ns += record.ready_ns - started_ns


class _Opening:
    """A connection that is being opened."""

    def __init__(self, record: CallRecord, request: Any) -> None:
        self._record = record
        self._request = request
        self._extensions = request.extensions
        self._theirs = self._extensions.get("trace")
        self._tls_ns = 0
        self._started_ns = perf_counter_ns()

    def note(self, event: str, info: Any) -> Any:
        """Take an event of the library's; the app may want to know it as well."""
        what = event.partition(".")[2]
        if what == "start_tls.started":
            self._tls_ns = perf_counter_ns()
        elif what == "start_tls.complete":
            self._record.tls_ns += perf_counter_ns() - self._tls_ns
        elif what == "retry.started":
            self._record.retries += 1
        return self._theirs(event, info) if self._theirs is not None else None

    def note_async(self, event: str, info: Any) -> Any:
        """Take an event, where a coroutine is expected."""
        told = self.note(event, info)
        return told if self._theirs is not None else _nothing()

    def watch(self, note: Callable[[str, Any], Any]) -> None:
        """Have the library tell of the opening alone."""
        self._request.extensions = {**self._extensions, "trace": note}

    def over(self) -> None:
        """Put down how long it took."""
        self._request.extensions = self._extensions
        record = self._record
        record.ready_ns = perf_counter_ns()
        record.connect_ns += record.ready_ns - self._started_ns


async def _nothing() -> None:
    """Stand for what nobody listens to."""


def _timed_connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    def timed_connect(connection: Any, request: Any) -> Any:
        record = _going_on()
        if record is None:
            return connect(connection, request)
        opening = _Opening(record, request)
        opening.watch(opening.note)
        try:
            stream = connect(connection, request)
            record.opened = True
            return stream
        finally:
            opening.over()

    return timed_connect


def _timed_async_connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    async def timed_connect(connection: Any, request: Any) -> Any:
        record = _going_on()
        if record is None:
            return await connect(connection, request)
        opening = _Opening(record, request)
        opening.watch(opening.note_async)
        try:
            stream = await connect(connection, request)
            record.opened = True
            return stream
        finally:
            opening.over()

    return timed_connect


def _count_connections(pool: Any, there: dict[str, list[int]]) -> None:
    """Add a pool's connections to those of each host: how many, how many idle, how many there may be."""
    limit = getattr(pool, "_max_connections", sys.maxsize)
    hosts: set[str] = set()
    for connection in list(pool._connections):
        origin = getattr(connection, "_remote_origin", None) or connection._origin
        host = name_of_host(origin.scheme, origin.host, origin.port)
        counts = there.setdefault(host, [0, 0, 0])
        counts[0] += 1
        counts[1] += bool(connection.is_idle())
        hosts.add(host)
    for host in hosts:
        there[host][2] += limit if limit < sys.maxsize else 0
