"""Jobs of queues that run in this process are told of by function, and are their route's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from taskiq import InMemoryBroker

from perftui_agent.guard import Guard
from perftui_agent.instrumentation import the_agent
from perftui_agent.probes.probe import ON, Probe
from perftui_agent.probes.sql.sqlalchemy import SqlAlchemyProbe
from perftui_agent.probes.work.celery import CeleryProbe
from perftui_agent.probes.work.taskiq import TaskiqProbe
from perftui_agent.wire.frames import Frame
from tests.support.timed import http_scope, timed

engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})


def ask(times: int) -> None:
    with engine.connect() as connection:
        for number in range(times):
            connection.execute(text("SELECT :n"), {"n": number}).all()


@pytest.fixture(autouse=True)
def probes() -> Iterator[None]:
    """The probes, attached."""
    guard = Guard()
    window = the_agent().own.window
    attached: list[Probe] = [
        CeleryProbe(window, guard),
        TaskiqProbe(window, guard),
        SqlAlchemyProbe(window, guard, 100),
    ]
    assert [probe.attach() for probe in attached] == [ON, ON, ON]
    yield
    for probe in attached:
        probe.detach()
    assert guard.faults == {}


def frame_of(endpoint: Any) -> Frame:
    """Return what is told of one request, and of what has gone on after it."""

    async def requested() -> None:
        await service._call(http_scope(), [{"type": "http.request"}])
        await asyncio.sleep(0.2)

    with timed(Starlette(routes=[Route("/", endpoint)])) as service:
        asyncio.run(requested())
        return service.seen.last


# It has no types.
celery: Any = import_module("celery").Celery("shop", broker="memory://", backend="cache+memory://")


def export(times: int) -> None:
    ask(times)


def fails() -> None:
    raise LookupError("gone")


exported, failing = celery.task(export), celery.task(fails)


def told_of(frame: Frame) -> list[Any]:
    return [
        (row.kind, row.name.split()[-1], row.route, row.latency.count, row.errors, row.sql_count)
        for row in frame.background
    ]


def test_an_eager_task_is_a_row_and_its_statements_are_the_requests() -> None:
    """It runs in the midst of the request, which waits for it."""
    celery.conf.task_always_eager = True

    async def endpoint(_request: Any) -> PlainTextResponse:
        exported.delay(4)
        failing.delay()
        return PlainTextResponse("ok")

    frame = frame_of(endpoint)
    assert sorted(told_of(frame)) == [
        ("celery", "export", "GET /", 1, 0, 0),
        ("celery", "fails", "GET /", 1, 1, 0),
    ]
    assert [(route.route, route.sql_count) for route in frame.routes] == [("GET /", 4)]
    (statement,) = frame.statements
    assert statement.routes == {"GET /": 4}


def test_a_task_that_a_worker_beside_the_app_takes_is_the_routes() -> None:
    """As work of its own, after the response; its message is as it was."""
    celery.conf.task_always_eager = False

    async def endpoint(_request: Any) -> PlainTextResponse:
        exported.delay(4)
        return PlainTextResponse("ok")

    async def requested() -> None:
        await service._call(http_scope(), [{"type": "http.request"}])

    with timed(Starlette(routes=[Route("/", endpoint)])) as service:
        asyncio.run(requested())
        with celery.connection_for_read() as connection:
            message = connection.SimpleQueue("celery").get(timeout=5)
        assert not [name for name in message.headers if "perftui" in name]
        # What a worker does with it.
        celery.tasks[message.headers["task"]].apply(args=(4,), task_id=message.headers["id"])
        message.ack()
        frame = service.seen.last
    assert told_of(frame) == [("celery", "export", "GET /", 1, 0, 4)]
    assert frame.background[0].wait is not None
    assert [(route.route, route.sql_count) for route in frame.routes] == [("GET /", 0)]
    (statement,) = frame.statements
    assert statement.routes == {"GET /": 4}


@pytest.mark.parametrize("inplace", [False, True])
def test_a_task_of_taskiqs_broker_in_memory_is_the_routes(inplace: bool) -> None:
    """Whether it runs at once or as a task; sync ones in their thread as well."""
    broker = InMemoryBroker(await_inplace=inplace)

    @broker.task
    async def mail(times: int) -> None:
        await asyncio.sleep(0.02)
        ask(times)

    @broker.task
    def resize(times: int) -> None:
        ask(times)

    @broker.task
    async def breaks() -> None:
        raise LookupError("gone")

    async def endpoint(_request: Any) -> PlainTextResponse:
        for task in (await mail.kiq(3), await resize.kiq(2), await breaks.kiq()):
            assert task.task_id
        return PlainTextResponse("ok")

    frame = frame_of(endpoint)
    (statement,) = frame.statements
    assert statement.routes == {"GET /": 5}
    rows = {
        name: (kind, route, count, errors, sql) for kind, name, route, count, errors, sql in told_of(frame)
    }
    names = {name.rpartition(".")[2]: row for name, row in rows.items()}
    own = 0 if inplace else 1
    assert names["mail"] == ("taskiq", "GET /", 1, 0, 3 * own)
    assert names["breaks"] == ("taskiq", "GET /", 1, 1, 0)
    assert names["resize"][:4] == ("taskiq", "GET /", 1, 0)
    assert sum(row[4] for row in names.values()) + frame.routes[0].sql_count == 5
