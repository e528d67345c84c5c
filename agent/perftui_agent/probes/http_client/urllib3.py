"""Sees every exchange of urllib3 with another service, those of requests among them, once each.

requests, botocore and others send through urllib3: their calls are told as urllib3's, for the connections and
waits are its own, and the call site says who asked. `HTTPConnectionPool.urlopen` is called anew for each
redirect and retry that urllib3 makes: there a call begins. It is answered as an `HTTPResponse` is made of a
head that has been read, and over when the body has been. What stands in for any of these in an app's tests
goes to no network, and is not seen.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter_ns
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.blocking_bodies import CountedFile
from perftui_agent.probes.http_client.exchanges import CallSink, Exchanges, name_of_host
from perftui_agent.probes.patches import Patches, bound_first
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.records import CallRecord
from perftui_agent.wire.frames import Frame

MAX_POOLS = 200
"""Pools whose connections are looked at; there is one for each host that a session asks."""


class _Call:
    """An exchange, until it is answered or comes to nothing."""

    __slots__ = ("connection", "record")

    def __init__(self, record: CallRecord) -> None:
        self.record: CallRecord | None = record
        self.connection: Any = None


_now: ContextVar[_Call | None] = ContextVar("perftui_urllib3_call", default=None)
"""The exchange that goes on here."""


class Urllib3Probe:
    """Puts a record for each exchange."""

    name = "urllib3"

    def __init__(self, sink: CallSink, guard: Guard) -> None:
        self._patches = Patches()
        self._exchanges = Exchanges("urllib3", sink, guard)
        self._timeouts: tuple[type[BaseException], ...] = (TimeoutError,)
        self._pool_timeout: type[BaseException] = TimeoutError
        self._no_timeout: type[BaseException] = TimeoutError
        self._pools: dict[int, weakref.ref[Any]] = {}

    def attach(self) -> ProbeStatus:
        """Wrap pools, connections and answers, once the library is imported."""
        if self._patches:
            return ON
        library = sys.modules.get("urllib3")
        if library is None or getattr(library.__spec__, "_initializing", False):
            return NOT_IMPORTED
        try:
            pool, response, errors = library.HTTPConnectionPool, library.HTTPResponse, library.exceptions
            urlopen, make = vars(pool)["urlopen"], vars(pool)["_make_request"]
            answer = vars(response)["__init__"]
            self._timeouts = (TimeoutError, errors.TimeoutError)
            # A name that is not found, and a port that is closed, is one to urllib3 1.
            self._pool_timeout, self._no_timeout = errors.EmptyPoolError, errors.NewConnectionError
        except (AttributeError, KeyError) as error:
            return f"off: urllib3 {getattr(library, '__version__', '?')} has no {error}"
        self._patches.replace(pool, "urlopen", self._timed_urlopen(urlopen))
        self._patches.replace(pool, "_make_request", self._timed_request(make))
        self._patches.replace(response, "__init__", self._counted_answer(answer))
        self._wrap_beneath(library)
        self._exchanges.attached = True
        return ON

    def detach(self) -> None:
        """Put the originals back."""
        self._exchanges.attached = False
        self._patches.take_back()
        self._exchanges.forget()
        self._pools.clear()

    def fill(self, frame: Frame) -> None:
        """Add the calls that go on, and the connections there are to whom was called."""
        rows = self._exchanges.fill(frame)
        there: dict[str, list[int]] = {}
        for key, ref in list(self._pools.items()):
            pool = ref()
            if pool is None:
                self._pools.pop(key, None)
            elif rows:
                _count_connections(pool, there)
        for (host, _), row in rows.items():
            if host in there:
                row.connections, row.idle, limit = there[host]
                row.limit = limit or None

    def _wrap_beneath(self, library: ModuleType) -> None:
        """Wrap what tells of waits and of opening a connection; without it they are not told apart."""
        for owner, name, ours in (
            (library.HTTPConnectionPool, "_get_conn", self._timed_wait),
            (library.HTTPSConnectionPool, "_prepare_proxy", self._timed_tunnel),
            (getattr(library, "PoolManager", None), "_new_pool", _known_manager),
            (getattr(library.connection, "HTTPConnection", None), "connect", _timed_connect),
            (getattr(library.connection, "HTTPSConnection", None), "connect", _timed_connect),
            (library.connection, "_ssl_wrap_socket_and_match_hostname", _timed_tls),
        ):
            original = vars(owner).get(name) if owner is not None else None
            if owner is not None and original is not None:
                self._patches.replace(owner, name, ours(original))

    def _timed_urlopen(self, original: Any) -> Callable[..., Any]:
        """Return `HTTPConnectionPool.urlopen` with a record of each try."""
        urlopen, exchanges = bound_first(original), self._exchanges

        @functools.wraps(original)
        def timed_urlopen(pool: Any, method: Any, url: Any, *args: Any, **options: Any) -> Any:
            call = self._begin(pool, method, url) if exchanges.attached and exchanges.sink.open else None
            if call is None:
                return urlopen(pool, method, url, *args, **options)
            outer = _now.set(call)
            try:
                response = urlopen(pool, method, url, *args, **options)
            except BaseException as error:
                self._failed(call, error)
                raise
            finally:
                _now.reset(outer)
            if call.record is not None:
                # Made by something else than `HTTPResponse`: its body is not seen.
                self._answered(call, getattr(response, "status", 0))
            return response

        return timed_urlopen

    def _begin(self, pool: Any, method: Any, url: Any) -> _Call | None:
        try:
            new = not getattr(pool, "_perftui_met", False)
            if new:
                self._meet(pool)
                new = getattr(pool, "_perftui_manager_is_new", True)
            if url[:1] == "/":
                record = self._exchanges.begin((pool.host, method, pool.port, pool.scheme), url, new)
            else:  # through a proxy, whose the pool is; or somebody's own way to spell it
                whole = urlsplit(url)
                target = f"{whole.path}?{whole.query}"
                key = (whole.hostname or pool.host, method, whole.port, whole.scheme or pool.scheme)
                record = self._exchanges.begin(key, target, new)
            return _Call(record) if record is not None else None
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a call
            self._exchanges.fault(error)
            return None

    def _meet(self, pool: Any) -> None:
        pool._perftui_met = True
        if len(self._pools) < MAX_POOLS:
            self._pools[id(pool)] = weakref.ref(pool)

    def _timed_request(self, original: Any) -> Callable[..., Any]:
        """Return `_make_request`, which one try is: those that fail are tried again further out."""
        request = bound_first(original)

        @functools.wraps(original)
        def timed_request(pool: Any, connection: Any, *args: Any, **options: Any) -> Any:
            call = _now.get()
            if call is None or call.record is None:
                return request(pool, connection, *args, **options)
            call.connection = connection
            try:
                return request(pool, connection, *args, **options)
            except BaseException as error:
                self._failed(call, error)
                raise

        return timed_request

    def _timed_tunnel(self, original: Any) -> Callable[..., Any]:
        tunnel = bound_first(original)

        @functools.wraps(original)
        def timed_tunnel(pool: Any, connection: Any) -> Any:
            try:
                return tunnel(pool, connection)
            except BaseException as error:
                call = _now.get()
                if call is not None:
                    self._failed(call, error)
                raise

        return timed_tunnel

    def _timed_wait(self, original: Any) -> Callable[..., Any]:
        """Return `_get_conn`, in which a pool that blocks is waited for."""
        get_connection, exchanges = bound_first(original), self._exchanges

        @functools.wraps(original)
        def timed_wait(pool: Any, *args: Any, **options: Any) -> Any:
            call = _now.get() if pool.block else None
            record = call.record if call is not None else None
            if call is None or record is None or not _is_empty(pool):
                return get_connection(pool, *args, **options)
            exchanges.waiting.add(record)
            started_ns = perf_counter_ns()
            try:
                return get_connection(pool, *args, **options)
            except BaseException as error:
                record.pool_wait_ns += perf_counter_ns() - started_ns
                self._failed(call, error)
                raise
            finally:
                exchanges.waiting.discard(record)
                if call.record is not None:
                    record.ready_ns = perf_counter_ns()
                    record.pool_wait_ns += record.ready_ns - started_ns

        return timed_wait

    def _counted_answer(self, original: Any) -> Callable[..., Any]:
        """Return `HTTPResponse.__init__`, which may read the body at once."""
        init = bound_first(original)

        @functools.wraps(original)
        def counted_answer(response: Any, body: Any = "", *args: Any, **options: Any) -> None:
            call = _now.get()
            if call is not None and call.record is not None and hasattr(body, "isclosed"):
                body = self._counted(call, call.record, body)
            init(response, body, *args, **options)

        return counted_answer

    def _counted(self, call: _Call, record: CallRecord, body: Any) -> Any:
        """Note that there is an answer, and return what counts its body."""
        exchanges = self._exchanges
        try:
            call.record = None
            exchanges.answered(record, body.status, _socket_of, (call.connection, body))
            if body.isclosed():
                exchanges.over(record)
                return body
            return CountedFile(body, record, exchanges)
        except Exception as error:  # noqa: BLE001 - as above
            exchanges.fault(error)
            exchanges.over(record)
            return body

    def _answered(self, call: _Call, status: int) -> None:
        record, call.record = call.record, None
        if record is not None:
            self._exchanges.answered(record, status, _socket_of, (call.connection, None))
            self._exchanges.over(record)

    def _failed(self, call: _Call, error: BaseException) -> None:
        record, call.record = call.record, None
        if record is not None:
            pool_timed_out = isinstance(error, self._pool_timeout)
            timed_out = isinstance(error, self._timeouts) and not isinstance(error, self._no_timeout)
            self._exchanges.failed(record, error, timed_out=timed_out, pool_timed_out=pool_timed_out)


def _timed_connect(original: Any) -> Callable[..., Any]:
    connect = bound_first(original)

    @functools.wraps(original)
    def timed_connect(connection: Any) -> Any:
        call = _now.get()
        record = call.record if call is not None else None
        if record is None:
            return connect(connection)
        started_ns = perf_counter_ns()
        try:
            connected = connect(connection)
            record.opened = True
            return connected
        finally:
            record.ready_ns = perf_counter_ns()
            record.connect_ns += record.ready_ns - started_ns

    return timed_connect


def _timed_tls(original: Any) -> Callable[..., Any]:
    @functools.wraps(original)
    def timed_tls(*args: Any, **options: Any) -> Any:
        call = _now.get()
        record = call.record if call is not None else None
        if record is None:
            return original(*args, **options)
        started_ns = perf_counter_ns()
        try:
            return original(*args, **options)
        finally:
            record.tls_ns += perf_counter_ns() - started_ns

    return timed_tls


def _known_manager(original: Any) -> Callable[..., Any]:
    """Return `PoolManager._new_pool`: a session's second pool is that of another host, not a new client's."""
    new_pool = bound_first(original)

    @functools.wraps(original)
    def known_manager(manager: Any, *args: Any, **options: Any) -> Any:
        pool = new_pool(manager, *args, **options)
        # One of the app's own kind may take no further attributes: then it counts as met before.
        with contextlib.suppress(AttributeError, TypeError):
            pool._perftui_manager_is_new = not vars(manager).get("_perftui_met", False)
            manager._perftui_met = True
        return pool

    return known_manager


def _is_empty(pool: Any) -> bool:
    queue = pool.pool
    return queue is not None and queue.empty()


def _socket_of(carrier: tuple[Any, Any]) -> Any:
    connection, body = carrier
    # A connection that ends with this answer has let go of its socket already.
    return connection.sock or body.fp.raw._sock


def _count_connections(pool: Any, there: dict[str, list[int]]) -> None:
    """Add a pool's connections to those of its host: how many, how many idle, how many there may be.

    Places that no connection was ever made for are in its queue as None.
    """
    queue = pool.pool
    if queue is None:
        return
    places = list(queue.queue)
    idle = sum(getattr(each, "sock", None) is not None for each in places)
    counts = there.setdefault(name_of_host(pool.scheme, pool.host, pool.port), [0, 0, 0])
    counts[0] += idle + max(0, queue.maxsize - len(places))
    counts[1] += idle
    counts[2] += queue.maxsize if pool.block else 0
