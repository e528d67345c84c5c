"""Which functions the requests of a route call, measured by each kind of meter: theirs, and no others."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import StreamingResponse

from perftui_agent.guard import Guard
from perftui_agent.probes.http.detour import Detour
from perftui_agent.wire.actions import Functions
from tests.agent.inspect.functions.measuring import (
    Client,
    cheap,
    dear,
    each_meter,
    measure,
    named,
    noise,
    shop,
    times,
)
from tests.support.timed import timed


@each_meter
def test_the_functions_of_an_async_route() -> None:
    """How often each was called and what it took itself: a wait is neither a call more, nor time."""
    functions, _ = measure(shop(), times(3))
    assert isinstance(functions, Functions)
    assert (functions.requests, functions.asked, functions.note) == (3, 3, "")
    of = named(functions)
    assert {name: of[name].calls for name in ("x", "dear", "cheap", "checked", "spin")} == {
        "x": 3, "dear": 6, "cheap": 3, "checked": 3, "spin": 6,
    }  # fmt: skip
    assert of["spin"].total_ns >= 6 * 5_000_000
    assert of["x"].total_ns >= of["dear"].total_ns >= of["spin"].total_ns
    assert of["x"].own_ns < 30_000_000
    # Three waits of 50 ms each are no time of the loop's.
    assert functions.elapsed_ns - functions.loop_ns >= 3 * 40_000_000
    assert functions.threads_ns > 0, "the dependency ran in a thread"
    calls = {
        (functions.functions[call.caller].function, functions.functions[call.callee].function): call.calls
        for call in functions.calls
    }
    assert calls["shop.<locals>.x", "dear"] == 6
    assert calls["dear", "spin"] == 6
    assert not any("stepping" in each.file or "meters" in each.file for each in functions.functions)


@each_meter
def test_a_sync_route_is_measured_in_its_thread() -> None:
    """The endpoint, where it runs."""
    functions, _ = measure(shop(), times(4, "/sync"), "GET /sync", requests=4)
    of = named(functions)
    assert of["in_thread"].calls == of["dear"].calls == 4
    assert isinstance(functions, Functions)
    assert functions.threads_ns >= 4 * 5_000_000


@each_meter
def test_nothing_of_others_falls_into_it() -> None:
    """Requests and tasks that run while one of the route waits are not in its table."""

    async def work(client: Client) -> None:
        async def background() -> None:
            while True:
                noise()
                await asyncio.sleep(0)

        beside = asyncio.ensure_future(background())
        await asyncio.gather(*(client.get(path) for path in ("/x", "/other") * 3))
        beside.cancel()

    of = named(measure(shop(), work)[0])
    assert of["x"].calls == 3
    assert "noise" not in of
    assert "other" not in of


@each_meter
def test_what_the_request_starts_is_its_own() -> None:
    """The task in which a middleware runs the app, those that it makes, and jobs in threads."""
    app = shop()

    async def pass_on(request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)

    async def part() -> None:
        await asyncio.sleep(0.01)
        dear()

    @app.get("/parts")
    async def parts() -> str:
        await asyncio.gather(part(), part())
        await asyncio.to_thread(cheap)
        return "parts"

    of = named(measure(app, times(2, "/parts"), "GET /parts", requests=2)[0])
    assert {name: of[name].calls for name in ("pass_on", "parts", "part", "dear", "cheap")} == {
        "pass_on": 2, "parts": 2, "part": 4, "dear": 4, "cheap": 2,
    }  # fmt: skip


@each_meter
def test_failures_come_as_they_are() -> None:
    """Type, cause, traceback and context variables of a failing request are those without."""
    seen: ContextVar[str] = ContextVar("seen", default="")
    app = FastAPI()

    def fail() -> None:
        raise LookupError("none")

    @app.get("/x")
    async def x() -> None:
        seen.set("x")
        await asyncio.sleep(0)
        assert seen.get() == "x"
        try:
            await asyncio.to_thread(fail)
        except LookupError as error:
            raise ValueError("no") from error

    async def work(client: Client) -> list[tuple[Any, ...]]:
        with pytest.raises(ValueError, match="no") as raised:
            await client.get("/x")
        error = raised.value
        return [
            (
                type(each),
                [(at.filename, at.lineno, at.name) for at in traceback.extract_tb(each.__traceback__)],
            )
            for each in (error, error.__cause__, error.__context__)
            if each is not None
        ]

    with timed(app) as service:
        before = asyncio.run(work(Client(service.app)))
    functions, after = measure(app, work, requests=1)
    assert after == before
    assert named(functions)["fail"].calls == 1
    assert seen.get() == ""


@each_meter
def test_a_cancelled_request_is_cancelled() -> None:
    """Whoever waits in it gets to know, and it counts with what it has done."""
    cleaned: list[str] = []
    app = FastAPI()

    @app.get("/x")
    async def x() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            dear()
            cleaned.append("x")

    async def work(client: Client) -> None:
        task = asyncio.ensure_future(client.get("/x"))
        await asyncio.sleep(0.02)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task

    of = named(measure(app, work, requests=1)[0])
    assert cleaned == ["x"]
    assert of["dear"].calls == 1
    assert of["x"].calls == 1


@each_meter
def test_of_a_stream_it_tells_what_has_been() -> None:
    """A request that does not end within the time is told of as far as it has come."""
    app = FastAPI()

    @app.get("/x")
    async def x() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while not done.is_set():
                cheap()
                yield b"."
                await asyncio.sleep(0.01)

        return StreamingResponse(parts())

    done = asyncio.Event()

    async def work(client: Client) -> None:
        asyncio.get_running_loop().call_later(1.5, done.set)
        await client.get("/x")

    functions, _ = measure(app, work, for_s=1.0)
    assert isinstance(functions, Functions)
    assert functions.note == "1 s are over: 1 measured that had not ended, as far as they had come"
    assert 20 < named(functions)["cheap"].calls < 110


def test_a_task_factory_of_the_apps_own_still_makes_the_tasks() -> None:
    """It gets every coroutine as before, and stands there again at the end."""
    made: list[str] = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    class Here:
        loop = asyncio.new_event_loop()

    Here.loop.set_task_factory(factory)

    class Nobody:
        def request(self, _record: Any, coroutine: Any) -> Any:
            return coroutine

        task = job = request

    async def child() -> int:
        return 1

    async def parent() -> int:
        return await asyncio.ensure_future(child())

    with Detour(Here(), Guard()).follow(Nobody()):
        assert Here.loop.run_until_complete(parent()) == 1
    assert Here.loop.get_task_factory() is factory
    assert [name.rpartition(".")[2] for name in made] == ["parent", "child"]
    Here.loop.close()
