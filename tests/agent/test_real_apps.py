"""What a real service's frames tell of its threads, its collections and its slowest requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Literal

import pytest

from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import RouteFrame, SlowRequest, Span
from tests.agent.watching import Frames, watching
from tests.support.servers import Service, running, write_app

APP = """
    import asyncio, gc, time
    from contextlib import asynccontextmanager
    import anyio.to_thread
    from fastapi import FastAPI, Request
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from starlette.middleware.gzip import GZipMiddleware
    from perftui_agent import instrument

    @asynccontextmanager
    async def lifespan(app):
        anyio.to_thread.current_default_thread_limiter().total_tokens = 2
        yield

    app = instrument(FastAPI(lifespan=lifespan))
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    engine = create_async_engine("sqlite+aiosqlite://")

    @app.get("/in-a-thread")
    def in_a_thread():
        time.sleep(0.3)

    @app.get("/collects")
    async def collects():
        gc.collect()

    @app.get("/n-plus-one")
    async def n_plus_one():
        async with engine.connect() as connection:
            for number in range(12):
                await connection.execute(text("SELECT :number + 0"), {"number": number % 4})
        return [{"number": number} for number in range(20_000)]

    @app.get("/waits")
    async def waits():
        app.state.blocked = asyncio.Event()
        await app.state.blocked.wait()

    @app.get("/blocks")
    async def blocks():
        app.state.blocked.set()
        time.sleep(0.5)                       # line 43

    @app.post("/takes")
    async def takes(request: Request):
        return len(await request.body())
"""


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


def together(service: Service, *paths: str) -> None:
    """Ask for all `paths` at once; return when all are answered."""
    threads = [threading.Thread(target=service.get, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def route(frames: Frames, label: str) -> RouteFrame:
    """Return the first frame's account of a route."""

    def of(frame: Frame) -> list[RouteFrame]:
        return [route for route in frame.routes if route.route == label]

    return of(frames.until(of))[0]


def slow(frames: Frames, label: str) -> SlowRequest:
    """Return the slowest request of a route, from the first frame that has one."""

    def of(frame: Frame) -> list[SlowRequest]:
        return [request for request in frame.slowest if request.route == label]

    return of(frames.until(of))[0]


def spans(request: SlowRequest, kind: str) -> list[Span]:
    return [span for span in request.spans if span.kind == kind]


def test_an_exhausted_threadpool_shows_who_waits(service: Service, frames: Frames) -> None:
    """Twelve sync requests and two threads: the pool is full, there is a queue, and the requests say so."""
    together(service, *["/in-a-thread"] * 12)
    full = frames.until(lambda frame: frame.threadpool is not None and frame.threadpool.waiting)
    assert full.threadpool is not None
    assert (full.threadpool.used, full.threadpool.total) == (2, 2)
    frames.until(lambda frame: frame.threadpool is not None and frame.threadpool.wait.max > 200e6)
    frames.until(lambda frame: any(one.threadpool_wait_ns for one in frame.routes))
    last = frames.until(lambda frame: any(one.total_ns > 1000e6 for one in frame.slowest)).slowest[0]
    (span,) = spans(last, "threadpool")
    assert span.ns > last.total_ns / 2


def test_a_collection_is_a_pause(service: Service, frames: Frames) -> None:
    """A full collection that the app asks for is in the frame, by its generation."""
    service.get("/collects")
    frame = frames.until(lambda frame: frame.gc is not None and frame.gc.collections.get(2))
    assert frame.gc is not None
    assert frame.gc.pauses.max > 0


def test_a_slow_request_tells_its_story(service: Service, frames: Frames) -> None:
    """Twelve like statements are one span with four different values, and building the response is one."""
    service.get("/n-plus-one")
    story = slow(frames, "GET /n-plus-one")
    assert (story.method, story.path, story.status) == ("GET", "/n-plus-one", 200)
    (statement,) = [span for span in spans(story, "sql") if "SELECT" in span.name]
    assert (statement.count, statement.distinct_binds) == (12, 4)
    (serialized,) = spans(story, "serialize")
    assert statement.start_ns + statement.ns <= serialized.start_ns + serialized.ns <= story.total_ns
    told = route(frames, "GET /n-plus-one")
    assert told.sql_count == sum(span.count for span in spans(story, "sql"))
    assert (told.serialized, told.serialize_ns) == (1, serialized.ns)


def test_others_wait_for_a_held_loop(service: Service, frames: Frames) -> None:
    """Who was in flight while the loop was held has waited for it; who held it has not."""
    thread = threading.Thread(target=service.get, args=("/waits",))
    thread.start()
    frames.until(lambda frame: any(row.route == "GET /waits" for row in frame.in_flight_rows))
    service.get("/blocks")
    thread.join()
    waited = frames.until(lambda frame: any(one.loop_wait_ns for one in frame.routes))
    assert "GET /blocks" not in {one.route for one in waited.routes if one.loop_wait_ns}
    stories = [one for frame in frames.seen for one in frame.slowest if spans(one, "loop")]
    assert {spans(one, "loop")[0].name for one in stories} == {"app.py:43 blocks"}


def test_compressed_responses_are_counted(service: Service, frames: Frames) -> None:
    """A response that a middleware compresses counts as such."""
    with service.client() as client:
        client.get("/n-plus-one", headers={"Accept-Encoding": "gzip"})
        assert route(frames, "GET /n-plus-one").compressed == 1


def test_every_probe_says_how_it_is(service: Service, frames: Frames) -> None:
    """All of them are on in an app that uses what they watch."""
    service.get("/in-a-thread")
    names = {"event loop", "process", "threadpool", "gc", "in flight", "serialization"}
    frame = frames.until(lambda frame: frame.probes.get("threadpool") == "on")
    assert {name: frame.probes[name] for name in names} == dict.fromkeys(names, "on")
    assert frame.agent.faults == {}
