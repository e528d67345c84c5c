"""Requests to an app in this thread, measured by an agent's thread: `measure(shop(), times(3))`."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fastapi import Depends, FastAPI

from perftui_agent.apps_routes import serves, walk
from perftui_agent.guard import Guard
from perftui_agent.inspect.functions import Traffic, take_functions
from perftui_agent.probes.http import routes
from perftui_agent.probes.http.detour import Detour
from perftui_agent.wire.actions import CalledFunction, Functions, FunctionsRequest, Progress
from perftui_agent.wire.dumps import Refusal
from tests.support.timed import http_scope, timed

T = TypeVar("T")

each_meter = pytest.mark.usefixtures("_meter")
"""Has a test measure by each kind of meter there is."""


class Client:
    """Sends requests to an app in this thread, while an agent's thread measures them."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def get(self, path: str) -> bytes:
        """Return the body of an answer; the app's own failure comes as it is."""
        body = b""

        asked = False

        async def receive() -> Any:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            nonlocal body
            body += message.get("body", b"")

        await self.app(http_scope(path), receive, send)
        return body


def measure(
    app: Any,
    work: Callable[[Client], Coroutine[Any, Any, T]],
    route: str = "GET /x",
    *,
    requests: int = 3,
    for_s: float = 20.0,
    finish: asyncio.Event | None = None,
    heard: list[Progress] | None = None,
) -> tuple[Functions | Refusal, T]:
    """Measure the requests that `work` sends; return what was measured, and what it returned."""
    with timed(app) as service:
        return asyncio.run(
            measured(
                Client(service.app),
                work,
                FunctionsRequest(id="f", route=route, requests=requests, for_s=for_s),
                finish,
                heard,
            )
        )


async def measured(
    client: Client,
    work: Callable[[Client], Coroutine[Any, Any, T]],
    request: FunctionsRequest,
    finish: asyncio.Event | None,
    heard: list[Progress] | None,
) -> tuple[Functions | Refusal, T]:
    class Here:
        loop = asyncio.get_running_loop()

    guard = Guard()
    detour = Detour(Here(), guard)
    follows = threading.Event()
    answers: list[Functions | Refusal | BaseException] = []

    async def tell(progress: Progress) -> None:
        follows.set()
        if heard is not None:
            heard.append(progress)

    async def take() -> Functions | Refusal:
        return await take_functions(
            request,
            os.getpid(),
            traffic=Traffic(
                follow=detour.follow,
                serves=serves,
                walk=walk,
                routes=lambda: [label for each in list(routes.every) for label in each.labels()],
                loop=lambda: Here.loop,
            ),
            guard=guard,
            tell=tell,
            finish=finish or asyncio.Event(),
        )

    def run() -> None:
        try:
            answers.append(asyncio.run(take()))
        except BaseException as error:  # noqa: BLE001 - raised again in the test
            answers.append(error)
        follows.set()

    agent = threading.Thread(target=run, daemon=True)
    agent.start()
    while not follows.is_set():  # noqa: ASYNC110 - another thread's
        await asyncio.sleep(0.005)
    result = await work(client)
    while agent.is_alive():  # noqa: ASYNC110 - another thread's
        await asyncio.sleep(0.005)
    assert guard.faults == {}
    assert Here.loop.get_task_factory() is None
    (answer,) = answers
    if isinstance(answer, BaseException):
        raise answer
    return answer, result


def times(number: int, path: str = "/x") -> Callable[[Client], Coroutine[Any, Any, None]]:
    """Return what gets a path so often, all at once."""

    async def work(client: Client) -> None:
        await asyncio.gather(*(client.get(path) for _ in range(number)))

    return work


def named(functions: Functions | Refusal) -> dict[str, CalledFunction]:
    """Return the functions of the tests' own by name."""
    assert isinstance(functions, Functions), functions
    here = str(Path(__file__).parent)
    return {
        each.function.rpartition(".")[2]: each for each in functions.functions if each.file.startswith(here)
    }


def spin(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def cheap() -> None:
    """Do nothing."""


def dear() -> None:
    spin(0.005)


def shop() -> FastAPI:
    """Return an app with a route of each kind."""
    app = FastAPI()

    def checked() -> None:
        cheap()

    @app.get("/x")
    async def x(_: None = Depends(checked)) -> str:
        dear()
        await asyncio.sleep(0.05)
        dear()
        return "x"

    @app.get("/sync")
    def in_thread() -> str:
        dear()
        return "sync"

    @app.get("/other")
    async def other() -> str:
        noise()
        return "other"

    return app


def noise() -> None:
    spin(0.002)
