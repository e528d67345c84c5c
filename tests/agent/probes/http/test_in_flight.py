"""Requests in flight are listed, and those that take long say where they wait."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal

import httpx
import pytest

from perftui_agent.probes.http.in_flight import InFlightProbe
from perftui_agent.probes.probe import ON
from perftui_agent.records import CHUNKED, RequestRecord, Scope
from perftui_agent.window.window import Window
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import InFlight
from tests.agent.watching import Frames, watching
from tests.support.requests import begin
from tests.support.servers import Service, running, write_app

APP = """
    import asyncio, threading, time
    from contextlib import asynccontextmanager
    import aiosqlite, anyio, httpx
    from fastapi import Depends, FastAPI, Request
    from fastapi.responses import StreamingResponse
    from starlette.middleware.base import BaseHTTPMiddleware
    from perftui_agent import instrument

    app = instrument(FastAPI())
    never = asyncio.Event()

    async def forever():
        await never.wait()                                        # line 14

    async def a_dependency():
        await forever()                                           # line 17

    async def a_yielding_dependency():
        await never.wait()                                        # line 20
        yield

    @asynccontextmanager
    async def a_context():
        await never.wait()                                        # line 25
        yield

    @app.get("/sleep/{name}")
    async def sleep(name: str):
        await asyncio.sleep(1000)                                 # line 30

    @app.get("/queue")
    async def queue():
        await asyncio.Queue().get()                               # line 34

    @app.get("/depends", dependencies=[Depends(a_dependency)])
    async def depends(): ...

    @app.get("/yielding", dependencies=[Depends(a_yielding_dependency)])
    async def yielding(): ...

    @app.get("/context")
    async def context():
        async with a_context(): ...

    @app.get("/group")
    async def group():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(forever())

    @app.get("/anyio-group")
    async def anyio_group():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(forever)

    @app.get("/gather")
    async def gather():
        await asyncio.gather(asyncio.sleep(0), forever())

    @app.get("/wait-for")
    async def wait_for():
        await asyncio.wait_for(forever(), 1000)

    @app.get("/aside")
    async def aside():
        task = asyncio.create_task(forever())
        await never.wait()                                        # line 67

    @app.get("/thread")
    def thread():
        time.sleep(10)                                            # line 71

    @app.get("/sqlite")
    async def sqlite():
        async with aiosqlite.connect(":memory:") as db:
            await db.execute(                                     # line 76
                "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
                "SELECT max(x) FROM (SELECT x FROM n LIMIT 60000000)"
            )

    @app.get("/httpx")
    async def over_http(request: Request):
        async with httpx.AsyncClient(timeout=1000, trust_env=False, verify=False) as client:
            await client.get(str(request.base_url) + "sleep/inner")   # line 84

    @app.get("/anext")
    async def a_next():
        async def numbers():
            await never.wait()                                    # line 89
            yield 1
        async for _ in numbers(): ...

    @app.get("/body")
    async def body(request: Request):
        await request.body()                                      # line 95

    @app.get("/spins")
    async def spins():
        until = time.perf_counter() + 4
        while time.perf_counter() < until: sum(range(100))        # line 100

    @app.post("/takes")
    async def takes(body: dict): ...

    class Middleware(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            return await call_next(request)

    class Inner:
        def __init__(self, app): self.app = app
        async def __call__(self, scope, receive, send):
            if scope.get("path") == "/in-middleware":
                await never.wait()                                # line 113
            await self.app(scope, receive, send)

    wrapped = FastAPI()

    @wrapped.get("/in-a-middlewares-task")
    async def in_a_middlewares_task():
        await never.wait()                                        # line 112

    wrapped.add_middleware(Middleware)
    app.mount("/wrapped", wrapped)
    app.add_middleware(Inner)
    silence = threading.Event()

    @app.get("/poll")
    async def poll():
        try:
            async with asyncio.timeout(3):
                await never.wait()
        except TimeoutError:
            return []

    @app.get("/chat")
    def chat():
        silence.wait(3)
        return []
"""

PLACES = {
    "/sleep/1": "app.py:30 sleep",
    "/queue": "app.py:34 queue",
    "/depends": "app.py:14 forever",
    "/yielding": "app.py:20 a_yielding_dependency",
    "/context": "app.py:25 a_context",
    "/group": "app.py:14 forever",
    "/anyio-group": "app.py:14 forever",
    "/gather": "app.py:14 forever",
    "/wait-for": "app.py:14 forever",
    "/aside": "app.py:67 aside",
    "/thread": "app.py:71 thread",
    "/sqlite": "app.py:76 sqlite",
    "/httpx": "app.py:84 over_http",
    "/anext": "app.py:89 a_next.<locals>.numbers",
    "/in-middleware": "app.py:113 Inner.__call__",
    "/wrapped/in-a-middlewares-task": "app.py:120 in_a_middlewares_task",
}
"""What to ask for, and where it waits then."""


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    loop: Literal["asyncio", "uvloop"] = request.param
    app = write_app(tmp_path_factory.mktemp("app"), APP)
    with running(app, workers=1, loop=loop) as service:
        yield service


@pytest.fixture
def frames(service: Service) -> Iterator[Frames]:
    with watching(service) as frames:
        yield frames


def ask(service: Service, path: str) -> None:
    """Begin a request whose answer nobody waits for."""

    def get() -> None:
        with service.client() as client, contextlib.suppress(httpx.TransportError):
            client.get(path, timeout=15)

    threading.Thread(target=get, daemon=True).start()


@contextlib.contextmanager
def asking(service: Service, *paths: str) -> Iterator[None]:
    """Ask for each path over the block, again and again: on a busy machine looks are far apart."""
    over = threading.Event()

    def get(path: str) -> None:
        with service.client() as client:
            while not over.is_set():
                client.get(path)

    clients = [threading.Thread(target=get, args=(path,)) for path in paths]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        over.set()
        for client in clients:
            client.join()


def rows_by_path(frame: Frame) -> dict[str, InFlight]:
    return {row.path: row for row in frame.in_flight_rows}


def test_each_says_where_it_waits(service: Service, frames: Frames) -> None:
    """Through dependencies, task groups, middleware, threads and libraries: the app's innermost line."""
    for path in PLACES:
        ask(service, path)
    frame = frames.until(all_wait)
    rows = rows_by_path(frame)
    assert {path: rows[path].waiting_at for path in PLACES} == PLACES
    assert rows["/sleep/1"].route == "GET /sleep/{name}"
    assert frame.in_flight >= len(PLACES)
    ages = [row.age_ns for row in frame.in_flight_rows]
    assert ages == sorted(ages, reverse=True)


def all_wait(frame: Frame) -> bool:
    return all(is_told(frame, path) for path in PLACES)


def is_told(frame: Frame, path: str) -> bool:
    """Whether a frame says where the request for `path` waits."""
    rows = rows_by_path(frame)
    return path in rows and rows[path].waiting_at is not None


def test_routes_that_wait_on_purpose_are_seen_to(service: Service, frames: Frames) -> None:
    """For an event, three seconds at most, on the loop and in a thread; a sleep is not told of as news."""
    ask(service, "/sleep/2")
    with asking(service, *["/poll"] * 3, *["/chat"] * 3):
        # Between two of them a request is at something else, or has just begun.
        frame = frames.until(lambda frame: giving_up(frame).keys() >= {"/poll", "/chat"}, 120)
        assert all(row.on_purpose for row in frame.in_flight_rows if row.gives_up_ns)
        # Of its age: on a busy machine a request waits before the app has it do so.
        assert 2.9e9 < giving_up(frame)["/poll"] < 15e9
        for route in ("GET /poll", "GET /chat"):
            frames.until(partial(is_long_poll, route), 120)
    sleeping = next(row for row in frames.seen[-1].in_flight_rows if row.path == "/sleep/2")
    assert (sleeping.on_purpose, sleeping.gives_up_ns) == (False, None)


def giving_up(frame: Frame) -> dict[str, int]:
    """Return at which age, in ns, a request for each path gives up waiting for news."""
    return {row.path: row.gives_up_ns for row in frame.in_flight_rows if row.gives_up_ns}


def is_long_poll(label: str, frame: Frame) -> bool:
    """Whether a frame says that a route is seen to wait on purpose."""
    return ("seen", label) in {(row.long_poll, row.route) for row in frame.routes}


def test_who_holds_the_loop_is_at_a_line_too(service: Service, frames: Frames) -> None:
    """A request that computes waits for nothing; where it is says more than where it was."""
    with asking(service, "/spins"):
        frame = frames.until(lambda frame: is_told(frame, "/spins"), 120)
    assert rows_by_path(frame)["/spins"].waiting_at in {"app.py:99 spins", "app.py:100 spins"}


def test_who_has_not_come_to_the_apps_code_is_at_a_line_of_a_library(
    service: Service, frames: Frames
) -> None:
    """Whose body does not arrive waits in the server, and not in the depths of asyncio."""
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(b"POST /takes HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        frame = frames.until(lambda frame: is_told(frame, "/takes"))
    place = rows_by_path(frame)["/takes"].waiting_at
    assert place is not None
    assert place.startswith("uvicorn/")


class Labels:
    """Names every request in flight alike."""

    def label(self, scope: Scope, status: int = 0) -> str:
        return "GET /{path}"


class NoLoop:
    """An app without a loop."""

    loop = None
    thread_id = None


def in_flight(window: Window, started_ns: int, path: str = "/p") -> RequestRecord:
    scope = {"method": "GET", "path": path, "query_string": b"secret=1"}
    return begin(window, started_ns, scope=scope, labels=Labels())


def filled(window: Window, holds: Mapping[RequestRecord, str] = MappingProxyType({})) -> list[InFlight]:
    probe = InFlightProbe(window, NoLoop(), who_holds=lambda: holds)
    assert probe.attach() == ON
    frame = window.close(seq=1, ended_at_ns=1, span_ns=1)
    probe.fill(frame)
    return frame.in_flight_rows


def test_the_oldest_fifty_are_listed() -> None:
    """Of 200 requests in flight the oldest come, the very oldest first, and the count is true."""
    window = Window()
    now = time.perf_counter_ns()
    for age in range(200):
        in_flight(window, now - age * 1_000_000, f"/{age}")
    assert [row.path for row in filled(window)] == [f"/{age}" for age in range(199, 149, -1)]
    assert window.close(seq=2, ended_at_ns=1, span_ns=1).in_flight == 200


def test_who_has_what_others_wait_for_is_among_them() -> None:
    """However young: up to twenty of them, in their places by age."""
    window = Window()
    now = time.perf_counter_ns()
    records = [in_flight(window, now - age * 1_000_000, f"/{age}") for age in range(200)]
    rows = filled(window, dict.fromkeys(records[:30], "shop.db"))
    assert [row.path for row in rows] == [f"/{age}" for age in (*range(199, 169, -1), *range(29, 9, -1))]
    assert [row.holds for row in rows] == [""] * 30 + ["shop.db"] * 20


def test_a_row_has_the_path_and_no_query() -> None:
    """Query strings never leave the process, and a path is cut at 300 characters."""
    window = Window()
    in_flight(window, time.perf_counter_ns(), "/" + "x" * 5000)
    (row,) = filled(window)
    assert (row.method, row.route, len(row.path), row.waiting_at) == ("GET", "GET /{path}", 300, None)


def test_open_streams_are_not_in_flight() -> None:
    """Who downloads or listens is not stuck."""
    window = Window()
    record = in_flight(window, 1)
    record.streaming = CHUNKED
    assert filled(window) == []


def test_a_request_that_ends_meanwhile_is_left_out() -> None:
    """Between counting and listing a request may have gone."""
    window = Window()
    record = in_flight(window, 1)
    record.scope = None
    assert filled(window) == []
