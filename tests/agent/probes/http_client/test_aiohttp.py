"""aiohttp's client against a service that is really there: figures against its own log."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import aiohttp
import aiohttp.web
import pytest
import uvloop
import yarl

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.aiohttp import AiohttpProbe
from perftui_agent.window.window import Window
from perftui_agent.wire.outside import UpstreamFrame
from tests.agent.probes.http_client.conftest import Watched
from tests.support.other_service import OtherService

Session = aiohttp.ClientSession


def in_session(work: Callable[[Session], Awaitable[Any]], **options: Any) -> Any:
    """Run `work` with a session."""

    async def main() -> Any:
        async with Session(**options) as session:
            return await work(session)

    return asyncio.run(main())


def test_calls_are_those_of_the_service(watched: Watched, there: OtherService) -> None:
    """Counts, bytes, errors and times are what the other side has seen; a redirect is a call of its own."""

    async def work(session: Session) -> None:
        for path in (*["/sleep/0.05"] * 3, "/status/503", "/status/404", "/size/10000", "/to/size/5"):
            async with session.get(f"{there.url}{path}") as response:
                await response.read()
        async with session.post(f"{there.url}/size/7", data=b"x" * 100) as response:
            await response.read()

    with watched.request("GET /shop"):
        in_session(work)
    frame = watched.frame()
    row, posted = sorted(frame.upstreams, key=lambda each: each.method)
    asked = there.wait_for(9)

    assert (row.host, row.library) == (there.host, "aiohttp")
    assert row.latency.count == len(asked) - 1 == 8
    assert (row.errors, row.failures, row.timeouts) == (1, {"503": 1}, 0)
    assert row.received_bytes == 3 * 5 + 4 + 4 + 10_000 + 5
    assert row.latency.total / 1e6 >= sum(each.ms for each in asked if each.path.startswith("/sleep")) * 0.95
    assert row.answer.max / 1e6 >= 45.0
    assert row.routes == {"GET /shop": 8}
    assert (row.opened, there.connections, row.requests) == (1, 1, 1)
    assert row.connect is not None
    assert row.connect.count == 1
    assert (posted.method, posted.received_bytes, posted.opened) == ("POST", 7, 0)


def test_what_fails_is_told_by_its_name(watched: Watched, there: OtherService) -> None:
    """A reset, a body that breaks off, a time-out, a closed port: they reach the app, and are counted."""
    seen: list[str] = []

    async def work(session: Session) -> None:
        for url in (
            f"{there.url}/reset",
            f"{there.url}/cut",
            f"{there.url}/sleep/0.5",
            "http://127.0.0.1:1/",
        ):
            try:
                async with session.get(url) as response:
                    await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                seen.append(type(error).__name__)

    with watched.request():
        in_session(work, timeout=aiohttp.ClientTimeout(total=0.2))
    closed, row = sorted(watched.frame().upstreams, key=lambda each: each.host)

    assert seen[1:] == ["ClientPayloadError", "TimeoutError", "ClientConnectorError"]
    assert closed.failures == {"ClientConnectorError": 1}
    # The library asks again on its own when a connection breaks before the answer.
    assert row.failures == {seen[0]: 2, "ClientPayloadError": 1, "TimeoutError": 1}
    assert (row.latency.count, row.errors, row.timeouts, row.pool_timeouts) == (4, 4, 1, 0)
    assert any("test_aiohttp.py" in place for place in row.call_sites)


def test_a_time_out_of_the_body_is_one(watched: Watched, there: OtherService) -> None:
    """Whether the session's total or its socket's: the body that came so far is counted."""

    async def work(session: Session) -> None:
        for timeout in (aiohttp.ClientTimeout(total=0.15), aiohttp.ClientTimeout(sock_read=0.15)):
            with pytest.raises(TimeoutError):
                async with session.get(f"{there.url}/slow/0.6", timeout=timeout) as response:
                    await response.read()

    with watched.request():
        in_session(work)
    row = watched.row()

    assert (row.latency.count, row.timeouts, row.errors, row.cancelled) == (2, 2, 2, 0)
    assert row.received_bytes == 0


def test_a_pool_of_two_is_waited_for(watched: Watched, there: OtherService) -> None:
    """Waiting for the session's own connections is apart from the answer, and its time-outs are told."""

    async def work(session: Session) -> list[Any]:
        async def get(path: str, **options: Any) -> int:
            async with session.get(f"{there.url}{path}", **options) as response:
                await response.read()
                return response.status

        hasty = {"timeout": aiohttp.ClientTimeout(total=5.0, connect=0.1)}
        ended = await asyncio.gather(*[get("/sleep/0.4", **hasty) for _ in range(6)], return_exceptions=True)
        return [*ended, *await asyncio.gather(*[get("/sleep/0.05") for _ in range(4)])]

    async def pooled() -> list[Any]:
        async with Session(connector=aiohttp.TCPConnector(limit=2)) as session:
            return await work(session)

    with watched.request():
        ended = asyncio.run(pooled())
    row = watched.row()

    failed = [each for each in ended if isinstance(each, TimeoutError)]
    assert row.pool_timeouts == row.timeouts == row.errors == len(failed) == 4
    assert row.failures == {"PoolTimeout": 4}
    assert row.pool_wait is not None
    assert row.pool_wait.count == 6
    assert row.pool_wait.max / 1e6 >= 95.0
    assert (row.latency.count, row.answer.count) == (10, 6)
    assert row.opened == there.connections == 2


def test_time_at_the_pool_shows_before_it_is_over(watched: Watched, there: OtherService) -> None:
    """A call that waits for a connection is seen while it does, and what connections there are."""

    async def main() -> UpstreamFrame:
        async with Session(connector=aiohttp.TCPConnector(limit=1)) as session:
            first = asyncio.create_task(session.get(f"{there.url}/sleep/0.2").__aenter__())
            await asyncio.sleep(0.03)
            second = asyncio.create_task(session.get(f"{there.url}/sleep/0").__aenter__())
            await asyncio.sleep(0.05)
            row = watched.row()
            for each in await asyncio.gather(first, second):
                each.release()
            return row

    row = asyncio.run(main())

    assert (row.under_way, row.waiting) == (2, 1)
    assert row.oldest_ns > row.longest_wait_ns > 30_000_000
    assert (row.connections, row.idle, row.limit) == (1, 0, 1)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_answer_that_lies_here_is_no_slow_upstream(
    watched: Watched, there: OtherService, run: Callable[..., Any]
) -> None:
    """While the loop is held the answer waits in the kernel: that is told apart from the upstream's time."""

    async def main() -> None:
        async with Session() as session:
            async with session.get(f"{there.url}/sleep/0") as response:
                await response.read()
            call = asyncio.create_task(session.get(f"{there.url}/sleep/0.05").__aenter__())
            await asyncio.to_thread(there.wait_begun, 2)
            time.sleep(0.5)  # noqa: ASYNC251 - it holds the loop
            (await call).release()

    with watched.request():
        run(main())
    row = watched.row()

    # Where the machine is busy, so may have the other one that came before.
    assert row.held >= 1
    assert row.held_unknown == 0
    assert 350.0 <= row.held_ns / 1e6 <= 520.0
    assert row.answer.max / 1e6 <= 170.0


def test_a_body_takes_as_long_as_is_waited_for_it(watched: Watched, there: OtherService) -> None:
    """What the app does between the parts of a stream is none of the call's time; they are unchanged."""

    async def work(session: Session) -> bytes:
        parts = []
        async with session.get(f"{there.url}/drip/3/0.1") as response:
            async for part in response.content.iter_any():
                parts.append(part)
                await asyncio.sleep(0.02)
        return b"".join(parts)

    with watched.request():
        assert in_session(work) == b"drops" * 3
    row = watched.row()

    assert (row.received_bytes, row.latency.count) == (15, 1)
    assert 150.0 <= row.body_ns / 1e6 <= 320.0


def test_what_is_left_is_counted(watched: Watched, there: OtherService) -> None:
    """Released before its end, thrown away, or without a body: it is one call all the same, and no error."""

    async def work(session: Session) -> None:
        async with session.get(f"{there.url}/drip/5/0.02"):
            pass
        response = await session.get(f"{there.url}/drip/2/0.02")
        del response
        gc.collect()
        await asyncio.sleep(0.1)
        async with session.head(f"{there.url}/size/100") as empty:
            assert await empty.read() == b""

    in_session(work)
    rows = {row.method: row for row in watched.frame().upstreams}

    assert {method: row.latency.count for method, row in rows.items()} == {"GET": 2, "HEAD": 1}
    assert all((row.errors, row.cancelled) == (0, 0) for row in rows.values())


def test_a_call_that_is_given_up_is_no_error(watched: Watched, there: OtherService) -> None:
    """A caller's own time-out cancels it: the library's clean-up runs, and the session goes on."""

    async def work(session: Session) -> int:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(session.get(f"{there.url}/sleep/0.5").__aenter__(), 0.05)
        async with session.get(f"{there.url}/status/200") as response:
            return response.status

    assert in_session(work) == 200
    row = watched.row()

    assert (row.cancelled, row.errors, row.latency.count) == (1, 0, 2)


def test_a_session_for_each_request_is_seen(watched: Watched, there: OtherService) -> None:
    """Each brings connections of its own; a session of its own over a connector that all share is none."""

    async def alone(_: Any) -> None:
        async with Session() as session, session.get(f"{there.url}/here"):
            pass

    async def shared(connector: Any) -> None:
        async with (
            Session(connector=connector, connector_owner=False) as session,
            session.get(f"{there.url}/here") as response,
        ):
            await response.read()

    async def requests(work: Callable[[Any], Awaitable[None]]) -> None:
        async with aiohttp.TCPConnector() as connector:
            for _ in range(4):
                with watched.request():
                    await work(connector)

    asyncio.run(requests(alone))
    assert (row := watched.row()).clients == row.requests == row.opened == 4
    asyncio.run(requests(shared))
    row = watched.row()

    assert (row.clients, row.opened, row.requests) == (1, 1, 4)


def test_a_session_made_before_is_seen(there: OtherService) -> None:
    """The probe may come while a session has connections already; taken away, all is as before."""

    def methods() -> list[Any]:
        return [
            vars(aiohttp.BaseConnector)["connect"],
            vars(aiohttp.ClientResponse)["start"],
            vars(aiohttp.StreamReader)["_wait"],
            vars(aiohttp.TCPConnector)["_create_connection"],
            sys.modules["aiohappyeyeballs"].start_connection,
        ]

    before = methods()

    async def work(session: Session) -> int:
        async def get() -> None:
            async with session.get(f"{there.url}/sleep/0.01") as response:
                await response.read()

        await get()
        window = Window()
        window.take()
        window.open = True
        probe = AiohttpProbe(window, Guard())
        probe.attach()
        await get()
        assert not any(ours is theirs for ours, theirs in zip(methods(), before, strict=True))
        probe.detach()
        await get()
        window.fold_pending()
        return window.close(seq=1, ended_at_ns=1, span_ns=1).upstreams[0].latency.count

    assert in_session(work) == 1
    assert methods() == before


def test_nothing_of_a_call_is_kept(watched: Watched, there: OtherService) -> None:
    """An idle connection does not keep the answer that came over it last."""

    async def work(session: Session) -> list[Any]:
        async with session.get(f"{there.url}/size/100") as response:
            await response.read()
            kept = [weakref.ref(response)]
        del response
        await asyncio.sleep(0)
        return [ref() for ref in kept]

    assert in_session(work) == [None]


def test_a_connection_lost_sight_of_leaves_no_call_under_way(watched: Watched, there: OtherService) -> None:
    """Collected unclosed, it tells nobody; as the library closes what it kept, the call is over."""

    async def work(session: Session) -> int:
        loop = asyncio.get_running_loop()
        request = aiohttp.ClientRequest("GET", yarl.URL(f"{there.url}/here"), loop=loop)
        assert session.connector is not None
        connection = await session.connector.connect(request, [], aiohttp.ClientTimeout())
        under_way = watched.row().under_way
        with pytest.warns(ResourceWarning, match="Unclosed connection"):
            del connection
        return under_way

    assert in_session(work) == 1
    row = watched.row()

    assert (row.under_way, row.latency.count) == (0, 1)


def test_a_web_socket_is_answered_and_no_call_under_way(watched: Watched) -> None:
    """The head that opens it is one call; what follows may go on for days."""

    async def main() -> UpstreamFrame:
        async def echo(request: Any) -> Any:
            socket = aiohttp.web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(message.data)
            return socket

        app = aiohttp.web.Application()
        app.router.add_get("/", echo)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with Session() as session, session.ws_connect(f"http://127.0.0.1:{port}/") as socket:
            await socket.send_str("hello")
            assert (await socket.receive()).data == "hello"
            row = watched.row()
        await runner.cleanup()
        return row

    row = asyncio.run(main())

    assert (row.latency.count, row.errors, row.under_way) == (1, 0, 0)


def test_without_aiohttp_there_is_nothing_to_do() -> None:
    """The probe imports nothing, says so, and is asked again."""
    code = """
import sys
from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.aiohttp import AiohttpProbe
from perftui_agent.window.window import Window
probe = AiohttpProbe(Window(), Guard())
assert probe.attach() == "off: not imported", probe.attach()
assert "aiohttp" not in sys.modules
import aiohttp
import aiohttp.web
assert probe.attach() == "on"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_app_s_mocks_are_left_alone(watched: Watched) -> None:
    """Whatever they are asked for they have: none of it is taken for ours."""

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        body = aiohttp.StreamReader(mock.Mock(), 2**16, loop=loop)
        loop.call_soon(body.feed_data, b"here")
        loop.call_soon(body.feed_eof)
        return await body.read()

    assert asyncio.run(main()) == b"here"
    assert watched.frame().upstreams == []
