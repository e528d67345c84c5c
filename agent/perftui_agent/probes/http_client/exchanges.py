"""What the probes of all HTTP clients share: an exchange is begun, answered, and over.

Runs on the app's threads, each step guarded. One record is made per exchange and filled as it goes on; it is
handed over when the body has been read, closed or given up, so a call takes as long as the app waited for it,
without what it did in between with the parts of the body. Where an answer took long, the kernel is asked how
long it had been lying there: that is no time of the upstream's.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Protocol, TypeAlias

from perftui_agent.guard import Guard
from perftui_agent.handover import hand_over
from perftui_agent.probes.call_sites import call_site
from perftui_agent.probes.tcp_info import last_data, least_ns
from perftui_agent.records import CallRecord, Upstream, current_request
from perftui_agent.whose import request_now
from perftui_agent.wire.frames import Frame, UpstreamFrame

MAX_UPSTREAMS = 1_000
"""Hosts and methods that are remembered; those that come again after that are met anew."""

SLOW_NS = 100_000_000
"""A call that takes so long brings its call site: next to it a walk along the stack costs nothing."""

RUN_WITH_CALL_SITE = 2
"""So does the third in a row by one request, where repetition begins: once a second."""

UNKNOWN = -1

_current = current_request.get

POOL_TIMEOUT = "PoolTimeout"
"""What failed is called so whichever library it was: each has a name of its own for it, or none."""

_LEAST_NS = least_ns()

_DEFAULT_PORTS = {("http", 80), ("https", 443), ("http", None), ("https", None)}


Asked: TypeAlias = tuple[Any, Any, Any, Any]
"""Host, method, port and scheme, as the library has them."""


class CallSink(Protocol):
    """Where records go: the window."""

    open: bool

    def put(self, record: CallRecord) -> None:
        """Take a record that will not be written to any more."""


class Exchanges:
    """The outgoing calls of one library."""

    def __init__(self, library: str, sink: CallSink, guard: Guard) -> None:
        self.library = library
        self.sink = sink
        self.attached = False
        self._guard = guard
        self._place = f"probes.{library}"
        self._upstreams: dict[Asked, Upstream] = {}
        self._known = self._upstreams.get
        self._under_way: set[CallRecord] = set()
        """Without an answer yet."""
        self.waiting: set[CallRecord] = set()
        """Those of them that wait for a connection of their client's own."""

    def begin(self, key: Asked, target: str | bytes, new_client: bool = False) -> CallRecord | None:
        """Begin an exchange; None if that fails: then nothing more is asked about it."""
        try:
            upstream = self._known(key) or self._meet(key)
            request = _current()
            if request is not None and (request.ended_ns or request.doubted):
                request = request_now()
            started_ns = perf_counter_ns()
            record = CallRecord(request, "http", "", started_ns, 0, False, upstream, target)
            record.ready_ns = started_ns
            if request is not None:
                if upstream.run_of != request.started_ns:
                    upstream.run_of = request.started_ns
                    upstream.run = 0
                else:
                    upstream.run += 1
                if new_client:
                    record.new_client = True
            self._under_way.add(record)
            return record
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a call
            self._guard.fault(self._place, error)
            return None

    def answered(
        self, record: CallRecord, status: int, socket_of: Callable[[Any], Any], carrier: Any
    ) -> None:
        """Note that an answer has begun to be read; `socket_of` finds the socket of what carries it."""
        now_ns = perf_counter_ns()
        try:
            self._under_way.discard(record)
            record.answered_ns = record.ended_ns = now_ns
            record.status = status
            upstream = record.upstream
            if now_ns - record.ready_ns >= _LEAST_NS:
                record.held_ns = _held_ns(socket_of, carrier, now_ns - record.ready_ns)
            if upstream is not None and (
                upstream.call_site_wanted
                or status >= 500
                or record.new_client
                or (upstream.run_wanted and upstream.run >= RUN_WITH_CALL_SITE)
                or now_ns - record.started_ns >= SLOW_NS
            ):
                upstream.call_site_wanted = False
                upstream.run_wanted &= upstream.run < RUN_WITH_CALL_SITE
                record.call_site = call_site()
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault(self._place, error)

    def failed(
        self,
        record: CallRecord,
        error: BaseException,
        *,
        timed_out: bool = False,
        pool_timed_out: bool = False,
    ) -> None:
        """Note that an exchange came to nothing, and hand it over."""
        try:
            # A generator that is thrown away, a cancelled task, ctrl+c: nobody's failure.
            record.cancelled = not isinstance(error, Exception)
            if not record.cancelled:
                record.failed = True
                record.error = POOL_TIMEOUT if pool_timed_out else type(error).__name__
                record.timed_out, record.pool_timed_out = timed_out or pool_timed_out, pool_timed_out
                record.call_site = record.call_site or call_site()
            self.over(record, perf_counter_ns() if not record.answered_ns else 0)
        except Exception as fault:  # noqa: BLE001 - as above
            self._guard.fault(self._place, fault)

    def over(self, record: CallRecord, ended_ns: int = 0) -> None:
        """Hand over a record of an exchange that is over, once."""
        try:
            if record.answered_ns:
                record.ended_ns = ended_ns or record.answered_ns + record.body_ns
                if record.status >= 500:
                    record.failed = True
            else:
                self._under_way.discard(record)
                self.waiting.discard(record)
                record.ended_ns = ended_ns or perf_counter_ns()
            request = record.request
            if request is None:
                self.sink.put(record)
                return
            record.request = None
            if not hand_over(request, record):
                record.request = request
                self.sink.put(record)
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault(self._place, error)

    def lost(self, record: CallRecord, error: BaseException) -> None:
        """Count a fault of ours, amid an exchange that is not seen any further."""
        self._guard.fault(self._place, error)
        self.over(record)

    def fault(self, error: BaseException) -> None:
        """Count a fault of ours."""
        self._guard.fault(self._place, error)

    def forget(self) -> None:
        """Know of nothing that goes on any more: whoever began it may not be here."""
        self._under_way.clear()
        self.waiting.clear()

    def fill(self, frame: Frame) -> dict[tuple[str, str], UpstreamFrame]:
        """Add what goes on now, and have each upstream bring a call site again; return the rows so far."""
        now_ns = perf_counter_ns()
        rows = {(row.host, row.method): row for row in frame.upstreams if row.library == self.library}
        for upstream in list(self._upstreams.values()):
            upstream.call_site_wanted = upstream.run_wanted = True
        for record in list(self._under_way):
            row = self.row(frame, rows, record.upstream)
            row.under_way += 1
            row.oldest_ns = max(row.oldest_ns, now_ns - record.started_ns)
        for record in list(self.waiting):
            row = self.row(frame, rows, record.upstream)
            row.waiting += 1
            row.longest_wait_ns = max(row.longest_wait_ns, now_ns - record.started_ns)
        return rows

    def row(
        self, frame: Frame, rows: dict[tuple[str, str], UpstreamFrame], upstream: Upstream | None
    ) -> UpstreamFrame:
        """Return the row of an upstream; if there is no more room for one, that of all others."""
        host, method = (upstream.host, upstream.method) if upstream is not None else ("", "")
        row = rows.get((host, method))
        if row is None:
            if len(rows) >= MAX_ROWS:
                host, method = OTHER, ""
            row = rows.get((host, method))
        if row is None:
            row = rows[host, method] = UpstreamFrame(host=host, method=method, library=self.library)
            frame.upstreams.append(row)
        return row

    def _meet(self, key: Asked) -> Upstream:
        host, method, port, scheme = key
        if not isinstance(host, str | bytes):
            raise TypeError(f"a host is no {type(host).__name__}")  # a mock's call goes nowhere
        verb = _text(method).upper()
        if len(self._upstreams) >= MAX_UPSTREAMS:
            self._upstreams.clear()
        upstream = self._upstreams[key] = Upstream(
            name_of_host(scheme, host, port), verb if verb in _METHODS else "_OTHER", self.library
        )
        return upstream


def name_of_host(scheme: Any, host: Any, port: int | None) -> str:
    """Return a host as people say it, with its port where that is not the scheme's."""
    name = _text(host).strip("[]")
    if ":" in name:
        name = f"[{name}]"
    return name if (_text(scheme), port) in _DEFAULT_PORTS else f"{name}:{port}"


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


MAX_ROWS = 300
"""Upstreams of one library in a frame, those that were called and those that are being called."""

OTHER = "(other)"

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"}
)


def _held_ns(socket_of: Callable[[Any], Any], carrier: Any, waited_ns: int) -> int:
    """Return how long an answer had been lying there when it was read: no longer than it was waited for."""
    try:
        sock = socket_of(carrier)
        if sock is None or sock.family == socket.AF_UNIX:
            return UNKNOWN
        last = last_data(sock)
    except (
        OSError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ):  # closed by now, or no socket to speak of
        return UNKNOWN
    if last is None:
        return UNKNOWN
    held_ns = min(last.received_ms * 1_000_000, waited_ns)
    return held_ns if held_ns >= _LEAST_NS else 0
