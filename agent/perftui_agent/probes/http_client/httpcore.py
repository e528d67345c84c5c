"""What goes on beneath httpx, in httpcore: waits for a connection of the pool, its opening, and bodies.

httpcore's `trace` extension would tell of that as well, but costs each call 11 µs (of 212) before anything is
done with its dozen events. TLS and further tries to connect are told by `trace` all the same, for as long as
a connection is being opened. For which call it is, the request's extensions say: they are those of httpx's,
through proxies too. (Of one request that is sent twice at once, what waits and opens is the later one's.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from time import perf_counter_ns
from typing import Any

from perftui_agent.probes.http_client.bodies import counted_async_class, counted_class
from perftui_agent.probes.http_client.connections import HostConnections, Hosts, bounded
from perftui_agent.probes.http_client.exchanges import Exchanges
from perftui_agent.probes.http_client.hosts import name_of_host
from perftui_agent.probes.patches import Patches
from perftui_agent.records import CallRecord

_BODIES = ("PoolByteStream", "ConnectionPoolByteStream")
"""What a pool's module calls them, today and before 1.0.3."""


def wrap_core(core: str, patches: Patches, exchanges: Exchanges) -> None:
    """Wrap what tells of waits and connections; where there is none of it, they are not told apart."""
    for flavour, prefix in (("_sync", ""), ("_async", "Async")):
        pools = sys.modules.get(f"{core}.{flavour}.connection_pool")
        connections = sys.modules.get(f"{core}.{flavour}.connection")
        request = getattr(pools, f"{prefix}PoolRequest", None) or getattr(pools, "RequestStatus", None)
        waits = vars(request).get("wait_for_connection") if request is not None else None
        if request is not None and waits is not None:
            timed_wait = _timed_async_wait if prefix else _timed_wait
            patches.replace(request, "wait_for_connection", timed_wait(waits, exchanges))
        for name in _BODIES:
            body = getattr(pools, name, None)
            if body is not None:
                counted = counted_async_class if prefix else counted_class
                patches.replace(pools, name, counted(body, exchanges))
        connection = getattr(connections, f"{prefix}HTTPConnection", None)
        connects = vars(connection).get("_connect") if connection is not None else None
        if connection is not None and connects is not None:
            timed_connect = _timed_async_connect if prefix else _timed_connect
            patches.replace(connection, "_connect", timed_connect(connects, exchanges))


def count_connections(pool: Any, hosts: Hosts) -> None:
    """Add a pool's connections to those of each host."""
    idle_to: dict[str, list[bool]] = {}
    for connection in list(pool._connections):
        origin = getattr(connection, "_remote_origin", None) or connection._origin
        host = name_of_host(origin.scheme, origin.host, origin.port)
        idle_to.setdefault(host, []).append(bool(connection.is_idle()))
    limit = bounded(getattr(pool, "_max_connections", None))
    for host, idle in idle_to.items():
        hosts.setdefault(host, HostConnections()).add(len(idle), sum(idle), limit)


def _going_on(exchanges: Exchanges, request: Any) -> CallRecord | None:
    return exchanges.under_way.get(id(request.extensions))


def _timed_wait(wait: Callable[..., Any], exchanges: Exchanges) -> Callable[..., Any]:
    def wait_for_connection(pool_request: Any, timeout: float | None = None) -> Any:
        if pool_request.connection is not None:
            return wait(pool_request, timeout=timeout)
        record = _going_on(exchanges, pool_request.request)
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
        if pool_request.connection is None:
            record = _going_on(exchanges, pool_request.request)
            if record is not None:
                return waited(pool_request, timeout, record)
        waits: Coroutine[Any, Any, Any] = wait(pool_request, timeout=timeout)
        return waits

    return wait_for_connection


def _begin_wait(record: CallRecord, exchanges: Exchanges) -> int:
    exchanges.waiting.add(record)
    return perf_counter_ns()


def _end_wait(record: CallRecord, exchanges: Exchanges, started_ns: int) -> None:
    exchanges.waiting.discard(record)
    record.ready_ns = perf_counter_ns()
    record.in_detail().pool_wait_ns += record.ready_ns - started_ns


class _Opening:
    """A connection that is being opened."""

    def __init__(self, record: CallRecord, request: Any) -> None:
        self._record = record
        self._details = record.in_detail()
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
            self._details.tls_ns += perf_counter_ns() - self._tls_ns
        elif what == "retry.started":
            self._details.retries += 1
        return self._theirs(event, info) if self._theirs is not None else None

    def note_async(self, event: str, info: Any) -> Any:
        """Take an event, where a coroutine is expected."""
        told = self.note(event, info)
        return told if self._theirs is not None else _nothing()

    def watch(self, note: Callable[[str, Any], Any]) -> None:
        """Have the library tell of the opening alone."""
        self._request.extensions = {**self._extensions, "trace": note}

    def opened(self) -> None:
        """Put down that there is a connection."""
        self._details.opened = True

    def over(self) -> None:
        """Put down how long it took."""
        self._request.extensions = self._extensions
        record = self._record
        record.ready_ns = perf_counter_ns()
        self._details.connect_ns += record.ready_ns - self._started_ns


async def _nothing() -> None:
    """Stand for what nobody listens to."""


def _timed_connect(connect: Callable[..., Any], exchanges: Exchanges) -> Callable[..., Any]:
    def timed_connect(connection: Any, request: Any) -> Any:
        record = _going_on(exchanges, request)
        if record is None:
            return connect(connection, request)
        opening = _Opening(record, request)
        opening.watch(opening.note)
        try:
            stream = connect(connection, request)
            opening.opened()
            return stream
        finally:
            opening.over()

    return timed_connect


def _timed_async_connect(connect: Callable[..., Any], exchanges: Exchanges) -> Callable[..., Any]:
    async def timed_connect(connection: Any, request: Any) -> Any:
        record = _going_on(exchanges, request)
        if record is None:
            return await connect(connection, request)
        opening = _Opening(record, request)
        opening.watch(opening.note_async)
        try:
            stream = await connect(connection, request)
            opening.opened()
            return stream
        finally:
            opening.over()

    return timed_connect
