"""Which functions the requests of a route call, measured by each kind of meter."""

from __future__ import annotations

import asyncio
import cProfile
import os
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, TypeVar

import anyio._backends._asyncio as anyio_backend
import pytest
from fastapi import Depends, FastAPI
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import StreamingResponse

from perftui_agent.apps_routes import serves, walk
from perftui_agent.guard import Guard
from perftui_agent.inspect import stepping
from perftui_agent.inspect.functions import Traffic, take_functions
from perftui_agent.inspect.meters import CallbackMeter, LocalMeter
from perftui_agent.probes.http import routes, timing
from perftui_agent.probes.http.detour import Detour
from perftui_agent.wire.actions import CalledFunction, Functions, FunctionsRequest, Progress
from perftui_agent.wire.dumps import Refusal
from tests.support.timed import http_scope, timed

T = TypeVar("T")

METERS = [CallbackMeter] if sys.version_info >= (3, 12) else [LocalMeter, CallbackMeter]


@pytest.fixture(params=METERS, ids=lambda meter: meter.__name__)
def _meter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "new_meter", request.param)


each_meter = pytest.mark.usefixtures("_meter")


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    submit, run = ThreadPoolExecutor.submit, _run_in_thread()
    ways = [road.untimed for road in timing.roads]
    yield
    assert ThreadPoolExecutor.submit is submit
    assert _run_in_thread() is run
    assert [_led_by(road) for road in timing.roads][: len(ways)] == ways
    assert sys.getprofile() is None


def _run_in_thread() -> Any:
    return vars(anyio_backend.AsyncIOBackend)["run_sync_in_worker_thread"]


def _led_by(road: timing.Road) -> Any:
    """Return by which way a road leads now."""
    (cell,) = road.lead.__closure__ or ()
    return cell.cell_contents


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
            _measured(
                Client(service.app),
                work,
                FunctionsRequest(id="f", route=route, requests=requests, for_s=for_s),
                finish,
                heard,
            )
        )


async def _measured(
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
    """Return the functions of this file by name."""
    assert isinstance(functions, Functions), functions
    return {each.function.rpartition(".")[2]: each for each in functions.functions if each.file == __file__}


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


def called_in(profile: cProfile.Profile) -> dict[str, int]:
    """Return how often each function was called while a profiler was on."""
    return {getattr(entry.code, "co_name", ""): entry.callcount for entry in profile.getstats()}


def test_the_apps_own_profiler_is_left_alone() -> None:
    """One that is on already is a reason not to begin, and stays on."""
    own = cProfile.Profile()

    async def work(_: Client) -> None:
        cheap()

    async def profiled() -> tuple[Functions | Refusal, None]:
        own.enable()
        try:
            with timed(shop()) as service:
                return await _measured(
                    Client(service.app), work, FunctionsRequest(id="f", route="GET /x"), None, None
                )
        finally:
            own.disable()

    refusal, _ = asyncio.run(profiled())
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith("another profiler is on in this worker (cProfile")
    assert called_in(own)["cheap"] == 1


@each_meter
def test_a_profiler_of_the_endpoints_own_goes_on() -> None:
    """An endpoint that profiles itself gets its profile, and the other one ends with a sentence."""
    profiles: list[cProfile.Profile] = []
    app = FastAPI()

    @app.get("/x")
    async def x() -> str:
        own = cProfile.Profile()
        profiles.append(own)
        own.enable()
        dear()
        own.disable()
        return "x"

    answer, _ = measure(app, times(2), requests=2)
    for own in profiles:
        assert called_in(own)["dear"] == called_in(own)["spin"] == 1
    if sys.version_info >= (3, 12):  # they are in each other's way no more
        assert named(answer)["dear"].calls == 2
    else:
        assert isinstance(answer, Refusal)
        assert "one that was switched on meanwhile" in answer.reason


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
        patch.setitem(globals(), "take_functions", taken)
        with pytest.raises(asyncio.CancelledError):
            measure(app, work)


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
