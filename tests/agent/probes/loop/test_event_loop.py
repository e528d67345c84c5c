"""A blocked event loop is told of with its length, its place and its route."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from perftui_agent.wire.boxes import read_box
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.registration import read_registrations
from tests.agent.watching import Frames, watching
from tests.support.servers import Service, running, write_app

APP = """
    import asyncio, re, time
    from fastapi import Depends, FastAPI
    from perftui_agent import instrument

    app = instrument(FastAPI())

    def rest():
        time.sleep(0.4)                                       # line 9

    def spin(seconds):
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:                    # lines 13, 14
            sum(range(100))

    async def held_by_a_dependency():
        rest()                                                # line 17

    @app.get("/sleeps")
    async def sleeps():
        await asyncio.sleep(0)
        time.sleep(0.6)                                       # line 22

    @app.get("/spins/{seconds}")
    async def spins(seconds: float):
        spin(seconds)                                         # line 26

    @app.get("/depends", dependencies=[Depends(held_by_a_dependency)])
    async def depends(): ...

    @app.get("/held-by-c")
    async def held_by_c():
        re.match("(a+)+b", "a" * 22)                          # line 33

    @app.get("/in-a-task")
    async def in_a_task():
        async def child():
            time.sleep(0.3)                                   # line 38
        await asyncio.gather(child(), child())

    @app.get("/by-callback")
    async def by_callback():
        asyncio.get_running_loop().call_later(0.01, rest)
        await asyncio.sleep(0.02)

    @app.get("/thread-held-by-c")
    def thread_held_by_c():
        re.match("(a+)+b", "a" * 22)                          # line 48

    @app.get("/comprehends")
    async def comprehends():
        return sum([                                          # line 52
            sum(number for number in range(200))              # line 53
            for _ in range(40_000)
        ])

    @app.get("/serializes")
    async def serializes():
        return [{"number": number} for number in range(150_000)]

    class Middleware:
        def __init__(self, app): self.app = app
        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)

    app.add_middleware(Middleware)

    @app.get("/waits")
    async def waits():
        await asyncio.sleep(0.2)

    async def refresh():
        await asyncio.sleep(0.3)
        rest()

    @app.get("/starts-a-refresher")
    async def starts_a_refresher():
        app.state.refresher = asyncio.create_task(refresh())

    @app.get("/quick")
    async def quick(): ...
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


def blocked(service: Service, frames: Frames, path: str, in_where: str) -> Incident:
    service.get(path)
    return frames.incident(in_where)


def test_a_sleep_on_the_loop_is_named_by_the_line_that_calls_it(service: Service, frames: Frames) -> None:
    """`time.sleep` in an async endpoint is told of with its line, function, route and length."""
    incident = blocked(service, frames, "/sleeps", "sleeps")
    assert (incident.kind, incident.where, incident.route) == (
        "loop-blocked",
        "app.py:22 sleeps",
        "GET /sleeps",
    )
    assert 550e6 < incident.ns < 1500e6


def test_a_spin_is_named_by_the_function_that_spins(service: Service, frames: Frames) -> None:
    """Python code that computes is told of with the innermost function of the app, and who called it."""
    incident = blocked(service, frames, "/spins/0.5", "spin")
    assert incident.where in {"app.py:13 spin", "app.py:14 spin"}
    assert incident.route == "GET /spins/{seconds}"
    assert incident.stack[1] == "app.py:26 spins"
    assert len(incident.stack) <= 20


def test_two_functions_that_block_are_two_incidents(service: Service, frames: Frames) -> None:
    """Each block is told of apart, once, after it is over."""
    service.get("/sleeps")
    service.get("/spins/0.4")
    frames.incident("sleeps")
    frames.incident("spin")
    over = [one for frame in frames.seen for one in frame.incidents if not one.ongoing]
    assert [one.route for one in over] == ["GET /sleeps", "GET /spins/{seconds}"]


def test_a_block_that_goes_on_is_in_every_frame(service: Service, frames: Frames) -> None:
    """While the loop is held, each frame says so, with place and route; then comes the whole length."""
    thread = threading.Thread(target=service.get, args=("/spins/2.5",))
    thread.start()
    ongoing = frames.until(lambda frame: any(one.ongoing for one in frame.incidents))
    assert ongoing.loop is not None
    assert ongoing.loop.blocked_at in {"app.py:13 spin", "app.py:14 spin"}
    assert (ongoing.loop.blocked_route, ongoing.loop.blocked_ns > 0) == ("GET /spins/{seconds}", True)
    whole = frames.incident("spin")
    thread.join()
    assert whole.at == ongoing.incidents[0].at
    assert whole.ns > 2400e6 > ongoing.incidents[0].ns


def test_a_comprehension_is_a_line_of_its_function(service: Service, frames: Frames) -> None:
    """Whether Python gives it a frame of its own is no affair of the reader's."""
    incident = blocked(service, frames, "/comprehends", "comprehends")
    assert incident.where == "app.py:53 comprehends"
    assert incident.stack[0].endswith(" comprehends")
    assert not any(place.endswith(("comp>", "genexpr>")) for place in incident.stack)


def test_what_a_library_does_is_not_the_middlewares(service: Service, frames: Frames) -> None:
    """Making JSON of much takes long, within a middleware of the app's, but that is not what is slow."""
    incident = blocked(service, frames, "/serializes", "")
    assert incident.where.startswith(("fastapi/", "starlette/", "pydantic/"))
    assert incident.route == "GET /serializes"


def test_a_dependency_that_blocks_belongs_to_its_route(service: Service, frames: Frames) -> None:
    """What blocks need not be the endpoint: the route is that of the request which ran."""
    incident = blocked(service, frames, "/depends", "rest")
    assert (incident.where, incident.route) == ("app.py:9 rest", "GET /depends")
    assert incident.stack[1] == "app.py:17 held_by_a_dependency"


def test_c_code_that_holds_the_gil_is_found_by_its_caller(service: Service, frames: Frames) -> None:
    """A hopeless regular expression stops the agent's thread too, and is told of right afterwards."""
    incident = blocked(service, frames, "/held-by-c", "held_by_c")
    assert (incident.where, incident.route) == ("app.py:33 held_by_c", "GET /held-by-c")


def test_a_thread_that_holds_the_gil_is_found_too(service: Service, frames: Frames) -> None:
    """A sync endpoint runs beside the loop, but C code in it can stop the loop all the same.

    Now and then the loop gets the GIL first, and nobody has seen it: then it is lag alone.
    """
    service.get("/thread-held-by-c", times=3)
    incident = blocked(service, frames, "/thread-held-by-c", "thread_held_by_c")
    assert (incident.where, incident.route) == ("app.py:48 thread_held_by_c", "GET /thread-held-by-c")


def test_a_task_that_blocks_belongs_to_the_request_that_made_it(service: Service, frames: Frames) -> None:
    """Tasks of a request's own are its own."""
    incident = blocked(service, frames, "/in-a-task", "child")
    assert (incident.where, incident.route) == ("app.py:38 in_a_task.<locals>.child", "GET /in-a-task")


def test_a_callback_that_blocks_belongs_to_no_request(service: Service, frames: Frames) -> None:
    """A callback of the loop is told of with its place, and without a route."""
    incident = blocked(service, frames, "/by-callback", "rest")
    assert (incident.where, incident.route) == ("app.py:9 rest", None)


def test_a_task_that_blocks_after_its_request_has_left_belongs_to_none(
    service: Service, frames: Frames
) -> None:
    """A refresher that the first visitor starts is not his for as long as the process lives."""
    incident = blocked(service, frames, "/starts-a-refresher", "rest")
    assert incident.stack[1].endswith(" refresh")
    assert incident.route is None


def test_a_loop_that_turns_is_no_incident(service: Service, frames: Frames) -> None:
    """Requests that wait or are quick block nothing."""
    service.get("/waits", times=3)
    service.get("/quick", times=50)
    frames.until(lambda frame: any(route.route == "GET /quick" for route in frame.routes))
    assert [one for frame in frames.seen for one in frame.incidents] == []


def test_the_kind_of_loop_is_told(service: Service, frames: Frames, tmp_path: Path) -> None:
    """Frames say whether the app runs on asyncio's own loop or on uvloop."""
    loop = frames.seen[-1].loop
    assert loop is not None
    command = " ".join(service.process.args) if isinstance(service.process.args, list) else ""
    assert f"--loop {loop.kind}" in command


def test_blocks_shorter_than_a_beat_are_named_when_they_are_asked_for(tmp_path: Path) -> None:
    """With a threshold of 20 ms the agent looks often enough to see one of 60."""
    app = write_app(tmp_path, APP)
    with running(app, workers=1, env={"PERFTUI_BLOCK_MS": "20"}) as service, watching(service) as frames:
        for _ in range(5):
            service.get("/spins/0.06")
        incident = frames.incident("spin")
        assert incident.route == "GET /spins/{seconds}"
        assert incident.ns >= 20e6


STARTING_APP = """
    import time
    from contextlib import asynccontextmanager
    from fastapi import FastAPI
    from perftui_agent import instrument

    @asynccontextmanager
    async def lifespan(app):
        time.sleep(1.2)
        yield

    app = instrument(FastAPI(lifespan=lifespan))

    @app.get("/sleeps")
    async def sleeps():
        time.sleep(0.6)
"""


def test_what_holds_the_loop_before_the_first_request_is_start_up(tmp_path: Path) -> None:
    """A model that is loaded in the lifespan keeps nobody waiting; the first request that blocks does."""
    with running(write_app(tmp_path, STARTING_APP), workers=1) as service, watching(service) as frames:
        service.get("/sleeps")
        frames.incident("sleeps")
        ((_, registration),) = read_registrations(service.runtime_dir)
        _, kept = read_box(Path(registration.socket).with_suffix(".ring"))
        assert any(frame.loop and frame.loop.blocked_ns for frame in kept)
        over = [one for frame in kept for one in frame.incidents if not one.ongoing]
        assert [one.route for one in over] == ["GET /sleeps"]
