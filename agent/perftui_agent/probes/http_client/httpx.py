"""Sees every exchange of httpx with another service: sync and async, of clients made earlier or later.

Wraps `handle_request` and `handle_async_request` of the transports that go to the network; mocks, WSGI and
ASGI transports are none. Redirects and retries of the app's come by one by one. What goes on beneath, in
httpcore, is seen with the first call: see `httpcore`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.client_probe import ClientProbe
from perftui_agent.probes.http_client.exchanges import CallSink
from perftui_agent.probes.http_client.httpcore import count_connections, wrap_core
from perftui_agent.probes.patches import bound_first
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.records import CallRecord


class HttpxProbe(ClientProbe):
    """Puts a record for each exchange."""

    name = "httpx"

    def __init__(self, sink: CallSink, guard: Guard, library: str = "httpx", core: str = "httpcore") -> None:
        self.name = library
        super().__init__(sink, guard, count_connections)
        self._core = core
        self._timeout: type[BaseException] = TimeoutError
        self._pool_timeout: type[BaseException] = TimeoutError
        self._core_is_wrapped = False

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
        self._core_is_wrapped = False
        self._patches.replace(library.HTTPTransport, "handle_request", self._timed(handle))
        self._patches.replace(
            library.AsyncHTTPTransport, "handle_async_request", self._timed_async(handle_async)
        )
        self._exchanges.attach()
        return ON

    def _timed(self, original: Any) -> Callable[..., Any]:
        """Return `handle_request` with a record of each call."""
        handle, begin, exchanges = bound_first(original), self._begin, self._exchanges

        def handle_request(transport: Any, request: Any) -> Any:
            record = begin(transport, request) if exchanges.sink.open else None
            if record is None:
                return handle(transport, request)
            try:
                response = handle(transport, request)
            except BaseException as error:
                self._failed(record, error)
                raise
            try:
                exchanges.answered(record, response.status_code, _socket_of, response)
                body = response.stream._httpcore_stream
                if getattr(body, "_perftui_call", record) is None:
                    body._perftui_call = record
                else:
                    exchanges.over(record)  # of somebody else's class: it is not seen
            except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a call
                exchanges.lost(record, error)
            return response

        return functools.wraps(original)(handle_request)

    def _timed_async(self, original: Any) -> Callable[..., Any]:
        """Return `handle_async_request` with a record of each call."""
        handle, begin, exchanges = bound_first(original), self._begin, self._exchanges

        async def handle_async_request(transport: Any, request: Any) -> Any:
            record = begin(transport, request) if exchanges.sink.open else None
            if record is None:
                return await handle(transport, request)
            try:
                response = await handle(transport, request)
            except BaseException as error:
                self._failed(record, error)
                raise
            try:
                exchanges.answered(record, response.status_code, _socket_of, response)
                body = response.stream._httpcore_stream
                if getattr(body, "_perftui_call", record) is None:
                    body._perftui_call = record
                else:
                    exchanges.over(record)  # of somebody else's class: it is not seen
            except Exception as error:  # noqa: BLE001 - as above
                exchanges.lost(record, error)
            return response

        return functools.wraps(original)(handle_async_request)

    def _begin(self, transport: Any, request: Any) -> CallRecord | None:
        try:
            try:
                # `getattr` with a default would be slower by half a µs, and a transport is new but once.
                new = not transport._perftui_met
            except AttributeError:
                new = True
            if new or not self._core_is_wrapped:
                self._meet(transport)
            # What `raw_scheme` and the others encode anew with each call.
            url = request.url._uri_reference
            target = url.path if url.query is None else f"{url.path}?{url.query}"
            # The core has the same extensions: by them it is known there whose connection is opened.
            return self._exchanges.begin(
                (url.host, request.method, url.port, url.scheme), target, new, id(request.extensions)
            )
        except Exception as error:  # noqa: BLE001 - as above
            self._exchanges.fault(error)
            return None

    def _meet(self, transport: Any) -> None:
        """Take note of a client's transport that calls for the first time."""
        transport._perftui_met = True
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            self._exchanges.clients.meet(pool)
        if not self._core_is_wrapped:
            self._core_is_wrapped = True
            wrap_core(self._core, self._patches, self._exchanges)

    def _failed(self, record: CallRecord, error: BaseException) -> None:
        self._exchanges.failed(
            record,
            error,
            timed_out=isinstance(error, self._timeout),
            pool_timed_out=isinstance(error, self._pool_timeout),
        )


def _socket_of(response: Any) -> Any:
    return response.extensions["network_stream"].get_extra_info("socket")
