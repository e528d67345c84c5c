"""A route for each place where a request's time may go, and all of its time goes there: it is named.

One worker under uvicorn, with a real PostgreSQL, a real Redis and another service; what is held against its
places is what the route's screen says of an average request.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from perftui.model.route_summary import RouteSummary
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.details.route_blocks import parts, spent
from tests.agent.watching import Frames, watching
from tests.support.frames import dashboard_of, joined, received, worker
from tests.support.other_service import other_service
from tests.support.postgres import postgres
from tests.support.redis import redis_server
from tests.support.servers import Service, running, wait_until, write_app

SOURCE = """
    import asyncio, contextvars, os, time
    from contextlib import asynccontextmanager
    import anyio.to_thread, httpx
    from fastapi import BackgroundTasks, FastAPI
    from pydantic import BaseModel
    from redis.asyncio import Redis
    from sqlalchemy import create_engine, text
    from sqlalchemy.ext.asyncio import create_async_engine
    from perftui_agent import instrument

    main = create_async_engine(os.environ["DATABASE"])
    narrow = create_async_engine(os.environ["DATABASE"], pool_size=1, max_overflow=0)
    file = create_engine("sqlite:///shop.db")
    cache = Redis.from_url(os.environ["REDIS"])
    UPDATE = text("UPDATE items SET stock = stock - 1 WHERE id = 1")

    @asynccontextmanager
    async def lifespan(app):
        with file.begin() as connection:
            connection.execute(text("CREATE TABLE items (stock int)"))
            connection.execute(text("INSERT INTO items VALUES (1000)"))
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        async with main.begin() as connection:
            await connection.execute(text("CREATE TABLE items (id int PRIMARY KEY, stock int)"))
            await connection.execute(text("INSERT INTO items VALUES (1, 1000)"))
        async with narrow.connect():
            pass
        await cache.ping()
        async with httpx.AsyncClient(verify=False) as app.state.client:
            yield

    app = instrument(FastAPI(lifespan=lifespan), service="shop")

    @app.get("/queued")
    async def queued():
        return 1

    @app.get("/hold")
    async def hold():
        time.sleep(0.5)

    def rest():
        # When it begins is known to 50 ms: the loop's clock ticks as often.
        time.sleep(1.4)

    @app.get("/loop")
    async def held_by_others():
        # Of nobody's request: what holds the loop has a context of its own.
        nobodys = contextvars.Context()
        asyncio.get_running_loop().call_later(0.001, rest, context=nobodys)
        await asyncio.sleep(0.002)

    @app.get("/threadpool")
    def in_a_thread():
        return 1

    @app.get("/keep-the-thread")
    def keep_the_thread():
        time.sleep(0.5)

    @app.get("/pool")
    async def wants_the_connection():
        async with narrow.connect():
            pass

    @app.get("/keep-the-connection")
    async def keep_the_connection():
        async with narrow.connect():
            await asyncio.sleep(0.5)

    @app.get("/database")
    async def asks_the_database():
        async with main.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(0.8)"))

    @app.get("/locks")
    async def waits_for_a_row():
        async with main.begin() as connection:
            await connection.execute(UPDATE)

    @app.get("/keep-the-row")
    async def keep_the_row():
        async with main.begin() as connection:
            await connection.execute(UPDATE)
            await asyncio.sleep(2.0)

    LONG_UPDATE = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000)"
        " UPDATE items SET stock = (SELECT max(i) FROM n)"
    )

    def write(statement, keep_s=0.0):
        with file.begin() as connection:
            connection.execute(text(statement))
            time.sleep(keep_s)

    # Beside the threadpool, which has one thread here.
    @app.get("/file-locks")
    async def waits_for_the_file():
        await asyncio.to_thread(write, "UPDATE items SET stock = stock - 1")

    @app.get("/keep-the-file")
    async def keep_the_file():
        await asyncio.to_thread(write, "UPDATE items SET stock = stock - 1", 1.5)

    @app.get("/file-works")
    async def works_in_the_file():
        await asyncio.to_thread(write, LONG_UPDATE)

    @app.get("/cache")
    async def asks_the_cache():
        await cache.execute_command("DEBUG", "SLEEP", "0.8")

    @app.get("/http")
    async def calls_another():
        await app.state.client.get(os.environ["OTHER"] + "/sleep/0.8/x")

    class Line(BaseModel):
        name: str
        tags: list[str]
        sizes: dict[str, float]

    LINES = [{"name": f"n{i}", "tags": ["a", "b", "c"], "sizes": {"x": 1.5, "y": i}} for i in range(40_000)]

    @app.get("/serialize", response_model=list[Line])
    async def says_much():
        return LINES

    @app.get("/background")
    async def works_afterwards(tasks: BackgroundTasks):
        tasks.add_task(asyncio.sleep, 0.3)
        return 1

    @app.get("/own")
    async def own():
        until = time.thread_time() + 0.06
        while time.thread_time() < until:
            pass
"""

PLACES = {
    "/queued": "queued",
    "/loop": "loop wait",
    "/threadpool": "thread wait",
    "/pool": "pool wait",
    "/database": "SQL",
    "/locks": "DB locks",
    "/file-locks": "DB locks",
    "/file-works": "SQL",
    "/cache": "cache",
    "/http": "HTTP",
    "/serialize": "serialize",
    "/own": "the rest",
}
"""The route, and what its screen calls the place."""

TIMES = 3

BEFORE = {
    "/queued": "/hold",
    "/threadpool": "/keep-the-thread",
    "/pool": "/keep-the-connection",
    "/locks": "/keep-the-row",
    "/file-locks": "/keep-the-file",
}
"""What somebody else asks for just before it, so that there is something to wait for."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Summary]:
    app = write_app(tmp_path_factory.mktemp("app"), SOURCE)
    with postgres() as database, redis_server() as redis, other_service() as other:
        env = {
            "DATABASE": database,
            "REDIS": redis.url,
            "OTHER": f"http://127.0.0.1:{other.port}",
        }
        with running(app, workers=1, env=env) as service, watching(service) as frames:
            for path in [*PLACES, "/background"]:
                for _ in range(TIMES):
                    ask(service, path)
            wait_until(lambda: is_all_told(summary_of(frames)), "all requests and tasks to be told of")
            yield summary_of(frames)


def ask(service: Service, path: str) -> None:
    """Ask once, while somebody has what it needs."""
    other = threading.Thread(target=service.get, args=(BEFORE[path],)) if path in BEFORE else None
    if other is not None:
        other.start()
        time.sleep(0.05)
    (answer,) = service.get(path)
    assert answer.status_code == 200, answer.text[:200]
    if other is not None:
        other.join()


def is_all_told(summary: Summary) -> bool:
    """Say whether every request that was made has been told of, and what it left behind."""
    told = {route.route: route for route in summary.routes}
    return (
        all(f"GET {path}" in told and told[f"GET {path}"].requests == TIMES for path in PLACES)
        and "GET /background" in told
        and told["GET /background"].backgrounds == TIMES
    )


def summary_of(frames: Frames) -> Summary:
    """Return the picture of all frames there are."""
    sent = list(frames.seen)
    until = sent[-1].ended_at / 1e9
    dashboard = dashboard_of(
        joined(worker(), sent[0].ended_at / 1e9 - 2), *(received(worker(), each) for each in sent)
    )
    return summarize(dashboard, until + 0.5, 600.0)


def shares(route: RouteSummary) -> dict[str, float]:
    """Return what each place has of an average request, and what is left."""
    mean_ms = route.total_ms / route.latency.count
    known = {name: value / mean_ms for name, value, _ in parts(route) if value is not None}
    return {**known, "the rest": 1.0 - sum(known.values())}


@pytest.mark.parametrize(("path", "place"), PLACES.items())
def test_where_all_of_the_time_goes_is_named(seen: Summary, path: str, place: str) -> None:
    """With nine tenths of it or more; what no place has is less than a twentieth."""
    route = seen.route(f"GET {path}")
    assert route is not None
    assert route.latency.count == TIMES
    told = shares(route)
    assert told[place] >= 0.9, told
    if place != "the rest":
        assert told["the rest"] < 0.05, told
    lines = ["".join(cell.text for cell in line) for line in spent(seen, route, 100)]
    longest = max(lines[1:], key=lambda line: line.count("━"))
    assert longest.split("  ")[1].strip() == place


def test_what_is_done_afterwards_is_told_apart(seen: Summary) -> None:
    """Background tasks are in nobody's latency, and no place of it."""
    route = seen.route("GET /background")
    assert route is not None
    assert route.background_p95_ms is not None
    assert 290.0 < route.background_p95_ms < 900.0
    assert (route.latency.max_ms or 0.0) < 150.0
    assert shares(route).get("background", 0.0) == 0.0
