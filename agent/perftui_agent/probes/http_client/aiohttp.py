"""Sees every exchange of aiohttp's client with another service, of sessions made earlier or later.

A session asks its connector for a connection once per exchange, redirects and the library's own retries one
by one: there a call begins. Its answer begins when `ClientResponse.start` has read the head; it is over when
the connection is let go, whatever the reason: its connector is told. (A callback of the connection's would be
called amid a context manager that costs more than all that is to be done then.) `TraceConfig`, the library's
own way, is a session's: those made earlier have none of ours, and each of its signals is a coroutine more.
Mocks that stand in for the connector go to no network, and are not seen.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.aiohttp_connections import count_connections, wrap_connections
from perftui_agent.probes.http_client.aiohttp_exchange import begin_exchange, exchange_of, fail
from perftui_agent.probes.http_client.client_probe import ClientProbe
from perftui_agent.probes.http_client.exchanges import CallSink
from perftui_agent.probes.patches import bound_first, is_known_by
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.records import CallRecord


class AiohttpProbe(ClientProbe):
    """Puts a record for each exchange."""

    name = "aiohttp"

    def __init__(self, sink: CallSink, guard: Guard) -> None:
        super().__init__(sink, guard, count_connections)

    def attach(self) -> ProbeStatus:
        """Wrap connectors, answers and their bodies, once the library's client is imported."""
        if self._patches:
            return ON
        library = sys.modules.get("aiohttp")
        if library is None or getattr(library.__spec__, "_initializing", False):
            return NOT_IMPORTED
        try:
            connector, stream = library.BaseConnector, library.StreamReader
            connect, release = vars(connector)["connect"], vars(connector)["_release"]
            start = vars(library.ClientResponse)["start"]
            wait = vars(stream)["_wait"]
        except (AttributeError, KeyError) as error:
            return f"off: aiohttp {getattr(library, '__version__', '?')} has no {error}"
        self._patches.replace(connector, "connect", self._timed_connect(connect))
        self._patches.replace(connector, "_release", _noted_release(release))
        self._patches.replace(library.ClientResponse, "start", _timed_start(start))
        self._patches.replace(stream, "_wait", _timed_wait(wait))
        wrap_connections(library, self._patches, self._exchanges)
        self._exchanges.attach()
        return ON

    def _timed_connect(self, original: Any) -> Callable[..., Any]:
        """Return `BaseConnector.connect` with a record of what is asked over the connection."""
        connect = bound_first(original)
        if is_known_by(original, "self", "req", "traces", "timeout"):
            return functools.wraps(original)(self._timed(connect))

        def connect_with(connector: Any, req: Any, args: Any, options: Any) -> Any:
            return connect(connector, req, *args, **options)

        timed = self._timed(connect_with)

        @functools.wraps(original)
        async def timed_connect(connector: Any, req: Any, *args: Any, **options: Any) -> Any:
            return await timed(connector, req, args, options)

        return timed_connect

    def _timed(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        exchanges, begin = self._exchanges, self._begin

        async def timed_connect(connector: Any, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109 - theirs
            record = begin(connector, req) if exchanges.sink.open else None
            if record is None:
                return await connect(connector, req, traces, timeout)
            try:
                connection = await connect(connector, req, traces, timeout)
            except BaseException as error:
                fail(record, error, exchanges, getattr(req, "_timer", None))
                raise
            try:
                begin_exchange(connection.protocol, record, exchanges, req)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a call
                exchanges.lost(record, error)
            return connection

        return timed_connect

    def _begin(self, connector: Any, req: Any) -> CallRecord | None:
        try:
            try:
                new = not connector._perftui_met
            except AttributeError:
                new = True
            if new:
                connector._perftui_met = True
                self._exchanges.clients.meet(connector)
            url = req.url
            key = (url.raw_host, req.method, url.port, url.scheme)
            return self._exchanges.begin(key, url.raw_path_qs, new, id(req))
        except Exception as error:  # noqa: BLE001 - as above
            self._exchanges.fault(error)
            return None


def _timed_start(original: Any) -> Callable[..., Any]:
    start = bound_first(original)

    @functools.wraps(original)
    async def timed_start(response: Any, connection: Any) -> Any:
        protocol = connection.protocol
        exchange = exchange_of(protocol)
        if exchange is None or exchange.record is None:
            return await start(response, connection)
        exchange.in_start = True
        try:
            started = await start(response, connection)
        except BaseException as error:
            exchange.failed(error)
            raise
        exchange.in_start = False
        exchange.answered(response, protocol)
        return started

    return timed_start


def _noted_release(original: Any) -> Callable[..., Any]:
    release = bound_first(original)

    @functools.wraps(original)
    def noted_release(connector: Any, key: Any, protocol: Any, **options: Any) -> Any:
        exchange = exchange_of(protocol)
        if exchange is not None and exchange.record is not None and not exchange.in_start:
            exchange.let_go()
        return release(connector, key, protocol, **options)

    return noted_release


def _timed_wait(original: Any) -> Callable[..., Any]:
    wait = bound_first(original)

    @functools.wraps(original)
    async def timed_wait(reader: Any, *args: Any, **options: Any) -> None:
        exchange = exchange_of(reader._protocol)
        if exchange is None or exchange.record is None:
            await wait(reader, *args, **options)
            return
        exchange.reading_ns = perf_counter_ns()
        try:
            await wait(reader, *args, **options)
        except BaseException as error:
            exchange.failed(error)
            raise
        record = exchange.record
        if record is not None:
            record.body_ns += perf_counter_ns() - exchange.reading_ns
            exchange.reading_ns = 0

    return timed_wait
