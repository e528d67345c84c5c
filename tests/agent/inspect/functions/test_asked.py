"""How many requests are measured, and what is said where there are none."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from perftui_agent.guard import Guard
from perftui_agent.inspect.functions import take_functions
from perftui_agent.wire.actions import Functions, FunctionsRequest, Progress
from perftui_agent.wire.dumps import Refusal
from tests.agent.inspect.functions import measuring
from tests.agent.inspect.functions.measuring import (
    Client,
    dear,
    measure,
    named,
    shop,
    times,
)
from tests.support.timed import timed


@pytest.mark.parametrize("asked", [True, False])
def test_an_unknown_route_is_refused_with_the_near_ones(asked: bool) -> None:
    """In one sentence, with what may have been meant; also beside apps that nobody has asked yet."""

    async def work(_: Client) -> None:
        pass

    app, silent = shop(), FastAPI()
    with timed(silent), timed(app) as service:
        if asked:
            asyncio.run(Client(service.app).get("/x"))
        refusal, _ = measure(app, work, "GET /othr")
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "this worker has no route GET /othr"
    assert refusal.advice.startswith("there are: GET /other")


def test_it_says_when_nobody_came() -> None:
    """Within its time, and how to get some."""
    refusal, _ = measure(shop(), times(2, "/other"), for_s=1.0)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "no request of GET /x came to this worker within 1 s"
    assert "--for" in refusal.advice


def test_it_tells_how_many_came_and_keeps_those_when_it_ends() -> None:
    """Three of twenty: what there is, with a note."""
    heard: list[Progress] = []
    functions, _ = measure(shop(), times(3), requests=20, for_s=1.5, heard=heard)
    assert isinstance(functions, Functions)
    assert functions.requests == 3
    assert functions.note == "1.5 s are over: 3 of 20 requests were measured"
    assert heard[0].text == "0 of 20 requests"
    assert heard[-1].text == "3 of 20 requests"
    assert heard[-1].done == 3 / 20


def test_no_more_than_asked_for_are_measured() -> None:
    """Whoever comes after those is left alone."""
    functions, _ = measure(shop(), times(5), requests=2)
    assert named(functions)["x"].calls == 2


def test_cancelled_it_leaves_nothing() -> None:
    """A client that hangs up ends it, also for a request that is in the midst."""
    app = FastAPI()

    @app.get("/x")
    async def x() -> str:
        for _ in range(20):
            dear()
            await asyncio.sleep(0.01)
        return "x"

    async def work(client: Client) -> None:
        request = asyncio.ensure_future(client.get("/x"))
        await asyncio.sleep(0.05)
        cancel()
        await request
        assert sys.getprofile() is None

    real = take_functions
    cancel: Callable[[], object] = print

    async def taken(*args: Any, **kwargs: Any) -> Functions | Refusal:
        nonlocal cancel
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancel = lambda: loop.call_soon_threadsafe(task.cancel)  # noqa: E731
        return await real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "take_functions", taken)
        with pytest.raises(asyncio.CancelledError):
            measure(app, work)


def test_a_sibling_can_not_be_measured() -> None:
    """Only the worker itself can."""

    async def take() -> Functions | Refusal:
        async def tell(_: Progress) -> None:
            pass

        return await take_functions(
            FunctionsRequest(id="f", route="GET /x"),
            1,
            traffic=None,
            guard=Guard(),
            tell=tell,
            finish=asyncio.Event(),
        )

    refusal = asyncio.run(take())
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith("only worker 1 itself")
