"""The connections of aiohttp's connectors: waits for one, the opening and closing of one, how many there are.

For which call a connection is opened, the request says that the connector is given; for which one waits,
the coroutine that waits: a context variable would have to be set by each call, for the few that wait.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter_ns
from types import ModuleType
from typing import Any

from perftui_agent.probes.http_client.aiohttp_exchange import exchange_of
from perftui_agent.probes.http_client.connections import HostConnections, Hosts, bounded
from perftui_agent.probes.http_client.exchanges import Exchanges
from perftui_agent.probes.http_client.hosts import name_of_host
from perftui_agent.probes.patches import Patches, bound_first
from perftui_agent.records import CallRecord

MAX_FRAMES = 5
"""Between a connector's wait and its `connect`."""


def wrap_connections(library: ModuleType, patches: Patches, exchanges: Exchanges) -> None:
    """Wrap what tells of waits and of opening a connection; without it they are not told apart."""
    eyeballs = sys.modules.get("aiohappyeyeballs")
    protocol = getattr(sys.modules.get("aiohttp.client_proto"), "ResponseHandler", None)
    for owner, name, wrap in (
        (library.BaseConnector, "_wait_for_available_connection", _timed_wait),
        (getattr(library, "TCPConnector", None), "_create_connection", _timed_creation),
        (getattr(library, "UnixConnector", None), "_create_connection", _timed_creation),
        (protocol, "close", _noted_close),
    ):
        original = vars(owner).get(name) if owner is not None else None
        if owner is not None and original is not None:
            wrapper = wrap(bound_first(original), exchanges)
            patches.replace(owner, name, functools.wraps(original)(wrapper))
    if eyeballs is not None and "start_connection" in vars(eyeballs):
        patches.replace(eyeballs, "start_connection", _timed_tcp(eyeballs.start_connection))


def count_connections(connector: Any, hosts: Hosts) -> None:
    """Add a session's connections to those of each host."""
    idle_to: dict[str, int] = {}
    for key, idle in list(connector._conns.items()):
        host = name_of_host("https" if key.is_ssl else "http", key.host, key.port)
        idle_to[host] = idle_to.get(host, 0) + len(idle)
    busy_to: dict[str, int] = {}
    for protocol in list(connector._acquired):
        exchange = exchange_of(protocol)
        record = exchange.record if exchange is not None else None
        if record is not None:
            busy_to[record.upstream.host] = busy_to.get(record.upstream.host, 0) + 1
    limits = [each for each in (bounded(connector.limit), bounded(connector.limit_per_host)) if each]
    limit = min(limits, default=0)
    for host in idle_to | busy_to:
        unused = idle_to.get(host, 0)
        hosts.setdefault(host, HostConnections()).add(unused + busy_to.get(host, 0), unused, limit)


def _timed_wait(waits: Callable[..., Any], exchanges: Exchanges) -> Callable[..., Any]:
    async def timed_wait(connector: Any, *args: Any, **options: Any) -> Any:
        record = _waiting_call(exchanges)
        if record is None:
            return await waits(connector, *args, **options)
        exchanges.waiting.add(record)
        details, started_ns = record.in_detail(), perf_counter_ns()
        details.pool_timed_out = True  # if it never ends
        try:
            waited = await waits(connector, *args, **options)
            details.pool_timed_out = False
            return waited
        finally:
            exchanges.waiting.discard(record)
            record.ready_ns = perf_counter_ns()
            details.pool_wait_ns += record.ready_ns - started_ns

    return timed_wait


def _waiting_call(exchanges: Exchanges) -> CallRecord | None:
    frame = sys._getframe(1).f_back
    for _ in range(MAX_FRAMES):
        if frame is None:
            return None
        if frame.f_code.co_name == "connect" and "req" in frame.f_locals:
            return exchanges.under_way.get(id(frame.f_locals["req"]))
        frame = frame.f_back
    return None


_tcp_ns: ContextVar[int] = ContextVar("perftui_aiohttp_tcp", default=0)
"""When the connection that is being opened was one of TCP: the rest of its opening is TLS."""


def _timed_creation(create: Callable[..., Any], exchanges: Exchanges) -> Callable[..., Any]:
    async def timed_creation(connector: Any, req: Any, *args: Any, **options: Any) -> Any:
        record = exchanges.under_way.get(id(req))
        if record is None:
            return await create(connector, req, *args, **options)
        details, started_ns = record.in_detail(), perf_counter_ns()
        _tcp_ns.set(0)
        try:
            protocol = await create(connector, req, *args, **options)
            details.opened = True
            return protocol
        finally:
            record.ready_ns = now_ns = perf_counter_ns()
            details.connect_ns += now_ns - started_ns
            tcp_ns = _tcp_ns.get()
            if tcp_ns and req.url.scheme in {"https", "wss"}:
                details.tls_ns += now_ns - tcp_ns

    return timed_creation


def _timed_tcp(original: Any) -> Callable[..., Any]:
    @functools.wraps(original)
    async def timed_tcp(*args: Any, **options: Any) -> Any:
        sock = await original(*args, **options)
        _tcp_ns.set(perf_counter_ns())
        return sock

    return timed_tcp


def _noted_close(close: Callable[..., Any], _exchanges: Exchanges) -> Callable[..., Any]:
    """Return what closes a connection: of one that was lost sight of unclosed, nothing else is told."""

    def noted_close(protocol: Any) -> Any:
        exchange = exchange_of(protocol)
        if exchange is not None:
            exchange.let_go()
        return close(protocol)

    return noted_close
