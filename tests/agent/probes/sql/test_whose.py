"""Whose a statement is: the request's that runs it, and nobody's once the app has left the request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from perftui_agent import instrument
from perftui_agent.guard import Guard
from perftui_agent.instrumentation import the_agent
from perftui_agent.probes.probe import ON
from perftui_agent.probes.sql.sqlalchemy import SqlAlchemyProbe
from tests.support.databases import by_text
from tests.support.timed import Timed, timed

OUTSIDE = "(outside requests)"


class Shop:
    """An app that runs a statement in each request and one after it, and counts by route what it ran."""

    def __init__(self, service: Timed, engine: Engine) -> None:
        self.app = service.app
        self.engine = engine
        self._service = service

    def run(self, statement: str) -> None:
        with self.engine.connect() as connection:
            connection.execute(text(statement))

    def routes(self) -> dict[str, dict[str, int]]:
        window = self._service.window
        window.fold_pending()
        return {
            shape: statement.routes
            for shape, statement in by_text(window.close(seq=1, ended_at_ns=0, span_ns=1)).items()
        }


async def get(app: Any, path: str) -> None:
    """Call an app of this process as its tests do, and its other apps."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        await client.get(path)


@pytest.fixture
def shop() -> Iterator[Shop]:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})

    async def item(_request: Request) -> PlainTextResponse:
        shop.run("SELECT 1 AS within")
        return PlainTextResponse("ok", background=BackgroundTask(shop.run, "SELECT 2 AS background"))

    async def outer(_request: Request) -> PlainTextResponse:
        await get(inner, "/inner")
        shop.run("SELECT 3 AS after_the_inner")
        return PlainTextResponse("ok")

    async def innermost(_request: Request) -> PlainTextResponse:
        shop.run("SELECT 4 AS inner_one")
        return PlainTextResponse("ok")

    inner = instrument(Starlette(routes=[Route("/inner", innermost)]))
    with timed(Starlette(routes=[Route("/item", item), Route("/outer", outer)])) as service:
        probe = SqlAlchemyProbe(the_agent().own.window, Guard(), 100)
        assert probe.attach() == ON
        shop = Shop(service, engine)
        try:
            yield shop
        finally:
            probe.detach()
            engine.dispose()


def test_what_follows_a_request_in_its_task_is_not_its_own(shop: Shop) -> None:
    """Who calls the app in this process and goes on afterwards has left the request; background tasks have
    not."""

    async def calls() -> None:
        await get(shop.app, "/item")
        shop.run("SELECT 5 AS afterwards")

    asyncio.run(calls())
    assert shop.routes() == {
        "SELECT ? AS within": {"GET /item": 1},
        "SELECT ? AS background": {"GET /item": 1},
        "SELECT ? AS afterwards": {OUTSIDE: 1},
    }


def test_an_app_that_calls_another_goes_on_with_its_own_request(shop: Shop) -> None:
    """The inner app's statements are the inner request's, those after it the outer one's."""
    asyncio.run(get(shop.app, "/outer"))
    assert shop.routes() == {
        "SELECT ? AS inner_one": {"GET /inner": 1},
        "SELECT ? AS after_the_inner": {"GET /outer": 1},
    }
