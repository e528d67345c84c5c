"""The answers urllib3 reads, http.client's: a class of them that tells when the head and the body have come.

urllib3's connections make their answers of a class that they name. Ours stands in its place, as a class of
that class: nothing is between urllib3 and what it asks, and only what waits for the network is timed. An
exchange is over when its body has been read to the end, was closed, failed, or was thrown away, which all
lead to `_close_conn`. urllib3 takes chunks apart on its own, through the connection's file beneath: of a body
in chunks, that is stood before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from http.client import IncompleteRead
from time import perf_counter_ns
from typing import Any

from perftui_agent.probes.http_client.exchanges import Exchanges
from perftui_agent.records import CallRecord

_AFTER_A_CHUNK = b"\r\n"
"""Read with each chunk; as a line, it comes after the last and what trails that."""


def counted_class(theirs: Any, now: ContextVar[CallRecord | None], exchanges: Exchanges) -> Any:
    """Return a class of answers as `theirs`, each for the exchange that goes on as its head is read."""
    begin, close = theirs.begin, theirs._close_conn
    read1 = _timed(theirs.read1, exchanges)

    class HTTPResponse(theirs):  # type: ignore[misc]
        """The body of an answer; with a record as long as that is not over, nor being read right now."""

        fp: Any
        _perftui_call: CallRecord | None = None

        def begin(self) -> None:
            """Read the head."""
            begin(self)
            record = now.get()
            if record is None or record.answered_ns or record.ended_ns or self.fp is None:
                return
            self._perftui_call = record
            exchanges.answered(record, self.status, _socket_of, self)
            if self.chunked:
                self.fp = _Chunks(self.fp, self, exchanges)

        read = _timed(theirs.read, exchanges)

        def read1(self, n: int = -1) -> bytes:
            """Read what there is, but no more than so much."""
            return read1(self, n)

        def _close_conn(self) -> None:
            """Let go of the connection's file."""
            close(self)
            record = self._perftui_call
            if record is not None:
                self._perftui_call = None
                exchanges.over(record)

        def __reduce_ex__(self, protocol: Any) -> Any:
            """Be copied as one of theirs."""
            how, (_, *arguments), state, *rest = super().__reduce_ex__(protocol)
            state = {name: value for name, value in state.items() if name != "_perftui_call"}
            return (how, (theirs, *arguments), state, *rest)

    HTTPResponse.__module__, HTTPResponse.__qualname__ = theirs.__module__, theirs.__qualname__
    return HTTPResponse


def _timed(original: Callable[..., bytes], exchanges: Exchanges) -> Callable[..., bytes]:
    """Return how a part of the body is read, with its time and size."""

    def read(body: Any, amt: int | None = None) -> bytes:
        record = body._perftui_call
        if record is None:
            return original(body, amt)
        # Whatever this leads to beneath is no more than this.
        body._perftui_call = None
        started_ns = perf_counter_ns()
        try:
            part = original(body, amt)
        except BaseException as error:
            record.body_ns += perf_counter_ns() - started_ns
            exchanges.failed(record, error, timed_out=isinstance(error, TimeoutError))
            raise
        record.body_ns += perf_counter_ns() - started_ns
        record.received_bytes += len(part)
        if body.fp is not None:
            body._perftui_call = record
        elif not part and amt and body.length:
            exchanges.failed(record, IncompleteRead(b""))
        else:
            exchanges.over(record)
        return part

    return read


class _Chunks:
    """The connection's file, of which urllib3 reads the chunks and the lines between them."""

    __slots__ = ("_body", "_exchanges", "_file")

    def __init__(self, file: Any, body: Any, exchanges: Exchanges) -> None:
        self._file = file
        self._body = body
        self._exchanges = exchanges

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, amount: int = -1) -> bytes:
        """Read a chunk, or a part of it, or what comes after it."""
        record = self._body._perftui_call
        if record is None:
            return self._file.read(amount)  # type: ignore[no-any-return]
        part = self._timed(record, self._file.read, (amount,))
        if len(part) < amount:
            self._failed(record, IncompleteRead(part, amount - len(part)))
        elif part != _AFTER_A_CHUNK:
            record.received_bytes += len(part)
        return part

    def readline(self, *args: Any) -> bytes:
        """Read the length of a chunk, or what trails the last."""
        record = self._body._perftui_call
        if record is None:
            return self._file.readline(*args)  # type: ignore[no-any-return]
        line = self._timed(record, self._file.readline, args)
        if not line:
            self._failed(record, IncompleteRead(b""))
        elif line == _AFTER_A_CHUNK:
            self._body._perftui_call = None
            self._exchanges.over(record)
        return line

    def _timed(self, record: CallRecord, read: Callable[..., bytes], args: tuple[Any, ...]) -> bytes:
        started_ns = perf_counter_ns()
        try:
            return read(*args)
        except BaseException as error:
            self._failed(record, error)
            raise
        finally:
            record.body_ns += perf_counter_ns() - started_ns

    def _failed(self, record: CallRecord, error: BaseException) -> None:
        self._body._perftui_call = None
        self._exchanges.failed(record, error, timed_out=isinstance(error, TimeoutError))


def _socket_of(body: Any) -> Any:
    return body.fp.raw._sock
