"""Promise 9 on real servers: what is told of requests is what their clients felt, whatever holds the loop."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tests.support.disturbed as disturbed
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.requests import RouteFrame
from tests.agent.watching import Frames, watching
from tests.support.open_loop import felt, quantile_ms
from tests.support.seen import add_route
from tests.support.servers import Loop, Service, running, write_app

MS = 1_000_000

RATE, SECONDS = 40, 6.0


def about(expected_ms: float) -> object:
    """Return what figures are compared with: of machines that do other things meanwhile."""
    return pytest.approx(expected_ms, rel=0.3, abs=60.0)


@pytest.mark.parametrize(
    ("kind", "loop", "http"),
    [
        ("held", "uvloop", "h11"),
        ("gil", "asyncio", "h11"),
        ("stopped", "asyncio", "httptools"),
        ("stopped", "uvloop", "httptools"),
    ],
)
def test_promise_9_latency_and_lag_are_what_was_felt(kind: str, loop: Loop, http: str) -> None:
    """An open-loop client's p95, and a callback's wait at a random moment: an ASGI layer sees neither."""
    root = str(Path(disturbed.__file__).parents[2])
    app, env = f"{disturbed.__file__}:app", {"DISTURBED": kind, "PYTHONPATH": root}
    with (
        running(app, workers=1, loop=loop, env=env, options=["--http", http]) as service,
        watching(service) as frames,
    ):
        service.get("/forget")
        frames.until(lambda frame: any(route.route == "GET /forget" for route in frame.routes))
        frames.seen.clear()
        (pid,) = service.pids()
        with disturbed.disturbing(kind, pid, cpu=0):
            was_felt = felt(service.port, "/", RATE, SECONDS)
        known = service.get("/known")[0].json()
        frames.until(lambda frame: any(route.route == "GET /known" for route in frame.routes))
        told = routes(frames)["GET /"]
        lag = LatencySketch.merged(frame.loop.lag for frame in frames.seen if frame.loop)
    assert told.status.success == told.latency.count == told.queue_known == len(was_felt)
    assert p95_ms(told.latency) == about(quantile_ms(was_felt, 0.95))
    assert 0 < told.queue.count < len(was_felt)
    if kind != "gil":  # its holds are no longer than what else a busy machine does to an ASGI layer
        assert quantile_ms(sorted(known["took_ns"]), 0.95) < p95_ms(told.latency) / 2
    assert (lag.quantile(0.99) or 0) / MS == about(quantile_ms(sorted(known["late_ns"]), 0.99))


def p95_ms(sketch: LatencySketch) -> float:
    return (sketch.quantile(0.95) or 0) / MS


def routes(frames: Frames) -> dict[str, RouteFrame]:
    """Return what the routes have done so far."""
    whole: dict[str, RouteFrame] = {}
    for frame in list(frames.seen):
        for part in frame.routes:
            add_route(whole, part)
    return whole


UPLOADS = """
    import asyncio, time
    from fastapi import FastAPI, Request
    from perftui_agent import instrument

    app = instrument(FastAPI())

    @app.get("/hold")
    async def hold():
        time.sleep(0.8)

    @app.get("/pipelined/{number}")
    async def pipelined(number: int):
        await asyncio.sleep(0.2)

    async def upload(request: Request):
        return len(await request.body())

    for path in ("/small", "/medium", "/large", "/slow"):
        app.add_api_route(path, upload, methods=["POST"])
"""


@pytest.fixture(scope="module", params=["h11", "httptools"])
def uploads(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    app = write_app(tmp_path_factory.mktemp("app"), UPLOADS)
    with running(app, workers=1, options=["--http", request.param]) as service:
        yield service


def beside_a_held_loop(service: Service, *clients: Callable[[socket.socket], object]) -> None:
    """Have clients speak while the loop is held; each to the end of its answer."""
    threads = []
    for client in (lambda connection: connection.sendall(head("GET", "/hold", 0)), *clients):
        threads.append(threading.Thread(target=_speak, args=(service, client)))
        threads[-1].start()
        time.sleep(0.2 if len(threads) == 1 else 0)
    for thread in threads:
        thread.join()


def _speak(service: Service, client: Callable[[socket.socket], object]) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        client(connection)
        while connection.recv(65536):
            pass


def head(method: str, path: str, length: int, connection: str = "close") -> bytes:
    lines = f"{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: {connection}\r\nContent-Length: {length}"
    return f"{lines}\r\n\r\n".encode()


def slowly(connection: socket.socket) -> None:
    """Send a body in parts, the last of them when the loop turns again."""
    connection.sendall(head("POST", "/slow", 50))
    for _ in range(5):
        time.sleep(0.2)
        connection.sendall(b"x" * 10)


def test_a_body_that_has_arrived_has_waited_and_one_on_its_way_is_not_known(uploads: Service) -> None:
    """A slow upload's last part is not its head, nor is what the kernel had no room for until it was read."""
    with watching(uploads) as frames:
        beside_a_held_loop(
            uploads,
            lambda connection: connection.sendall(head("POST", "/small", 10) + b"x" * 10),
            lambda connection: connection.sendall(head("POST", "/medium", 30_000) + b"x" * 30_000),
            lambda connection: connection.sendall(head("POST", "/large", 200_000) + b"x" * 200_000),
            slowly,
        )
        paths = {"POST /small", "POST /medium", "POST /large", "POST /slow"}
        frames.until(lambda _: paths <= set(routes(frames)))
        told = routes(frames)
    for route in (told["POST /small"], told["POST /medium"]):
        assert route.queue_known == route.queue.count == 1
        assert 300 * MS < route.queue.max < 800 * MS
        assert route.latency.max > route.queue.max
    for route in (told["POST /slow"], told["POST /large"]):
        # Nobody is asked once the loop has been on time for a while: then nothing waited, which is known.
        assert (route.latency.count, route.queue.count) == (1, 0)


def test_a_pipelined_request_waits_for_its_own_predecessor(uploads: Service) -> None:
    """It came before the answer to the first; who sends ahead waits for that by his own choice."""
    with watching(uploads) as frames:
        beside_a_held_loop(
            uploads,
            lambda connection: connection.sendall(
                head("GET", "/pipelined/1", 0, "keep-alive") + head("GET", "/pipelined/2", 0)
            ),
        )
        both = "GET /pipelined/{number}"
        frames.until(lambda _: both in (told := routes(frames)) and told[both].latency.count == 2)
        told = routes(frames)[both]
    # The first has waited for the loop; the second for nothing but the first.
    assert 300 * MS < told.queue.max < 800 * MS
    assert told.queue.total - told.queue.max < 150 * MS
