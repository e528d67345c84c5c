"""Asks the kernel for how long a request's bytes had been there when the app was called.

`TCP_INFO` says how many milliseconds ago the connection's last data came, in steps of the kernel's clock
(4 ms on most machines). That is the request's own arrival where all of it is there. A body that is still on
its way says nothing of when its head came, nor does one that the kernel had no room for before somebody read:
then nothing is told. What came before the last thing that was sent (a pipelined request) waited for its own
predecessor and not for us. The socket is looked at and not touched: no option or flag of it is set. Where a
proxy's header is believed, which tells of the time before that, too, the longer of the two counts.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
import sys
import termios
from typing import Any, Protocol

from perftui_agent.guard import Guard
from perftui_agent.probes.http.queue_header import QueueHeader
from perftui_agent.probes.http.server_side import server_name
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.probes.tcp_info import INFO_BYTES, LAST_DATA, LAST_DATA_SENT, TCP_INFO, least_ns
from perftui_agent.records import RequestRecord, Scope
from perftui_agent.wire.frames import Frame

UNKNOWN = -1
"""The `queue_ns` of a request whose time before the app nobody knows."""

ROOM_BYTES = 32_768
"""Of a body: so much the kernel takes in while nobody reads (65,483 on loopback, with the headers)."""

_MS = 1_000_000


class Pace(Protocol):
    """Who decides when to ask: the pace of the app's loop."""

    ask_from_ns: int
    late_from_ns: int
    everybody_asks: bool

    def called(self, arrived_ns: int, now_ns: int) -> None:
        """Take a request whose bytes arrived then and that is called now."""

    def rest(self, now_ns: int) -> None:
        """Have nobody ask for a while."""


class Told(Protocol):
    """Who is told whether there is anybody to ask: the window."""

    queue_is_known: bool


class _UnknownError(Exception):
    """The kernel can't be asked about a request, and why."""


class Arrivals:
    """When the requests of this process arrived; a probe, whose status says whether that is known."""

    name = "queue"

    def __init__(self, pace: Pace, told: Told, guard: Guard) -> None:
        self.pace = pace
        self._told = told
        self._guard = guard
        self._least_ns = least_ns()
        self._header: QueueHeader | None = None
        self._kernel_tells = False
        self._status: ProbeStatus = "off: no request yet" if TCP_INFO is not None else "off: not Linux"

    def attach(self) -> ProbeStatus:
        """Say whether requests' arrivals are known."""
        return self._status

    def detach(self) -> None:
        """There is nothing to take back."""

    def fill(self, frame: Frame) -> None:
        """There is nothing to read: each request brings its own."""

    def believe(self, header: str | None) -> None:
        """Have requests say in this header when a proxy took them; None: in none."""
        self._header = QueueHeader(header) if header else None
        self.pace.everybody_asks = header is not None

    def ask(self, record: RequestRecord, side: Any) -> None:
        """Write down how long a request that is called now has waited; `side` is the server's of it."""
        now_ns = record.started_ns
        if now_ns >= self.pace.late_from_ns:
            self._ask_kernel(record, side, now_ns)
        elif not self._kernel_tells:
            record.queue_ns = UNKNOWN
        if self._header is not None:
            self._ask_proxy(record, self._header)

    def _ask_proxy(self, record: RequestRecord, header: QueueHeader) -> None:
        try:
            waited_ns = header.waited_ns((record.scope or {})["headers"])
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a response
            self._guard.fault("probes.queue", error)
            return
        if waited_ns is not None:
            record.queue_ns = max(record.queue_ns, waited_ns)
            self._told.queue_is_known = True
            self._status = ON

    def _ask_kernel(self, record: RequestRecord, side: Any, now_ns: int) -> None:
        # Where the loop is late everybody asks: what all of them do is written out, and why one may not
        # know is looked for only when it doesn't.
        sock: Any = None
        try:
            scope: Any = record.scope
            if scope["http_version"] not in _ONE_AT_A_TIME:
                raise _UnknownError("requests of HTTP/2 share their connection")
            sock = side.transport.get_extra_info("socket")
            info = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, INFO_BYTES)
            sent_ms, received_ms = LAST_DATA.unpack_from(info, LAST_DATA_SENT)
            # TLS sends things of its own as it reads the first request.
            waited_ns = _MS * (
                sent_ms if sent_ms < received_ms and scope["scheme"] == "http" else received_ms
            )
            if waited_ns < self._least_ns:
                waited_ns = 0
            elif not _is_whole(side, scope, sock):
                waited_ns = UNKNOWN
            record.queue_ns = waited_ns
            if not (self._kernel_tells and self._told.queue_is_known):
                self._told.queue_is_known = self._kernel_tells = True
                self._status = ON
            if waited_ns >= 0:
                self.pace.called(now_ns - waited_ns, now_ns)
            return
        except _UnknownError as unknown:
            why = f"off: {unknown}"
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a response
            why = self._why_not(side, sock, error)
        record.queue_ns = UNKNOWN
        if not self._kernel_tells:
            self.pace.rest(now_ns)
            if not self._told.queue_is_known:
                self._status = why or self._status

    def _why_not(self, side: Any, sock: Any, error: Exception) -> str:
        """Return why the kernel could not be asked; empty if the connection is gone."""
        if TCP_INFO is None:
            return "off: not Linux"
        if isinstance(error, OSError):
            return (
                "off: Unix sockets have no such clock"
                if getattr(sock, "family", None) == socket.AF_UNIX
                else ""
            )
        if isinstance(error, struct.error):
            return "off: the kernel does not tell"
        if isinstance(error, AttributeError):
            if getattr(side, "transport", None) is None:
                return f"off: {server_name() or 'the server'} does not show its connection"
            if sock is None:
                return f"off: {server_name() or 'the server'} does not show its socket"
        self._guard.fault("probes.queue", error)
        return "off: it failed"


_ONE_AT_A_TIME = frozenset({"1.0", "1.1"})
"""Versions of HTTP with one request at a time on a connection."""


def _is_whole(side: Any, scope: Scope, sock: Any) -> bool:
    """Tell whether all of a request had arrived while nobody read: only then what came last is its end."""
    there = len(getattr(side, "body", b""))
    length = 0
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            length = sys.maxsize
        elif name == b"content-length":
            length = max(length, int(value))
    if getattr(side, "more_body", None) is False:
        return max(there, 0 if length == sys.maxsize else length) <= ROOM_BYTES
    if not length:
        return True
    if length > ROOM_BYTES:
        return False
    unread = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.FIONREAD, unread)
    return there + unread[0] >= length
