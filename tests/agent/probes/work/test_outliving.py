"""Tasks that outlive their request are told of by place, whatever made them; others are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import uvloop
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from perftui_agent.guard import Guard
from perftui_agent.instrumentation import the_agent
from perftui_agent.probes.work.outliving import AT_ONCE_NS, MANY, OutlivingProbe
from perftui_agent.wire.after import BackgroundFrame
from tests.support.timed import Timed, http_scope, timed

MS = 1_000_000


class Loop:
    """Knows the loop that runs the test."""

    loop: asyncio.AbstractEventLoop | None = None


async def goes_on() -> None:
    await asyncio.sleep(0.1)


async def goes_on_for_long() -> None:
    await asyncio.sleep(0.3)


async def fails() -> None:
    await asyncio.sleep(0.05)
    raise LookupError("gone")


kept: set[Any] = set()


async def by_create_task(_request: Any) -> PlainTextResponse:
    kept.add(asyncio.create_task(goes_on()))
    return PlainTextResponse("ok")


async def by_the_loop(_request: Any) -> PlainTextResponse:
    kept.add(asyncio.get_running_loop().create_task(goes_on()))
    return PlainTextResponse("ok")


async def by_task(_request: Any) -> PlainTextResponse:
    kept.add(asyncio.Task(goes_on(), loop=asyncio.get_running_loop()))
    return PlainTextResponse("ok")


async def by_a_group_of_asyncios(request: Any) -> PlainTextResponse:
    request.app.state.group.create_task(goes_on())
    return PlainTextResponse("ok")


async def by_a_group_of_anyios(request: Any) -> PlainTextResponse:
    request.app.state.nursery.start_soon(goes_on)
    return PlainTextResponse("ok")


async def by_nobody(_request: Any) -> PlainTextResponse:
    await asyncio.gather(goes_on(), goes_on())
    return PlainTextResponse("ok")


async def by_one_that_fails(_request: Any) -> PlainTextResponse:
    kept.add(asyncio.create_task(fails()))
    return PlainTextResponse("ok")


def rows(
    endpoint: Callable[[Any], Awaitable[PlainTextResponse]],
    *,
    times: int = 1,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    middleware: bool = False,
    amid: list[list[BackgroundFrame]] | None = None,
) -> list[BackgroundFrame]:
    """Return what is told of requests to an endpoint, and of what they have left behind."""

    async def passing(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app = Starlette(
        routes=[Route("/", endpoint)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=passing)] if middleware else [],
    )
    with timed(app) as service, asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_served(service, app, times, amid))
        told = service.seen.last.background
    kept.clear()
    return told


async def _served(
    service: Timed, app: Starlette, times: int, amid: list[list[BackgroundFrame]] | None
) -> None:
    watched = Loop()
    watched.loop = asyncio.get_running_loop()
    probe = OutlivingProbe(service.window, Guard(), watched)
    probe.attach()

    async def look() -> None:
        while True:
            # What the agent's thread does at every beat.
            probe.look()
            service.window.find_ended()
            await asyncio.sleep(0.01)

    looking = asyncio.ensure_future(look())
    async with asyncio.TaskGroup() as group, anyio.create_task_group() as nursery:
        app.state.group, app.state.nursery = group, nursery
        for _ in range(times):
            await _server(service)
        await asyncio.sleep(0.05)
        if amid is not None:
            amid.append(service.seen.last.background)
        await asyncio.sleep(0.15)
    looking.cancel()
    probe.detach()


async def _server(service: Timed) -> None:
    """Serve a request in a task of its own, as servers do."""
    await asyncio.create_task(service._call(http_scope(), [{"type": "http.request"}]))


@pytest.mark.parametrize(
    "endpoint",
    [by_create_task, by_the_loop, by_task, by_a_group_of_asyncios, by_a_group_of_anyios],
)
@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_one_that_outlives_its_request_is_told_by_place(endpoint: Any, loop_factory: Any) -> None:
    """Under asyncio and uvloop: who gave it, how often, how long, whatever has made it."""
    (row,) = rows(endpoint, times=3, loop_factory=loop_factory)
    assert row.name.endswith(" goes_on")
    assert (row.kind, row.route, row.latency.count, row.running, row.errors) == ("task", "GET /", 3, 0, 0)
    assert 60 * MS <= (row.latency.quantile(0.5) or 0) <= 190 * MS


def test_one_that_runs_is_told_while_it_runs() -> None:
    """With its age."""
    amid: list[list[BackgroundFrame]] = []
    rows(by_create_task, amid=amid)
    ((row,),) = amid
    assert (row.running, row.latency.count) == (1, 0)
    assert row.oldest_ns >= 30 * MS


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_its_failure_is_an_error_and_is_logged_as_before(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody has asked for the exception but us, and asyncio says so all the same."""
    (row,) = rows(by_one_that_fails)
    assert (row.errors, row.failures) == (1, {"LookupError": 1})
    assert "exception was never retrieved" in caplog.text


@pytest.mark.parametrize("middleware", [False, True])
def test_what_a_request_waits_for_outlives_nothing(middleware: bool) -> None:
    """Nor do the tasks in which a middleware runs the app."""
    assert rows(by_nobody, middleware=middleware, times=2) == []


def test_it_looks_only_where_there_were_requests() -> None:
    """An idle service costs nothing."""
    watched = Loop()
    probe = OutlivingProbe(the_agent().own.window, Guard(), watched)

    async def idle() -> None:
        watched.loop = asyncio.get_running_loop()
        assert probe.attach() == "on"
        probe.look()
        before = probe._looked_ns
        probe.look()
        assert probe._looked_ns == before

    asyncio.run(idle())


def outliving_of(
    waits: Callable[[OutlivingProbe, Timed], Awaitable[None]],
    endpoint: Callable[[Any], Awaitable[PlainTextResponse]],
) -> list[BackgroundFrame]:
    """Return what is told of one request's tasks, and of the looks that `waits` takes meanwhile."""
    app = Starlette(routes=[Route("/", endpoint)])

    async def served(service: Timed) -> None:
        watched = Loop()
        watched.loop = asyncio.get_running_loop()
        probe = OutlivingProbe(service.window, Guard(), watched)
        probe.attach()
        serving = asyncio.ensure_future(_server(service))
        await waits(probe, service)
        await serving
        await asyncio.sleep(0.15)

    with timed(app) as service:
        asyncio.run(served(service))
        return service.seen.last.background


def test_one_that_a_request_makes_late_is_seen() -> None:
    """Also where nobody else begins meanwhile, and the request is over and folded by the next look."""

    async def late(_request: Any) -> PlainTextResponse:
        await asyncio.sleep(0.05)
        kept.add(asyncio.create_task(goes_on_for_long()))
        return PlainTextResponse("ok")

    async def waits(probe: OutlivingProbe, service: Timed) -> None:
        await asyncio.sleep(0.02)
        probe.look()
        await asyncio.sleep(0.1)
        service.window.fold_pending()
        await asyncio.sleep(0.1)
        probe.look()

    (row,) = outliving_of(waits, late)
    assert (row.name.rpartition(" ")[2], row.latency.count + row.running) == ("goes_on_for_long", 1)
    kept.clear()


def test_a_look_that_a_collection_falls_into_is_not_the_last_for_seconds() -> None:
    """What it seems to have cost is paid off, and in between there is one often enough for 200 ms."""

    async def waits(probe: OutlivingProbe, service: Timed) -> None:
        probe._left_ns = -AT_ONCE_NS
        for _ in range(5):
            await asyncio.sleep(0.05)
            probe.look()
        assert service.window.bounded["looks at tasks"] >= 1, "the ones that are left out are counted"

    async def makes(_request: Any) -> PlainTextResponse:
        kept.add(asyncio.create_task(goes_on_for_long()))
        return PlainTextResponse("ok")

    (row,) = outliving_of(waits, makes)
    assert row.latency.count + row.running == 1
    kept.clear()


def test_where_there_are_many_the_loop_never_looks_itself() -> None:
    """Not even at first, when nobody has counted them yet: it would stand still for as long as that takes."""
    watched = Loop()
    probe = OutlivingProbe(the_agent().own.window, Guard(), watched)

    async def crowded() -> None:
        watched.loop = asyncio.get_running_loop()
        waiting = [asyncio.ensure_future(asyncio.sleep(60)) for _ in range(MANY)]
        probe.attach()
        before = probe._looked_ns
        probe.look_from_loop()
        assert probe._looked_ns == before
        await asyncio.to_thread(probe.look_from_beside)
        assert probe._looked_ns > before
        for task in waiting:
            task.cancel()

    asyncio.run(crowded())


def test_one_among_many_is_told_by_place() -> None:
    """Those that were there before are known at a glance."""

    async def among_many(_request: Any) -> PlainTextResponse:
        kept.update(asyncio.ensure_future(asyncio.sleep(5)) for _ in range(MANY))
        kept.add(asyncio.create_task(goes_on_for_long()))
        return PlainTextResponse("ok")

    told = {row.name.rpartition(" ")[2]: row for row in rows(among_many)}
    one = told["goes_on_for_long"]
    assert one.latency.count + one.running == 1


def test_it_looks_from_the_first_request_on() -> None:
    """Probes attach before the loop is known, and are asked again with the first frame, a second later."""

    async def waits(probe: OutlivingProbe, _: Timed) -> None:
        loop, probe._watched = probe._watched, Loop()
        probe.detach()
        assert probe.attach() == "off: no asyncio loop"
        probe._watched = loop
        await asyncio.sleep(0.05)
        probe.look()

    async def makes(_request: Any) -> PlainTextResponse:
        kept.add(asyncio.create_task(goes_on_for_long()))
        return PlainTextResponse("ok")

    (row,) = outliving_of(waits, makes)
    assert row.latency.count + row.running == 1
    kept.clear()
