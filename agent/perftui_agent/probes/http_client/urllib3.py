"""Sees every exchange of urllib3 with another service, those of requests among them, once each.

requests, botocore and others send through urllib3: their calls are told as urllib3's, for the connections and
waits are its own, and the call site says who asked. `HTTPConnectionPool._make_request` is one try, redirects
and those that urllib3 makes again being others: there a call begins. It is answered as the head has been
read, and over when the body has been: see `urllib3_answers`. What waits for a pool that is exhausted, or for
a proxy's tunnel, begins there. What stands in for any of these in an app's tests goes to no network, and is
not seen.
"""

from __future__ import annotations

import functools
import http.client
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import FunctionType, ModuleType
from typing import Any
from urllib.parse import urlsplit

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.client_probe import ClientProbe
from perftui_agent.probes.http_client.exchanges import CallSink
from perftui_agent.probes.http_client.urllib3_answers import counted_class
from perftui_agent.probes.http_client.urllib3_connections import (
    count_connections,
    known_manager,
    timed_connect,
    timed_tls,
    timed_tunnel,
    timed_wait,
)
from perftui_agent.probes.patches import bound_first, is_known_by, takes
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.records import CallRecord

now: ContextVar[CallRecord | None] = ContextVar("perftui_urllib3_call", default=None)
"""The exchange that was begun last here: it goes on as long as it has neither an answer nor an end."""

MAX_FRAMES = 10
"""Between what urllib3 does for a request and the function in which it does it."""


AS_KNOWN = (
    *("self", "conn", "method", "url", "body", "headers", "retries", "timeout", "chunked", "response_conn"),
    *("preload_content", "decode_content", "enforce_content_length"),
)
"""What `_make_request` takes in urllib3 2: ours has the same names and defaults, for what takes whatever
comes makes two dictionaries of it with each call."""

_NOTHING_MORE = (None,) * (len(AS_KNOWN) - 6)


class Urllib3Probe(ClientProbe):
    """Puts a record for each exchange."""

    name = "urllib3"

    def __init__(self, sink: CallSink, guard: Guard) -> None:
        super().__init__(sink, guard, count_connections)
        self._timeouts: tuple[type[BaseException], ...] = (TimeoutError,)
        self._pool_timeout: type[BaseException] = TimeoutError
        self._no_timeout: type[BaseException] = TimeoutError
        self._early: set[CallRecord] = set()
        """Begun before the request itself, which takes them on."""

    def attach(self) -> ProbeStatus:
        """Wrap pools, connections and answers, once the library is imported."""
        if self._patches:
            return ON
        library = sys.modules.get("urllib3")
        if library is None or getattr(library.__spec__, "_initializing", False):
            return NOT_IMPORTED
        try:
            pool, errors = library.HTTPConnectionPool, library.exceptions
            request, connection = vars(pool)["_make_request"], library.connection.HTTPConnection
            answer = connection.response_class
            self._timeouts = (TimeoutError, errors.TimeoutError)
            # A name that is not found, and a port that is closed, is one to urllib3 1.
            self._pool_timeout, self._no_timeout = errors.EmptyPoolError, errors.NewConnectionError
        except (AttributeError, KeyError) as error:
            return f"off: urllib3 {getattr(library, '__version__', '?')} has no {error}"
        self._patches.replace(pool, "_make_request", self._timed_request(request))
        if isinstance(answer, type) and issubclass(answer, http.client.HTTPResponse):
            self._patches.put(connection, "response_class", counted_class(answer, now, self._exchanges))
        self._wrap_beneath(library)
        self._exchanges.attach()
        return ON

    def detach(self) -> None:
        """Put the originals back."""
        super().detach()
        self._early.clear()

    def _wrap_beneath(self, library: ModuleType) -> None:
        """Wrap what tells of waits and of opening a connection; without it they are not told apart."""
        for owner, name, ours in (
            (library.HTTPConnectionPool, "_get_conn", timed_wait),
            (library.HTTPSConnectionPool, "_prepare_proxy", timed_tunnel),
        ):
            original = vars(owner).get(name)
            if original is not None and takes(original, 2):
                wrapper = ours(bound_first(original), self._exchanges, self.begin_early, self.failed)
                self._patches.replace(owner, name, functools.wraps(original)(wrapper))
        for owner, name, wrap in (
            (getattr(library, "PoolManager", None), "_new_pool", known_manager),
            (getattr(library.connection, "HTTPConnection", None), "connect", timed_connect),
            (getattr(library.connection, "HTTPSConnection", None), "connect", timed_connect),
            (library.connection, "_ssl_wrap_socket_and_match_hostname", timed_tls),
        ):
            original = vars(owner).get(name) if owner is not None else None
            if owner is not None and original is not None:
                function = bound_first(original) if isinstance(owner, type) else original
                wrapper = wrap(function, _going_on)
                self._patches.replace(owner, name, functools.wraps(original)(wrapper))

    def _timed_request(self, original: Any) -> Callable[..., Any]:
        """Return `_make_request` with a record of each try."""
        make = bound_first(original)
        if type(original) is FunctionType and is_known_by(original, *AS_KNOWN):
            known = self._timed(make)
            known.__defaults__ = original.__defaults__
            return functools.wraps(original)(known)

        def make_with(
            pool: Any, conn: Any, method: Any, url: Any, args: Any, options: Any, *_none: None
        ) -> Any:
            return make(pool, conn, method, url, *args, **options)

        timed = self._timed(make_with)

        @functools.wraps(original)
        def timed_request(pool: Any, conn: Any, method: Any, url: Any, *args: Any, **options: Any) -> Any:
            return timed(pool, conn, method, url, args, options, *_NOTHING_MORE)

        return timed_request

    def _timed(self, request: Callable[..., Any]) -> Any:
        """Return what makes a request as `request` does, with a record."""
        exchanges, begin, early = self._exchanges, self._begin, self._early
        failed, let_go = self.failed, self._let_go

        def timed_request(
            self: Any,
            conn: Any,
            method: Any,
            url: Any,
            body: Any,
            headers: Any,
            retries: Any,
            timeout: Any,
            chunked: Any,
            response_conn: Any,
            preload_content: Any,
            decode_content: Any,
            enforce_content_length: Any,
        ) -> Any:
            outer = now.get()
            if outer is not None and (outer.answered_ns or outer.ended_ns):
                outer = None
            if not exchanges.sink.open:
                record = None
            elif outer is not None and outer in early:
                record = outer
            else:
                record = begin(self, method, url)
            try:
                response = request(
                    self,
                    conn,
                    method,
                    url,
                    body,
                    headers,
                    retries,
                    timeout,
                    chunked,
                    response_conn,
                    preload_content,
                    decode_content,
                    enforce_content_length,
                )
            except BaseException as error:
                if record is not None and not record.answered_ns:
                    failed(record, error)
                raise
            finally:
                if outer is not None and record is not None:
                    let_go(outer, record)
            if record is not None and not record.answered_ns:
                # Of another class of answers: its body is not seen.
                exchanges.answered(record, getattr(response, "status", 0), _no_socket, None)
                exchanges.over(record)
            return response

        return timed_request

    def _begin(self, pool: Any, method: Any, url: Any) -> CallRecord | None:
        try:
            try:
                new = not pool._perftui_met
            except AttributeError:
                new = True
            if new:
                new = self._meet(pool)
            if url[:1] == "/":
                key, target = (pool.host, method, pool.port, pool.scheme), url
            else:  # through a proxy, whose the pool is; or somebody's own way to spell it
                whole = urlsplit(url)
                target = f"{whole.path}?{whole.query}"
                key = (whole.hostname or pool.host, method, whole.port, whole.scheme or pool.scheme)
            record = self._exchanges.begin(key, target, new)
            now.set(record)
            return record
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a call
            self._exchanges.fault(error)
            return None

    def _meet(self, pool: Any) -> bool:
        """Take note of a pool; say whether its client is new with it."""
        pool._perftui_met = True
        self._exchanges.clients.meet(pool)
        return bool(getattr(pool, "_perftui_manager_is_new", True))

    def begin_early(self, pool: Any) -> CallRecord | None:
        """Begin, or go on with, the exchange for whose sake the pool does something now."""
        if not self._exchanges.sink.open:
            return None
        record = _going_on()
        if record is not None and record in self._early:
            return record
        frame = sys._getframe(1)
        for _ in range(MAX_FRAMES):
            if frame.f_code.co_name == "urlopen" and "url" in frame.f_locals:
                record = self._begin(pool, frame.f_locals.get("method"), frame.f_locals["url"])
                if record is not None:
                    self._early.add(record)
                return record
            if frame.f_back is None:
                break
            frame = frame.f_back
        return None

    def _let_go(self, outer: CallRecord, record: CallRecord) -> None:
        """Go on with what goes on around a request, if anything: a body may be made of another's answer."""
        if outer is record:
            self._early.discard(record)
        else:
            now.set(outer)

    def failed(self, record: CallRecord, error: BaseException) -> None:
        """Note that there is no answer."""
        self._early.discard(record)
        self._exchanges.failed(
            record,
            error,
            timed_out=isinstance(error, self._timeouts) and not isinstance(error, self._no_timeout),
            pool_timed_out=isinstance(error, self._pool_timeout),
        )


def _going_on() -> CallRecord | None:
    record = now.get()
    return None if record is None or record.answered_ns or record.ended_ns else record


def _no_socket(carrier: Any) -> Any:
    return carrier
