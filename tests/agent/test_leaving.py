"""Promise 9 on real servers: a client that leaves is seen, and one that has the whole answer has not left."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import StatusCounts
from tests.agent.watching import Frames, watching
from tests.support.seen import Seen
from tests.support.servers import Server, Service, running, write_app

APP = """
    import asyncio
    import sentry_sdk
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from starlette.middleware.cors import CORSMiddleware
    from perftui_agent import instrument

    inner = FastAPI()

    @inner.get("/slow")
    async def slow():
        await asyncio.sleep(1)

    @inner.get("/busy")
    async def busy():
        return JSONResponse({"sorry": "x" * 1000}, status_code=503)

    def pass_on(app):
        @app.middleware("http")
        async def passing(request, call_next):
            return await call_next(request)

    for _ in range(4):
        pass_on(inner)
    instrument(inner)
    sentry_sdk.init(dsn="http://key@localhost/1", transport=lambda _: None, traces_sample_rate=1.0)
    outer = FastAPI()
    outer.mount("/in", inner)
    wrapped = CORSMiddleware(OpenTelemetryMiddleware(outer), allow_origins=["*"])
    behind = FastAPI()
    behind.mount("/in", inner)
    pass_on(behind)
"""


def written(directory: Path, app: str) -> str:
    """Return where this app is served from."""
    return write_app(directory, APP).removesuffix(":app") + f":{app}"


@contextlib.contextmanager
def waking(service: Service) -> Iterator[Frames]:
    """Watch a service whose app is mounted, and so knows of no lifespan: a request wakes its agent."""
    service.get("/in/nothing")
    with watching(service) as frames:
        yield frames


def ask(service: Service, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", service.port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: shop\r\nOrigin: http://other\r\n\r\n".encode())
    return connection


def leave_early(service: Service, path: str) -> None:
    """Have three clients leave after 0.2 s."""
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(ask(service, path))
        time.sleep(0.2)


def take_and_leave(service: Service, path: str) -> None:
    """Have a client leave as soon as it has the whole answer, as curl does."""
    with ask(service, path) as connection:
        answer = connection.recv(65536)
        while len(answer.partition(b"\r\n\r\n")[2]) < 1000:
            answer += connection.recv(65536)


def told_of(frames: Frames, route: str, count: int) -> tuple[StatusCounts, Frame]:
    """Return how the requests of a route ended, once there are so many, and the last frame."""

    def seen() -> Seen:
        seen = Seen()
        for frame in list(frames.seen):
            seen.add(frame)
        return seen

    frames.until(lambda _: seen().requests.get(route, 0) >= count)
    last = seen()
    assert last.requests[route] == count
    assert last.routes[route].latency.count == count - last.routes[route].status.disconnected
    return last.routes[route].status, last.last


@pytest.mark.parametrize(
    ("server", "app"),
    [("uvicorn", "wrapped"), ("uvicorn", "behind"), ("gunicorn-asgi", "wrapped"), ("hypercorn", "wrapped")],
)
def test_promise_9_a_client_that_leaves_is_seen_whatever_stands_outside(
    tmp_path: Path, server: Server, app: str
) -> None:
    """CORS around OpenTelemetry around Sentry around a mount, or Starlette's middleware around one."""
    with (
        running(
            f"{write_app(tmp_path, APP).removesuffix(':app')}:{app}", workers=1, server=server
        ) as service,
        waking(service) as frames,
    ):
        leave_early(service, "/in/slow")
        for _ in range(30):
            take_and_leave(service, "/in/busy")
        left, last = told_of(frames, "GET /in/slow", 3)
        whole, _ = told_of(frames, "GET /in/busy", 30)
    assert left.disconnected == 3
    assert (whole.server_error, whole.disconnected) == (30, 0)
    assert (last.probes["clients"], last.probes["queue"], last.agent.faults) == ("on", "on", {})


def test_where_a_server_does_not_tell_it_is_said(tmp_path: Path) -> None:
    """granian lets nobody know when a client leaves, nor see its connections."""
    with (
        running(
            f"{write_app(tmp_path, APP).removesuffix(':app')}:wrapped", workers=1, server="granian"
        ) as service,
        waking(service) as frames,
    ):
        leave_early(service, "/in/slow")
        told, last = told_of(frames, "GET /in/slow", 3)
    assert told.success == 3
    assert last.probes["clients"] == "off: granian does not tell when a client leaves"
    assert last.probes["queue"] == "off: granian does not show its connection"
    assert all(route.queue_known == 0 for frame in frames.seen for route in frame.routes)


def test_on_a_unix_socket_nobody_knows_how_long_a_request_has_waited(tmp_path: Path) -> None:
    """And nothing is made up of those that were on time."""
    uds = str(tmp_path / "app.sock")
    with running(written(tmp_path, "inner"), workers=1, uds=uds) as service, watching(service) as frames:
        service.get("/busy", times=5)
        told_of(frames, "GET /busy", 5)
    assert frames.seen[-1].probes["queue"] == "off: Unix sockets have no such clock"
    assert all(route.queue_known == 0 for frame in frames.seen for route in frame.routes)
