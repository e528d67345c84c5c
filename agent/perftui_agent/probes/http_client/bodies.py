"""The bodies of httpcore's answers: classes of them that tell how much came, and how long it was waited for.

A pool makes its bodies of a class that its module names. Ours stands in its place, as a class of that class:
nothing is between the library and what it reads. An exchange is over when its body has been read to the end,
was closed, failed, or was thrown away. While a part is read the body doesn't know its call, for the library
closes a body that fails before it says so.

On a loop a generator around a generator costs more than all else that is done with a call: a fifth of it. (An
iterator that is an object with a coroutine for each part costs twice that.) So where theirs is, to the last
byte of its code, the one that is known here, ours does in its place what it does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter_ns
from typing import Any

from perftui_agent.probes.http_client.exchanges import Exchanges
from perftui_agent.records import CallRecord


def counted_class(theirs: Any, exchanges: Exchanges) -> Any:
    """Return a class of bodies that are read in a thread."""
    iterate: Callable[[Any], Iterator[bytes]] = theirs.__iter__
    close: Callable[[Any], None] = theirs.close

    class PoolByteStream(theirs):  # type: ignore[misc]
        """The body of an answer; with a record as long as that is not over, nor being read right now."""

        _perftui_call: CallRecord | None = None

        def __iter__(self) -> Iterator[bytes]:
            """Return the parts; theirs are a generator as well."""
            record, self._perftui_call = self._perftui_call, None
            started_ns = perf_counter_ns()
            try:
                for part in iterate(self):
                    if record is not None:
                        record.body_ns += perf_counter_ns() - started_ns
                        record.received_bytes += len(part)
                        self._perftui_call = record
                    yield part
                    record, self._perftui_call = self._perftui_call, None
                    started_ns = perf_counter_ns()
            except GeneratorExit:
                raise  # whoever reads goes away; the body will be closed, or thrown away
            except BaseException as error:
                self._perftui_call = None
                if record is not None:
                    _failed(record, error, started_ns, exchanges)
                raise
            if record is not None:
                record.body_ns += perf_counter_ns() - started_ns
                exchanges.over(record)

        def close(self) -> None:
            """Close the body."""
            try:
                close(self)
            finally:
                self._perftui_over()

        def _perftui_over(self) -> None:
            record = self._perftui_call
            if record is not None:
                self._perftui_call = None
                exchanges.over(record)

        __del__ = _perftui_over

    PoolByteStream.__module__, PoolByteStream.__qualname__ = theirs.__module__, theirs.__qualname__
    return PoolByteStream


def counted_async_class(theirs: Any, exchanges: Exchanges) -> Any:
    """Return a class of bodies that are read on a loop."""
    iterate: Callable[[Any], Any] = theirs.__aiter__
    aclose: Callable[[Any], Any] = theirs.aclose
    stands_in = _does_the_same(iterate, _Known.__aiter__)

    class PoolByteStream(theirs):  # type: ignore[misc]
        """The body of an answer; with a record as long as that is not over, nor being read right now."""

        _perftui_call: CallRecord | None = None

        async def __aiter__(self) -> AsyncIterator[bytes]:
            """Return the parts; theirs are a generator as well."""
            record, self._perftui_call = self._perftui_call, None
            parts = self._stream if stands_in else iterate(self)
            started_ns = perf_counter_ns()
            try:
                async for part in parts:
                    if record is not None:
                        record.body_ns += perf_counter_ns() - started_ns
                        record.received_bytes += len(part)
                        self._perftui_call = record
                    yield part
                    record, self._perftui_call = self._perftui_call, None
                    started_ns = perf_counter_ns()
            except GeneratorExit as left:
                # Whoever reads goes away; the body will be closed, or thrown away. Theirs ends as without us.
                if not stands_in:
                    await parts.aclose()
                    raise
                await self.aclose()
                raise left from None
            except BaseException as error:
                self._perftui_call = None
                if record is not None:
                    _failed(record, error, started_ns, exchanges)
                if not stands_in:
                    raise
                await self.aclose()
                raise error from None
            if record is not None:
                record.body_ns += perf_counter_ns() - started_ns
                exchanges.over(record)

        def aclose(self) -> Any:
            """Close the body."""
            record = self._perftui_call
            if record is not None:
                self._perftui_call = None
                exchanges.over(record)
            return aclose(self)

        def _perftui_over(self) -> None:
            record = self._perftui_call
            if record is not None:
                self._perftui_call = None
                exchanges.over(record)

        __del__ = _perftui_over

    PoolByteStream.__module__, PoolByteStream.__qualname__ = theirs.__module__, theirs.__qualname__
    return PoolByteStream


class _Known:
    """The bodies of httpcore from 1.0.3 on, as far as reading them goes: compared, and never made."""

    _stream: Any
    aclose: Any

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except BaseException as exc:
            await self.aclose()
            raise exc from None


def _does_the_same(one: Any, other: Any) -> bool:
    """Tell whether two functions have the same code."""
    codes = getattr(one, "__code__", None), getattr(other, "__code__", None)
    first, second = ([getattr(code, name, None) for name in _CODE] for code in codes)
    return None not in codes and first == second


_CODE = ("co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_flags", "co_exceptiontable")


def _failed(record: CallRecord, error: BaseException, since_ns: int, exchanges: Exchanges) -> None:
    record.body_ns += perf_counter_ns() - since_ns
    exchanges.failed(record, error, timed_out="Timeout" in type(error).__name__)
