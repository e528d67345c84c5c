"""Work that leaves its request, and work that a request has only started, under a real server."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.agent.watching import watching
from tests.support.servers import Loop, running, write_app

APP = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool
from perftui_agent import instrument

app = instrument(FastAPI())
engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
events, consumed = asyncio.Queue(), asyncio.Queue()

def run(statement):
    with engine.connect() as connection:
        return connection.execute(text(statement)).all()

async def consume():
    while True:
        await events.get()
        run("SELECT 1 AS of_the_consumer")
        await consumed.put(None)

@app.get("/events")
async def stream():
    async def parts():
        yield "data: 0\\n\\n"
        app.state.consumer = asyncio.create_task(consume())
        for number in range(1, 4):
            await consumed.get()
            run("SELECT 1 AS of_the_stream")
            yield f"data: {number}\\n\\n"
    return StreamingResponse(parts(), media_type="text/event-stream")

@app.get("/emit")
async def emit():
    await events.put(None)
    run("SELECT 1 AS of_emit")

@app.get("/jobs")
async def jobs():
    loop = asyncio.get_running_loop()
    for _ in range(10):
        await loop.run_in_executor(None, run, "SELECT 1 AS of_a_job")

@app.post("/goes-on")
async def goes_on(later: BackgroundTasks, body: dict):
    async def background():
        await asyncio.sleep(1.0)
        run("SELECT 1 AS in_the_background")
    later.add_task(background)

@app.websocket("/socket")
async def websocket(socket: WebSocket):
    await socket.accept()
    run("SELECT 1 AS of_the_socket")
    await socket.send_text("done")
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_through_the_door(tmp_path: Path, loop: Loop) -> None:
    """Jobs are their route's, a stream's consumer is nobody, a socket on a used connection has its own."""
    with (
        running(write_app(tmp_path, APP), loop=loop, workers=1) as service,
        watching(service) as frames,
        service.client() as client,
    ):
        with client.stream("GET", "/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "data: 0"
            for _ in range(3):
                assert client.get("/emit").status_code == 200
            list(lines)
        assert client.get("/jobs").status_code == 200
        _post_and_upgrade(service.port)
        frames.until(lambda frame: any("in_the_background" in each.statement for each in frame.statements))
        frames.until(lambda frame: frame.routes == [] and frame.in_flight == 0)
    counted: dict[str, Counter[str]] = {}
    for frame in frames.seen:
        for statement in frame.statements:
            counted.setdefault(statement.statement, Counter()).update(statement.routes)
    outside = "(outside requests)"
    assert counted == {
        "SELECT ? AS of_the_consumer": {outside: 3},
        "SELECT ? AS of_the_stream": {"GET /events": 3},
        "SELECT ? AS of_emit": {"GET /emit": 3},
        "SELECT ? AS of_a_job": {"GET /jobs": 10},
        "SELECT ? AS in_the_background": {"POST /goes-on": 1},
        "SELECT ? AS of_the_socket": {"WS /socket": 1},
    }


def _post_and_upgrade(port: int) -> None:
    """Post, and open a WebSocket on the same connection while the request's background work goes on."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            b"POST /goes-on HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )
        answer = b""
        while not answer.endswith(b"null"):
            answer += connection.recv(4096)
        with connect(f"ws://127.0.0.1:{port}/socket", sock=connection, proxy=None) as opened:
            assert opened.recv() == "done"
