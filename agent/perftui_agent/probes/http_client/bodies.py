"""Stands between httpx and the body of an answer: its parts are counted, and pass unchanged.

What is asked beyond that goes to the body itself. An exchange is over when its body has been read to the end,
was closed, failed, or was thrown away. Iterators are objects of their own and hold theirs alone, so that one
that is dropped half-way ends as it would without us. Written out, since each call costs as much as what it
does here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from time import perf_counter_ns
from typing import Any

from perftui_agent.probes.http_client.exchanges import Exchanges
from perftui_agent.records import CallRecord


class _Body:
    """What bodies have in common, sync and async."""

    __slots__ = ("__weakref__", "_body", "_exchanges", "_record")

    def __init__(self, body: Any, record: CallRecord, exchanges: Exchanges) -> None:
        self._body = body
        self._record: CallRecord | None = record
        self._exchanges = exchanges

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._body.__reduce_ex__(protocol)  # a copy is one of theirs, if there can be any

    def __del__(self) -> None:
        if self._record is not None:
            self._over()

    def _over(self) -> None:
        record = self._record
        if record is not None:
            self._record = None
            self._exchanges.over(record)

    def _failed(self, error: BaseException) -> None:
        record = self._record
        if record is not None:
            self._record = None
            self._exchanges.failed(record, error, timed_out="Timeout" in type(error).__name__)


class CountedBody(_Body):
    """The body of an answer, read in a thread."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        """Return the parts; theirs are a generator as well."""
        started_ns = perf_counter_ns()
        try:
            for part in self._body:
                record = self._record
                if record is not None:
                    record.body_ns += perf_counter_ns() - started_ns
                    record.received_bytes += len(part)
                yield part
                started_ns = perf_counter_ns()
        except GeneratorExit:
            raise  # whoever reads goes away; the body will be closed, or thrown away
        except BaseException as error:
            if self._record is not None:
                self._record.body_ns += perf_counter_ns() - started_ns
                self._failed(error)
            raise
        if self._record is not None:
            self._record.body_ns += perf_counter_ns() - started_ns
            self._over()

    def close(self) -> None:
        """Close the body."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            if self._record is not None:
                self._over()


class CountedAsyncBody(_Body):
    """The body of an answer, read on a loop."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _AsyncParts(self, self._body.__aiter__())

    async def aclose(self) -> None:
        """Close the body."""
        try:
            if hasattr(self._body, "aclose"):
                await self._body.aclose()
        finally:
            if self._record is not None:
                self._over()


class _AsyncParts:
    """The parts as they come."""

    __slots__ = ("_body", "_parts")

    def __init__(self, body: CountedAsyncBody, parts: AsyncIterator[bytes]) -> None:
        self._body = body
        self._parts = parts

    def __aiter__(self) -> _AsyncParts:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parts, name)

    async def __anext__(self) -> bytes:
        body = self._body
        started_ns = perf_counter_ns()
        try:
            part = await self._parts.__anext__()
        except StopAsyncIteration:
            if (record := body._record) is not None:
                record.body_ns += perf_counter_ns() - started_ns
                body._over()
            raise
        except BaseException as error:
            if (record := body._record) is not None:
                record.body_ns += perf_counter_ns() - started_ns
                body._failed(error)
            raise
        if (record := body._record) is not None:
            record.body_ns += perf_counter_ns() - started_ns
            record.received_bytes += len(part)
        return part
