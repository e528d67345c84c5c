"""Promises 2 and 6: exceptions pass as they are and are told of; the agent's own stay with the agent."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from starlette.responses import PlainTextResponse

from perftui_agent import instrument
from perftui_agent.instrumentation import the_agent
from tests.support.timed import http_scope, timed

HERE = "tests/agent/probes/test_failures.py"


class ShopError(Exception):
    """A failure of the app's."""


async def fail() -> None:
    raise ShopError("broken")


def one_exception(service: Any) -> tuple[str, str, str]:
    """Return the only kind of exception that was told of: route, type, place without the line."""
    ((route, kind, place),) = service.seen.exceptions
    file, _, function = place.partition(" ")
    return route, kind, f"{file.rpartition(':')[0]} {function}"


def test_promise_2_an_exception_passes_as_it_is() -> None:
    """The same object, with its cause; the traceback still ends where it was raised."""
    error = ShopError("broken")
    cause = ValueError("the cause")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error from cause

    with timed(app) as service, pytest.raises(ShopError) as caught:
        service.call(http_scope())
    assert caught.value is error
    assert caught.value.__cause__ is cause
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "app"


@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_promise_2_what_is_no_exception_passes_too(kind: type[BaseException]) -> None:
    """Cancellation and the ways a process ends."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise kind

    async def serve() -> str:
        try:
            await service.app(http_scope(), None, None)
        except BaseException as error:  # noqa: BLE001 - that is the point
            return type(error).__name__
        return "nothing"

    with timed(app) as service:
        assert asyncio.run(serve()) == kind.__name__
        assert not service.window.in_flight


@pytest.mark.parametrize("there", [True, False])
def test_promise_9_who_cancels_itself_has_lost_no_client(there: bool) -> None:
    """A server that knows its client to be there answers 500, and so it is counted; else the client left."""

    class Cycle:
        disconnected = not there

        async def send(self, message: Any) -> None:
            raise AssertionError("the app sends nothing")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    async def serve() -> None:
        with pytest.raises(asyncio.CancelledError):
            await service.app(http_scope(), None, Cycle().send)

    with timed(app) as service:
        asyncio.run(serve())
        (route,) = service.seen.routes.values()
        assert (route.status.server_error, route.status.disconnected) == ((1, 0) if there else (0, 1))
        assert [kind for _, kind, _ in service.seen.exceptions] == (["CancelledError"] if there else [])


def test_promise_2_groups_of_exceptions_pass_and_are_told_of() -> None:
    """With everything in them."""
    group = ExceptionGroup("several", [ShopError("one"), ValueError("two")])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise group

    with timed(app) as service:
        with pytest.raises(ExceptionGroup) as caught:
            service.call(http_scope())
        assert caught.value is group
        assert one_exception(service)[1] == "ExceptionGroup"


def test_an_unhandled_exception_is_told_by_route_type_and_place() -> None:
    """The place is in the app's own code, wherever the frameworks raised it."""
    app = FastAPI()
    app.add_api_route("/orders/{order_id}", fail)
    with timed(app) as service:
        assert service.get("/orders/7").status_code == 500
        assert one_exception(service) == ("GET /orders/{order_id}", "ShopError", f"{HERE} fail")
        (route,) = service.seen.routes.values()
        assert (route.status.server_error, route.status.total()) == (1, 1)


def test_an_exception_is_told_when_the_app_has_a_page_for_it() -> None:
    """A handler for `Exception` answers, and the exception is unhandled all the same."""
    app = FastAPI()

    @app.exception_handler(Exception)
    async def sorry(request: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("sorry", status_code=500)

    app.add_api_route("/", fail)
    with timed(app) as service:
        assert service.get("/").text == "sorry"
        assert one_exception(service) == ("GET /", "ShopError", f"{HERE} fail")
        assert service.requests == {"GET /": 1}


def test_a_handled_exception_is_not_told() -> None:
    """It is an answer like any."""

    async def teapot() -> None:
        raise HTTPException(418)

    app = FastAPI()
    app.add_api_route("/", teapot)
    with timed(app) as service:
        assert service.get("/").status_code == 418
        assert service.seen.exceptions == []


def test_an_exception_after_the_response_began_is_a_failure() -> None:
    """The client got a 200 and half a body: that is a 5xx."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ShopError

    with timed(app) as service:
        with pytest.raises(ShopError):
            service.call(http_scope())
        (route,) = service.seen.routes.values()
        assert (route.status.server_error, route.status.total()) == (1, 1)
        assert one_exception(service)[1] == "ShopError"


def test_an_exception_after_the_response_is_told_and_the_response_stays_what_it_was() -> None:
    """A background task that fails takes nothing back."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("ok")(scope, receive, send)
        raise ShopError

    with timed(app) as service:
        with pytest.raises(ShopError):
            service.call(http_scope())
        (route,) = service.seen.routes.values()
        assert (route.status.success, route.status.total()) == (1, 1)
        assert one_exception(service)[1] == "ShopError"


async def in_the_background(tasks: BackgroundTasks) -> int:
    tasks.add_task(fail)
    return 1


async def at_its_end() -> AsyncIterator[int]:
    yield 1
    raise ShopError("broken")


async def with_it(one: int = Depends(at_its_end)) -> int:
    return one


@pytest.mark.parametrize("endpoint", [in_the_background, with_it])
def test_an_exception_behind_a_good_answer_is_told_as_that(endpoint: Any) -> None:
    """Of a background task, of what a dependency does at its end: no status tells of it."""
    app = FastAPI()
    app.add_api_route("/", endpoint)
    app.add_api_route("/fails", fail)
    with timed(app) as service:
        assert service.get("/").status_code == 200
        assert service.get("/fails").status_code == 500
        routes = service.seen.routes
        assert [(each.type, each.answered) for each in routes["GET /"].exceptions] == [("ShopError", True)]
        assert [each.answered for each in routes["GET /fails"].exceptions] == [False]


def test_promise_13_exceptions_past_the_bound_share_one_row() -> None:
    """An app that makes up a type for each failure fills one row."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise type(f"Error{scope['path'][1:]}", (Exception,), {})

    with timed(app) as service:
        for number in range(30):
            with pytest.raises(Exception):  # noqa: B017, PT011 - its type is made up
                service.call(http_scope(f"/{number}"))
        exceptions = service.seen.frames[-1].routes[0].exceptions
        assert sum(exception.count for exception in exceptions) == 30
        assert len(exceptions) == 21
        assert service.window.take_bounded()["exceptions"] == 10


def test_promise_6_a_fault_of_ours_costs_a_count_and_no_response() -> None:
    """Whatever a framework to come puts into the scope."""

    class Hostile:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("not comparable")

        def __hash__(self) -> int:
            raise RuntimeError("not hashable")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["endpoint"] = Hostile()
        scope["method"] = Hostile()
        await PlainTextResponse("ok")(scope, receive, send)

    faults = the_agent().own.guard.faults
    before = faults.get("probes.http", 0)
    with timed(app) as service:
        sent = service.call(http_scope())
        assert sent[-1]["body"] == b"ok"
        assert sum(service.requests.values()) == 1
    assert faults["probes.http"] == before + 1


def test_promise_6_a_response_without_a_status_is_the_servers_to_refuse() -> None:
    """The message passes as it is; the request is counted."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start"})
        await send({"type": "http.response.body"})

    with timed(app) as service:
        sent = service.call(http_scope())
        assert sent == [{"type": "http.response.start"}, {"type": "http.response.body"}]
        assert sum(service.requests.values()) == 1


def test_promise_2_an_exception_of_send_reaches_the_app() -> None:
    """Servers raise there when the client has left."""
    caught: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        except OSError as error:
            caught.append(str(error))
            raise

    async def send(message: Any) -> None:
        raise OSError("client has gone")

    with timed(app) as service, pytest.raises(OSError, match="gone"):
        asyncio.run(service.app(http_scope(), None, send))
    assert caught == ["client has gone"]


def test_the_agent_can_be_asked_for_twice() -> None:
    """Instrumenting again changes nothing but the settings: each request counts once."""
    app = FastAPI()
    app.add_api_route("/", lambda: "ok")
    with timed(app) as service:
        assert instrument(instrument(app)) is app
        assert isinstance(service.get("/"), httpx.Response)
        assert service.requests == {"GET /": 1}
