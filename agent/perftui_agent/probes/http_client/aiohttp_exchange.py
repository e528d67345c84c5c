"""One exchange of aiohttp's, from having a connection until that is let go."""

from __future__ import annotations

import asyncio
import sys
from time import perf_counter_ns
from typing import Any

from perftui_agent.probes.http_client.exchanges import Exchanges
from perftui_agent.records import CallRecord

SWITCHING_PROTOCOLS = 101
"""What follows this head is no body, and may go on for days: a WebSocket."""


class Exchange:
    """What a connection knows of the call that it is there for, one after another."""

    __slots__ = ("_exchanges", "content", "in_start", "reading_ns", "record", "timer")

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges
        self.record: CallRecord | None = None
        """None between two calls."""
        self.timer: Any = None
        """The session's, for this call."""
        self.content: Any = None
        self.in_start = False
        self.reading_ns = 0
        """Since when the app waits for more of the body."""

    def failed(self, error: BaseException) -> None:
        """Note what came instead of an answer, or of the rest of one."""
        record = self.record
        if record is not None:
            timer = self.timer
            self._leave(record)
            fail(record, error, self._exchanges, timer)

    def answered(self, response: Any, protocol: Any) -> None:
        """Note that the head of an answer has been read; of a short one, the body with it."""
        record = self.record
        if record is None:
            return
        try:
            status = response.status
            self._exchanges.answered(record, status, _socket_of, protocol)
            self.content = response.content
            if response._connection is None or status == SWITCHING_PROTOCOLS:
                self._over(record)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a call
            self._exchanges.fault(error)

    def let_go(self) -> None:
        """Be told that the connection is: the body has been read, or nobody wants it."""
        record = self.record
        if record is None or self.in_start:
            return
        try:
            if self.content is None:
                # The request could not be sent: the library closes the connection as it handles that.
                self.failed(sys.exc_info()[1] or ConnectionError())
                return
            error = self.content.exception()
            if error is not None and not _is_release(error):
                self.failed(error)
            else:
                self._over(record)
        except Exception as fault:  # noqa: BLE001 - a fault of ours costs a count, never a call
            self._exchanges.fault(fault)

    def _over(self, record: CallRecord) -> None:
        content = self.content
        try:
            # As it was sent: packed, where it was.
            packed = content.total_compressed_bytes
            record.received_bytes = content.total_bytes if packed is None else packed
        except AttributeError:  # of an older version's, or of an answer that has no body
            record.received_bytes = getattr(content, "total_bytes", 0)
        if self.reading_ns:
            self._leave(record)
        else:
            self.record = self.content = self.timer = None
            self.in_start = False
        self._exchanges.over(record)

    def _leave(self, record: CallRecord) -> None:
        if self.reading_ns:
            record.body_ns += perf_counter_ns() - self.reading_ns
            self.reading_ns = 0
        # An idle connection keeps the last of its calls: that must not keep a body.
        self.record = self.content = self.timer = None
        self.in_start = False


def begin_exchange(protocol: Any, record: CallRecord, exchanges: Exchanges, req: Any) -> None:
    """Have a connection be there for a call."""
    exchange = exchange_of(protocol)
    if exchange is None:
        exchange = protocol._perftui_call = Exchange(exchanges)
    elif exchange.record is not None:
        exchange.let_go()
    exchange.record = record
    exchange.timer = req._timer


def fail(record: CallRecord, error: BaseException, exchanges: Exchanges, timer: Any) -> None:
    """Note that an exchange came to nothing; `timer` is the session's for it."""
    if isinstance(error, asyncio.CancelledError) and getattr(timer, "_cancelled", False):
        # The session's own time-out cancels the task, and says so only further out.
        error = TimeoutError()
    timed_out = isinstance(error, TimeoutError)
    at_the_pool = timed_out and record.details is not None and record.details.pool_timed_out
    exchanges.failed(record, error, timed_out=timed_out, pool_timed_out=at_the_pool)


def exchange_of(protocol: Any) -> Exchange | None:
    """Return the exchange that a connection is there for, or was last."""
    try:
        exchange = protocol._perftui_call
    except AttributeError:
        return None
    return exchange if type(exchange) is Exchange else None  # a mock has whatever one asks it for


def _is_release(error: BaseException) -> bool:
    """Tell what the library leaves in a body that is released before its end: nothing that has failed.

    Newer ones always leave the same exception, older ones a new one each time.
    """
    return type(error).__name__ == "ClientConnectionError" and error.args == ("Connection closed",)


def _socket_of(protocol: Any) -> Any:
    return protocol.transport.get_extra_info("socket")
