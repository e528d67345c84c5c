"""httpx and httpx2, sync and async, against a service that is really there: figures against its own log."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest
import uvloop

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.httpx import HttpxProbe
from perftui_agent.window.window import Window
from perftui_agent.wire.outside import UpstreamFrame
from tests.agent.probes.http_client.conftest import Watched
from tests.support.other_service import OtherService

Library = Any
Get = Callable[[str], Awaitable[Any]]

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
SIDES = pytest.mark.parametrize("side", ["sync", "async"])


def calling(library: Library, side: str, work: Callable[[Get], Awaitable[None]], **options: Any) -> None:
    """Run `work` with a way to ask for a URL, through a client of either side."""

    async def on_a_loop() -> None:
        async with library.AsyncClient(**options) as client:
            await work(client.get)

    async def in_a_thread() -> None:
        with library.Client(**options) as client:

            async def get(url: str) -> Any:
                return client.get(url)

            await work(get)

    asyncio.run(on_a_loop() if side == "async" else in_a_thread())


@LIBRARIES
@SIDES
def test_calls_are_those_of_the_service(
    watched: Watched, there: OtherService, library: Library, side: str
) -> None:
    """Counts, bytes, errors and times are what the other side has seen; a redirect is a call of its own."""

    async def work(get: Get) -> None:
        for _ in range(3):
            await get(f"{there.url}/sleep/0.05")
        await get(f"{there.url}/status/503")
        await get(f"{there.url}/status/404")
        await get(f"{there.url}/size/10000")
        await get(f"{there.url}/to/size/5")

    with watched.request("GET /shop"):
        calling(library, side, work, follow_redirects=True)
    row = watched.row()
    asked = there.wait_for(8)

    assert (row.host, row.library) == (there.host, library.__name__)
    assert row.latency.count == len(asked) == 8
    assert (row.errors, row.failures, row.timeouts) == (1, {"503": 1}, 0)
    assert row.received_bytes == 3 * 5 + 4 + 4 + 10_000 + 5
    assert row.latency.total / 1e6 >= sum(each.ms for each in asked if each.path.startswith("/sleep")) * 0.95
    assert row.answer.max / 1e6 >= 45.0
    assert row.routes == {"GET /shop": 8}
    assert (row.opened, there.connections, row.requests) == (1, 1, 1)
    assert row.connect is not None
    assert row.connect.count == 1


@LIBRARIES
@SIDES
def test_what_fails_is_told_by_its_name(
    watched: Watched, there: OtherService, library: Library, side: str
) -> None:
    """A reset, a body that breaks off and a time-out reach the app as they are, and are counted."""
    seen: list[str] = []

    async def work(get: Get) -> None:
        for path in ("/reset", "/cut", "/sleep/0.5"):
            try:
                await get(f"{there.url}{path}")
            except library.HTTPError as error:
                seen.append(type(error).__name__)

    with watched.request():
        calling(library, side, work, timeout=0.15)
    row = watched.row()

    assert seen == ["ReadError", "RemoteProtocolError", "ReadTimeout"]
    assert row.failures == dict.fromkeys(seen, 1)
    assert (row.latency.count, row.errors, row.timeouts, row.pool_timeouts) == (3, 3, 1, 0)
    assert any("test_httpx.py" in place for place in row.call_sites)


@LIBRARIES
def test_a_pool_of_two_is_waited_for(watched: Watched, there: OtherService, library: Library) -> None:
    """Waiting for the client's own connections is apart from the answer, and its time-outs are told."""

    async def main() -> list[Any]:
        options = {"limits": library.Limits(max_connections=2), "timeout": library.Timeout(5.0, pool=0.1)}
        async with library.AsyncClient(**options) as client:
            calls = [client.get(f"{there.url}/sleep/0.4") for _ in range(6)]
            ended = await asyncio.gather(*calls, return_exceptions=True)
            patient = [client.get(f"{there.url}/sleep/0.05") for _ in range(4)]
            return [*ended, *await asyncio.gather(*patient)]

    with watched.request():
        ended = asyncio.run(main())
    row = watched.row()

    failed = [each for each in ended if isinstance(each, library.PoolTimeout)]
    assert row.pool_timeouts == row.timeouts == row.errors == len(failed) == 4
    assert row.pool_wait is not None
    assert row.pool_wait.count == 6
    assert row.pool_wait.max / 1e6 >= 95.0
    assert (row.latency.count, row.answer.count) == (10, 6)


def test_time_at_the_pool_shows_before_it_is_over(watched: Watched, there: OtherService) -> None:
    """A call that waits for a connection is seen while it does."""

    async def main() -> UpstreamFrame:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as client:
            first = asyncio.create_task(client.get(f"{there.url}/sleep/0.2"))
            await asyncio.sleep(0.03)
            second = asyncio.create_task(client.get(f"{there.url}/sleep/0"))
            await asyncio.sleep(0.05)
            row = watched.row()
            await asyncio.gather(first, second)
            return row

    row = asyncio.run(main())

    assert (row.under_way, row.waiting) == (2, 1)
    assert row.oldest_ns > row.longest_wait_ns > 30_000_000


def test_a_client_at_rest_lends_nobody_its_connections(watched: Watched, there: OtherService) -> None:
    """Who waits for a client of two may not take one of the hundred of another, which is idle."""

    async def main() -> list[int | None]:
        async with (
            httpx.AsyncClient() as idle,
            httpx.AsyncClient(limits=httpx.Limits(max_connections=2)) as one,
        ):
            await idle.get(f"{there.url}/sleep/0")
            before = watched.row().limit
            calls = [asyncio.create_task(one.get(f"{there.url}/sleep/0.3")) for _ in range(4)]
            while there.begun < 3:  # noqa: ASYNC110 - it is told in a thread
                await asyncio.sleep(0.01)
            row = watched.row()
            assert (row.connections, row.idle) == (3, 1)
            await asyncio.gather(*calls)
            return [before, row.limit, watched.row().limit]

    assert asyncio.run(main()) == [100, 2, 102]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_answer_that_lies_here_is_no_slow_upstream(
    watched: Watched, there: OtherService, run: Callable[..., Any]
) -> None:
    """While the loop is held the answer waits in the kernel: that is told apart from the upstream's time."""

    async def main() -> None:
        async with httpx.AsyncClient() as client:
            await client.get(f"{there.url}/sleep/0")
            call = asyncio.create_task(client.get(f"{there.url}/sleep/0.05"))
            await asyncio.to_thread(there.wait_begun, 2)
            time.sleep(0.5)  # noqa: ASYNC251 - it holds the loop
            await call

    with watched.request():
        run(main())
    frame = watched.frame()
    (row,) = frame.upstreams
    (route,) = frame.routes

    assert row.held >= 1
    assert 350.0 <= row.held_ns / 1e6 <= 520.0
    assert row.latency.max / 1e6 >= 490.0
    assert row.answer.max / 1e6 <= 170.0
    assert route.http_held_ns == row.held_ns
    assert route.http_ns / 1e6 <= 200.0


def test_calls_at_once_take_no_longer_than_one(watched: Watched, there: OtherService) -> None:
    """A route's time is that in which at least one call was under way; their own times add up besides."""

    async def main() -> None:
        async with httpx.AsyncClient() as client:
            await asyncio.gather(*[client.get(f"{there.url}/sleep/0.2/{n}") for n in range(5)])

    with watched.request("GET /fan"):
        asyncio.run(main())
    frame = watched.frame()
    (row,), (route,) = frame.upstreams, frame.routes

    assert route.http_count == 5
    assert 195.0 <= (route.http_ns + route.http_held_ns) / 1e6 <= 600.0
    assert row.spent["GET /fan"] / 1e6 >= 990.0
    (repeats,) = row.repeats
    assert (repeats.route, repeats.calls, repeats.distinct, repeats.most) == ("GET /fan", 5, 5, 5)


def test_a_body_takes_as_long_as_is_waited_for_it(watched: Watched, there: OtherService) -> None:
    """What the app does between the parts of a stream is none of the call's time; they are unchanged."""
    with watched.request(), httpx.Client() as client:
        with client.stream("GET", f"{there.url}/drip/3/0.05") as response:
            parts = []
            for part in response.iter_raw():
                parts.append(part)
                time.sleep(0.2)
        assert b"".join(parts) == b"drops" * 3
    row = watched.row()

    assert row.received_bytes == 15
    assert row.latency.max / 1e6 < 500.0
    assert row.latency.count == 1


def test_a_stream_that_is_left_is_counted(watched: Watched, there: OtherService) -> None:
    """Closed before its end, or thrown away, it is one call all the same."""
    with httpx.Client() as client:
        with client.stream("GET", f"{there.url}/drip/5/0.01"):
            pass
        response = client.send(client.build_request("GET", f"{there.url}/size/10"), stream=True)
        del response
        gc.collect()
    row = watched.row()

    assert (row.latency.count, row.errors, row.cancelled) == (2, 0, 0)


def test_a_call_that_is_given_up_is_no_error(watched: Watched, there: OtherService) -> None:
    """A caller's own time-out cancels it: the library's clean-up runs, and the client goes on."""

    async def main() -> int:
        async with httpx.AsyncClient() as client:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.get(f"{there.url}/sleep/0.5"), 0.05)
            return (await client.get(f"{there.url}/status/200")).status_code

    assert asyncio.run(main()) == 200
    row = watched.row()

    assert (row.cancelled, row.errors, row.latency.count) == (1, 0, 2)


def test_what_failed_and_is_asked_again_is_a_retry(watched: Watched, there: OtherService) -> None:
    """Within one request, for the same thing; another request that asks for it is none."""
    with httpx.Client() as client:
        with watched.request():
            assert [client.get(f"{there.url}/flaky/a").status_code for _ in range(2)] == [503, 200]
            client.get(f"{there.url}/flaky/b")
        with watched.request():
            client.get(f"{there.url}/flaky/b")
    row = watched.row()

    assert (row.latency.count, row.errors, row.retries) == (4, 2, 1)


def test_a_client_for_each_request_is_seen(watched: Watched, there: OtherService) -> None:
    """Each brings a client of its own; one that all share is new but once."""
    for _ in range(4):
        with watched.request():
            httpx.get(f"{there.url}/here")
    assert (row := watched.row()).clients == row.requests == row.opened == 4
    with httpx.Client() as client:
        for _ in range(4):
            with watched.request():
                client.get(f"{there.url}/here")
    row = watched.row()

    assert (row.clients, row.opened, row.requests) == (1, 1, 4)


def test_a_story_tells_the_shape_of_the_path_alone(watched: Watched, there: OtherService) -> None:
    """Ids, names of people and queries stay here; words of the service's own are told."""
    with watched.request(), httpx.Client() as client:
        for who in ("7", "alice", "5f2b1c5e-aaaa-4444-8888-0123456789ab"):
            client.get(f"{there.url}/users/{who}/orders?token=secret", headers={"x-key": "hidden"})
    (slow,) = watched.frame().slowest
    (span,) = slow.spans

    assert (span.kind, span.count) == ("http", 3)
    assert span.name == f"GET {there.host}/users/{{…}}/orders"


def test_mocks_go_to_no_network(watched: Watched) -> None:
    """A mock transport's answers are no calls."""
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        client.get("http://nowhere.invalid/")

    assert watched.frame().upstreams == []


def test_the_app_s_own_trace_hears_all(watched: Watched, there: OtherService) -> None:
    """What the app is told by the `trace` extension is as without us, and its request is unchanged."""

    def events() -> tuple[list[str], dict[str, Any]]:
        heard: list[str] = []
        with httpx.Client() as client:
            request = client.build_request(
                "GET", f"{there.url}/here", extensions={"trace": lambda name, _info: heard.append(name)}
            )
            client.send(request)
            client.send(request)
        return heard, {name: type(value) for name, value in request.extensions.items()}

    with_us = events()
    for probe in watched.probes:
        probe.detach()

    assert with_us == events()


def test_detached_all_is_as_before(there: OtherService) -> None:
    """The classes have their own methods again; a second life of the agent sees waits as well."""

    def methods() -> list[Any]:
        import_of: ModuleType = sys.modules["httpcore._async.connection_pool"]
        return [
            vars(httpx.HTTPTransport)["handle_request"],
            vars(httpx.AsyncHTTPTransport)["handle_async_request"],
            vars(import_of.AsyncPoolRequest)["wait_for_connection"],
        ]

    with httpx.Client() as client:
        client.get(f"{there.url}/here")
        before = methods()
        probe = HttpxProbe(Window(), Guard())
        for _ in range(2):
            probe.attach()
            probe._exchanges.sink.open = True
            client.get(f"{there.url}/here")
            assert all(ours is not theirs for ours, theirs in zip(methods(), before, strict=True))
            probe.detach()
            assert methods() == before


def test_without_httpx_there_is_nothing_to_do() -> None:
    """The probe imports nothing, says so, and is asked again."""
    code = """
import sys
from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.httpx import HttpxProbe
from perftui_agent.window.window import Window
probe = HttpxProbe(Window(), Guard())
assert probe.attach() == "off: not imported", probe.attach()
assert "httpx" not in sys.modules
import httpx
assert probe.attach() == "on"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
