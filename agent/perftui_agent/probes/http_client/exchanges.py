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
from typing import Any, Protocol

from perftui_agent.guard import Guard
from perftui_agent.handover import hand_over
from perftui_agent.probes.call_sites import call_site
from perftui_agent.probes.http_client.connections import Clients, CountConnections
from perftui_agent.probes.http_client.hosts import Asked, upstream_of
from perftui_agent.probes.tcp_info import last_data, least_ns
from perftui_agent.records import CallRecord, Upstream, current_request
from perftui_agent.whose import request_now
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import UpstreamFrame

MAX_UPSTREAMS = 1_000
"""Hosts and methods that are remembered; those that come again after that are met anew."""

MAX_ROWS = 300
"""Upstreams of one library in a frame, those that were called and those that are being called."""

OTHER = "(other)"

MAX_UNDER_WAY = 20_000
"""Exchanges without an answer that are remembered: of one that an app has lost sight of, as with a loop that
was closed amid it, nobody tells the end."""

SLOW_NS = 100_000_000
"""A call that takes so long brings its call site: next to it a walk along the stack costs nothing."""

RUN_WITH_CALL_SITE = 2
"""So does the third in a row by one request, where repetition begins: once a second."""

FIRST_ERROR = 400
"""From this status on an answer is looked at more closely."""

UNKNOWN = -1

POOL_TIMEOUT = "PoolTimeout"
"""What failed is called so whichever library it was: each has a name of its own for it, or none."""

_LEAST_NS = least_ns()

_current = current_request.get


class CallSink(Protocol):
    """Where records go: the window."""

    open: bool

    def put(self, record: CallRecord) -> None:
        """Take a record that will not be written to any more."""


class _Nobody:
    open = False

    def put(self, record: CallRecord) -> None:
        """Keep nothing."""


class Exchanges:
    """The outgoing calls of one library."""

    def __init__(self, library: str, sink: CallSink, guard: Guard, count: CountConnections) -> None:
        self.library = library
        self.sink: CallSink = _Nobody()
        """Nobody, unless the probe is attached: so who asks whether it is open asks for both."""
        self.clients = Clients(count)
        self.under_way: dict[int, CallRecord] = {}
        """Those without an answer yet, each under its place: a number that is its own as long as it lasts."""
        self.waiting: set[CallRecord] = set()
        """Those of them that wait for a connection of their client's own."""
        self._sink = sink
        self._guard = guard
        self._place = f"probes.{library}"
        self._upstreams: dict[Asked, Upstream] = {}
        self._known = self._upstreams.get

    def attach(self) -> None:
        """Take what is begun from now on."""
        self.sink = self._sink

    def detach(self) -> None:
        """Take nothing more, and know of nothing that goes on: whoever began it may not be here."""
        self.sink = _Nobody()
        self.under_way.clear()
        self.waiting.clear()
        self.clients.forget()

    def begin(self, key: Asked, target: str | bytes, new_client: bool = False, place: int = 0) -> CallRecord:
        """Begin an exchange. Not guarded: who calls has more that is to be."""
        upstream = self._known(key) or self._meet(key)
        request = _current()
        if request is not None and (request.ended_ns or request.doubted):
            request = request_now()
        record = CallRecord()
        record.request = request
        record.upstream = upstream
        record.target = target
        record.details = None
        record.answered_ns = record.body_ns = record.ended_ns = record.received_bytes = record.status = 0
        if request is not None:
            if new_client:
                record.in_detail().new_client = True
            if upstream.run_wanted:
                _count_run(upstream, request.started_ns)
        if not place:
            place = id(record)
        record.place = place
        self.under_way[place] = record
        record.started_ns = record.ready_ns = perf_counter_ns()
        return record

    def answered(
        self, record: CallRecord, status: int, socket_of: Callable[[Any], Any], carrier: Any
    ) -> None:
        """Note that an answer has begun to be read; `socket_of` finds the socket of what carries it."""
        record.answered_ns = now_ns = perf_counter_ns()
        record.status = status
        try:
            self.under_way.pop(record.place, None)
            upstream = record.upstream
            if (
                now_ns - record.ready_ns >= _LEAST_NS
                or status >= FIRST_ERROR
                or record.details is not None
                or upstream.call_site_wanted
            ):
                _look_closer(record, socket_of, carrier)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a call
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
            details = record.in_detail()
            # A generator that is thrown away, a cancelled task, ctrl+c: nobody's failure.
            details.cancelled = not isinstance(error, Exception)
            if not details.cancelled:
                details.failed = True
                details.error = POOL_TIMEOUT if pool_timed_out else type(error).__name__
                details.timed_out, details.pool_timed_out = timed_out or pool_timed_out, pool_timed_out
                details.call_site = details.call_site or call_site()
        except Exception as fault:  # noqa: BLE001 - as above
            self._guard.fault(self._place, fault)
        self.over(record)

    def over(self, record: CallRecord) -> None:
        """Hand over a record of an exchange that is over, once."""
        try:
            if record.answered_ns:
                record.ended_ns = record.answered_ns + record.body_ns
            else:
                self._unanswered(record)
            request = record.request
            if request is not None:
                record.request = None
                if hand_over(request, record):
                    return
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

    def fill(self, frame: Frame) -> None:
        """Add what goes on now and the connections there are; have each upstream bring a call site again."""
        now_ns = perf_counter_ns()
        rows = {(row.host, row.method): row for row in frame.upstreams if row.library == self.library}
        for upstream in list(self._upstreams.values()):
            upstream.call_site_wanted = upstream.run_wanted = True
        places = list(self.under_way)
        for place in places[: max(0, len(places) - MAX_UNDER_WAY)]:
            self.under_way.pop(place, None)
        for record in list(self.under_way.values()):
            row = self._row(frame, rows, record.upstream)
            row.under_way += 1
            row.oldest_ns = max(row.oldest_ns, now_ns - record.started_ns)
        for record in list(self.waiting):
            row = self._row(frame, rows, record.upstream)
            row.waiting += 1
            row.longest_wait_ns = max(row.longest_wait_ns, now_ns - record.started_ns)
        self.clients.tell(rows.values())

    def _unanswered(self, record: CallRecord) -> None:
        self.under_way.pop(record.place, None)
        self.waiting.discard(record)
        record.in_detail()  # without an answer it is not like most
        record.ended_ns = perf_counter_ns()

    def _row(
        self, frame: Frame, rows: dict[tuple[str, str], UpstreamFrame], upstream: Upstream
    ) -> UpstreamFrame:
        """Return the row of an upstream; if there is no more room for one, that of all others."""
        host, method = upstream.host, upstream.method
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
        upstream = upstream_of(key, self.library)
        if len(self._upstreams) >= MAX_UPSTREAMS:
            self._upstreams.clear()
        self._upstreams[key] = upstream
        return upstream


def _count_run(upstream: Upstream, of: int) -> None:
    """Count how often one request, which began then, calls an upstream in a row: it may be a repetition."""
    if upstream.run_of != of:
        upstream.run_of = of
        upstream.run = 0
    else:
        upstream.run += 1
        if upstream.run >= RUN_WITH_CALL_SITE:
            upstream.call_site_wanted = True


def _look_closer(record: CallRecord, socket_of: Callable[[Any], Any], carrier: Any) -> None:
    """Note what most answers have none of: that one was late, an error, or is to bring its call site."""
    upstream, waited_ns = record.upstream, record.answered_ns - record.ready_ns
    if waited_ns >= _LEAST_NS:
        held_ns = _held_ns(socket_of, carrier, waited_ns)
        if held_ns:
            record.in_detail().held_ns = held_ns
    if record.status >= FIRST_ERROR:
        record.in_detail().failed = record.status >= 500
    details, in_a_run = record.details, upstream.run >= RUN_WITH_CALL_SITE
    if (
        upstream.call_site_wanted
        or in_a_run
        or (details is not None and (details.failed or details.new_client))
        or record.answered_ns - record.started_ns >= SLOW_NS
    ):
        upstream.call_site_wanted = False
        if in_a_run:
            upstream.run_wanted = False
            upstream.run = upstream.run_of = 0
        record.in_detail().call_site = call_site()


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
