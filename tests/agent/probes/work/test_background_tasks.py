"""Background tasks are told of by their function, and are otherwise what they were."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.background import BackgroundTasks as SeveralTasks
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from perftui_agent.guard import Guard
from perftui_agent.instrumentation import the_agent
from perftui_agent.probes.probe import ON
from perftui_agent.probes.sql.sqlalchemy import SqlAlchemyProbe
from perftui_agent.probes.work.background_tasks import BackgroundTaskProbe
from perftui_agent.wire.after import BackgroundFrame
from perftui_agent.wire.frames import Frame
from tests.support.timed import Timed, http_scope, timed


@pytest.fixture
def probe() -> Iterator[BackgroundTaskProbe]:
    """The probe, attached."""
    probe = BackgroundTaskProbe(the_agent().own.window, Guard())
    assert probe.attach() == ON
    yield probe
    probe.detach()


def rows_of(service: Timed) -> dict[str, BackgroundFrame]:
    """Return what was done after responses, by function."""
    return {row.name.split()[-1]: row for row in service.seen.last.background}


def a_service(*tasks: Any) -> Starlette:
    """Return an app whose `/` has these tasks in the background."""

    async def endpoint(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok", background=SeveralTasks([BackgroundTask(task) for task in tasks]))

    return Starlette(routes=[Route("/", endpoint)])


async def quick() -> None:
    """Do nothing."""


async def slow() -> None:
    await asyncio.sleep(0.03)


def sync() -> None:
    """Do nothing, in a thread."""


async def fails() -> None:
    raise LookupError("gone")


def test_each_function_is_a_row_with_its_route(probe: BackgroundTaskProbe) -> None:
    """Count, duration, and which took a thread of the pool; sync and async alike."""
    with timed(a_service(quick, slow, sync)) as service:
        for _ in range(3):
            service.get("/")
        rows = rows_of(service)
    assert {name: (row.kind, row.route, row.latency.count, row.threaded) for name, row in rows.items()} == {
        "quick": ("background", "GET /", 3, 0),
        "slow": ("background", "GET /", 3, 0),
        "sync": ("background", "GET /", 3, 3),
    }
    assert rows["slow"].latency.total >= 3 * 30_000_000
    assert {row.held for row in rows.values()} == {0}


def test_fastapis_own_are_the_same(probe: BackgroundTaskProbe) -> None:
    """Those that a path operation has added, arguments and all."""
    app = FastAPI()
    called: list[Any] = []

    @app.get("/items/{item_id}")
    async def item(item_id: int, tasks: BackgroundTasks) -> None:
        tasks.add_task(called.append, item_id)
        tasks.add_task(slow)

    with timed(app) as service:
        service.get("/items/7")
        rows = rows_of(service)
    assert called == [7]
    assert {(name, row.route) for name, row in rows.items()} == {
        ("list.append", "GET /items/{item_id}"),
        ("slow", "GET /items/{item_id}"),
    }


def test_one_that_fails_is_an_error_and_fails_as_before(probe: BackgroundTaskProbe) -> None:
    """The exception reaches the server, the rest of the tasks don't run, the error is counted by its name."""
    with timed(a_service(quick, fails, slow)) as service:
        with pytest.raises(LookupError, match="gone"):
            service.call(http_scope())
        rows = rows_of(service)
    assert set(rows) == {"quick", "fails"}
    assert (rows["fails"].errors, rows["fails"].failures) == (1, {"LookupError": 1})


def test_what_they_ask_is_their_routes_and_no_part_of_its_requests(probe: BackgroundTaskProbe) -> None:
    """Nothing is lost, and the route's requests have only what they asked themselves."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})

    def ask(times: int = 5) -> None:
        with engine.connect() as connection:
            for number in range(times):
                connection.execute(text("SELECT :n"), {"n": number}).all()

    async def endpoint(_request: Any) -> PlainTextResponse:
        ask(2)
        return PlainTextResponse("ok", background=BackgroundTask(ask))

    with timed(Starlette(routes=[Route("/", endpoint)])) as service:
        sql = SqlAlchemyProbe(the_agent().own.window, Guard(), 100)
        assert sql.attach() == ON
        service.get("/")
        sql.detach()
        frame: Frame = service.seen.last
    engine.dispose()
    (statement,) = frame.statements
    assert statement.routes == {"GET /": 7}
    assert [(route.route, route.sql_count) for route in frame.routes] == [("GET /", 2)]
    assert [(row.sql_count, row.sql_ns > 0) for row in frame.background] == [(5, True)]


def test_one_that_holds_the_response_open_is_a_part_of_the_request(probe: BackgroundTaskProbe) -> None:
    """Where a middleware sends the response when the app is done, the client waits for its background."""
    inner = a_service(slow)

    async def buffering(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        messages: list[Any] = []

        async def keep(message: Any) -> None:
            messages.append(message)

        await inner(scope, receive, keep)
        for message in messages:
            await send(message)

    with timed(buffering) as service:
        service.get("/")
        frame: Frame = service.seen.last
    (row,) = frame.background
    (route,) = frame.routes
    assert (row.held, row.held_ns >= 30_000_000) == (1, True)
    assert 30_000_000 <= route.background_ns <= route.latency.max
    assert [span.kind for slow in frame.slowest for span in slow.spans] == ["background"]


def test_what_runs_is_told_while_it_runs(probe: BackgroundTaskProbe) -> None:
    """With its age; and no more once it is over."""
    seen: list[list[tuple[int, bool]]] = []

    async def look() -> None:
        await asyncio.sleep(0.01)
        seen.append([(row.running, row.oldest_ns > 0) for row in service.seen.last.background])

    with timed(a_service(look)) as service:
        service.get("/")
        seen.append([(row.running, row.oldest_ns > 0) for row in service.seen.last.background])
    assert seen == [[(1, True)], [(0, False)]]


def test_it_leaves_nothing_behind() -> None:
    """Attached it looks like the original, detached the original is there; outside of an app it is idle."""
    original = BackgroundTask.__call__
    probe = BackgroundTaskProbe(the_agent().own.window, Guard())
    assert probe.attach() == probe.attach() == ON
    assert BackgroundTask.__call__ is not original
    assert inspect.iscoroutinefunction(BackgroundTask.__call__)
    asyncio.run(BackgroundTask(quick)())
    assert the_agent().own.window.works == {}
    probe.detach()
    assert BackgroundTask.__call__ is original
