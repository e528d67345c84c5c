"""Bodies of ours in the place of httpcore's, on a loop: around theirs, or standing in for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpcore
import httpcore2
import pytest

from perftui_agent.probes.http_client.bodies import _does_the_same, _Known, counted_async_class
from perftui_agent.records import CallRecord


class Source:
    """What a body reads from: parts, then an end, an error, or nothing any more."""

    def __init__(self, end: str) -> None:
        self.end = end
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield b"part"
        if self.end == "breaks":
            try:
                raise KeyError("beneath")
            except KeyError as error:
                raise ConnectionError("cut") from error
        if self.end == "hangs":
            await asyncio.Event().wait()


class Body:
    """What httpcore's does, by code of our own."""

    def __init__(self, stream: Source) -> None:
        self._stream = stream

    async def aclose(self) -> None:
        self._stream.closed += 1
        await asyncio.sleep(0)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            async for part in self._stream:
                yield part
        except BaseException as exc:
            await self.aclose()
            raise exc from None


class OtherBody(Body):
    """The same, by other code."""

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            async for each in self._stream:
                yield each
        except BaseException as error:
            await self.aclose()
            raise error from None


class Told:
    """Takes what is told of an exchange."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []

    def over(self, record: CallRecord) -> None:
        self.said.append(("over", record.received_bytes))

    def failed(self, record: CallRecord, error: BaseException, **_: bool) -> None:
        self.said.append((type(error).__name__, record.received_bytes))


async def read(body: Any, how: str) -> list[Any]:
    """Read a body as an app does; return what it sees."""
    seen: list[Any] = []
    parts = body.__aiter__()

    async def all_of_them() -> None:
        async for part in parts:
            seen.append(part)

    cancelled = (asyncio.CancelledError,) if how == "cancelled" else ()
    try:
        if how == "left":
            seen.append(await anext(parts))
            await parts.aclose()
        elif how == "cancelled":
            reading = asyncio.create_task(all_of_them())
            for _ in range(5):
                await asyncio.sleep(0)
            reading.cancel()
            await reading
        else:
            await all_of_them()
            await body.aclose()
    except (Exception, *cancelled) as error:  # noqa: BLE001 - whatever the app gets
        seen += [repr(error), error.__cause__, error.__suppress_context__]
    return [*seen, body._stream.closed]


WAYS = [("", "read"), ("", "left"), ("breaks", "read"), ("hangs", "cancelled")]


@pytest.mark.parametrize(("end", "how"), WAYS)
@pytest.mark.parametrize("theirs", [Body, OtherBody])
def test_the_app_sees_what_it_does_without_us(theirs: type[Body], end: str, how: str) -> None:
    """Parts, errors with their causes, how often it is closed; and of each exchange it is told once."""

    async def main() -> None:
        told: Any = Told()
        ours = counted_async_class(theirs, told)(Source(end))
        ours._perftui_call = CallRecord()
        ours._perftui_call.body_ns = ours._perftui_call.received_bytes = 0
        unwatched = counted_async_class(theirs, told)(Source(end))
        bare = await read(theirs(Source(end)), how)
        assert await read(ours, how) == await read(unwatched, how) == bare
        outcome = {"breaks": "ConnectionError", "hangs": "CancelledError"}.get(end, "over")
        assert told.said == [(outcome, 4 if how == "left" else 8)]

    asyncio.run(main())


def test_the_bodies_of_today_are_known_and_no_others() -> None:
    """Those of httpcore as it is installed; what httpcore2 does is other code."""
    assert _does_the_same(httpcore._async.connection_pool.PoolByteStream.__aiter__, _Known.__aiter__)
    theirs = httpcore2._async.connection_pool.PoolByteStream
    assert not _does_the_same(theirs.__aiter__, _Known.__aiter__)
    assert _does_the_same(Body.__aiter__, _Known.__aiter__)
    assert not _does_the_same(OtherBody.__aiter__, _Known.__aiter__)
    assert not _does_the_same(object(), _Known.__aiter__)
