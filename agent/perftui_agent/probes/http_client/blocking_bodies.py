"""Stands between urllib3 and the body of an answer, which is http.client's: what is read of it is counted.

Whatever is asked beyond that goes to the body itself, as with what cachecontrol, for one, puts there. urllib3
takes chunks apart on its own, through the connection's file beneath: so that is stood before as well. An
exchange is over when its body has been read to the end, was closed, failed, or was thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from http.client import IncompleteRead
from time import perf_counter_ns
from typing import Any

from perftui_agent.probes.http_client.exchanges import Exchanges
from perftui_agent.records import CallRecord

_AFTER_A_CHUNK = b"\r\n"
"""Read with each chunk; as a line, it comes after the last and what trails that."""


class CountedFile:
    """The body of an answer."""

    __slots__ = ("__weakref__", "_body", "_exchanges", "_record", "isclosed")

    def __init__(self, body: Any, record: CallRecord, exchanges: Exchanges) -> None:
        self._body = body
        self.isclosed = body.isclosed
        """urllib3 asks for it up to four times an answer: looked up in vain here first, each took a µs."""
        self._record: CallRecord | None = record
        self._exchanges = exchanges

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._body.__reduce_ex__(protocol)  # a copy is one of theirs, if there can be any

    def __del__(self) -> None:
        if self._record is not None:
            self._over()

    @property
    def fp(self) -> Any:
        """The connection's file, from which chunks are taken; None when the body is closed."""
        file = self._body.fp
        return file if file is None or self._record is None else _CountedLines(file, self)

    @property
    def closed(self) -> bool:
        """Whether it has been closed, as files are asked."""
        return self._body.closed  # type: ignore[no-any-return]

    def read(self, amount: int | None = None) -> bytes:
        """Read so much, or all."""
        if self._record is None:
            return self._body.read(amount)  # type: ignore[no-any-return]
        return self._counted(self._body.read, amount)

    def read1(self, amount: int = -1) -> bytes:
        """Read what there is, but no more than so much."""
        if self._record is None:
            return self._body.read1(amount)  # type: ignore[no-any-return]
        return self._counted(self._body.read1, amount)

    def _safe_read(self, amount: int) -> bytes:
        if self._record is None:
            return self._body._safe_read(amount)  # type: ignore[no-any-return]
        return self._counted(self._body._safe_read, amount)

    def close(self) -> None:
        """Close the body."""
        try:
            self._body.close()
        finally:
            if self._record is not None:
                self._over()

    def _counted(self, read: Callable[[Any], bytes], amount: int | None) -> bytes:
        started_ns = perf_counter_ns()
        try:
            part = read(amount)
        except BaseException as error:
            self._failed(error, perf_counter_ns() - started_ns)
            raise
        record = self._record
        if record is not None:
            record.body_ns += perf_counter_ns() - started_ns
            if part != _AFTER_A_CHUNK:
                record.received_bytes += len(part)
            if self._body.fp is None:
                if not part and amount and self._body.length:
                    self._failed(IncompleteRead(b""), 0)
                else:
                    self._over()
        return part

    def _line(self, read: Callable[..., bytes], args: tuple[Any, ...]) -> bytes:
        started_ns = perf_counter_ns()
        try:
            line = read(*args)
        except BaseException as error:
            self._failed(error, perf_counter_ns() - started_ns)
            raise
        record = self._record
        if record is not None:
            record.body_ns += perf_counter_ns() - started_ns
            if line == _AFTER_A_CHUNK:
                self._over()
            elif not line:
                self._failed(IncompleteRead(b""), 0)
        return line

    def _over(self) -> None:
        record = self._record
        if record is not None:
            self._record = None
            self._exchanges.over(record)

    def _failed(self, error: BaseException, ns: int) -> None:
        record = self._record
        if record is not None:
            self._record = None
            record.body_ns += ns
            self._exchanges.failed(record, error, timed_out=isinstance(error, TimeoutError))


class _CountedLines:
    """The connection's file, of which the lines between chunks are read."""

    __slots__ = ("_body", "_file")

    def __init__(self, file: Any, body: CountedFile) -> None:
        self._file = file
        self._body = body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def readline(self, *args: Any) -> bytes:
        """Read the length of a chunk, or what trails the last."""
        return self._body._line(self._file.readline, args)
