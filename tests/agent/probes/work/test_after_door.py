"""What goes on after responses, through the door: a real server, and what `perftui snapshot` says."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.support.servers import Loop, running, write_app
from tests.support.snapshots import snapshot_of

APP = """
import asyncio, time
from concurrent.futures import ThreadPoolExecutor
from fastapi import BackgroundTasks, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool
from perftui_agent import instrument

app = instrument(FastAPI())
engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
pool = ThreadPoolExecutor(4)
kept = set()

def ask(times):
    with engine.connect() as connection:
        for number in range(times):
            connection.execute(text("SELECT :n"), {"n": number}).all()

async def send_mail():
    await asyncio.sleep(0.12)
    ask(3)

def resize():
    time.sleep(0.05)

def export():
    time.sleep(0.1)
    ask(4)

async def notify():
    await asyncio.sleep(0.2)

async def forever():
    while True:
        await asyncio.sleep(60)

@app.get("/fire")
async def fire():
    kept.add(asyncio.create_task(notify()))

@app.get("/start")
async def start():
    kept.add(asyncio.create_task(forever()))

@app.post("/orders")
async def orders(tasks: BackgroundTasks):
    ask(1)
    tasks.add_task(send_mail)
    tasks.add_task(resize)

@app.get("/export")
async def exported():
    asyncio.get_running_loop().run_in_executor(pool, export)

@app.get("/awaited")
async def awaited():
    await asyncio.to_thread(ask, 2)
    await asyncio.get_running_loop().run_in_executor(None, ask, 2)

@app.get("/thread")
async def thread():
    kept.add(asyncio.ensure_future(asyncio.to_thread(export)))
    await asyncio.sleep(0)

@app.get("/plain")
async def plain():
    return 1
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_work_after_the_response_is_told_by_function(tmp_path: Path, loop: Loop) -> None:
    """Background tasks, jobs in threads, tasks that outlive: how often, how long, whose, what they ask."""
    with running(write_app(tmp_path, APP), workers=1, loop=loop) as service:
        service.wait_registered()
        calls = [("POST", "/orders"), ("GET", "/export"), ("GET", "/thread"), ("GET", "/awaited")]
        calls += [("GET", "/fire"), ("GET", "/plain")]
        with snapshot_of(service) as told, service.client() as client:
            for method, path in calls * 10:
                assert client.request(method, path).is_success
            assert client.get("/start").is_success
    rows = {(row["name"].split()[-1], row["route"]): row for row in told["background"]}
    mail, resize = rows["send_mail", "POST /orders"], rows["resize", "POST /orders"]
    assert (mail["kind"], mail["count"], mail["running"], mail["errors"], mail["sql"]) == (
        "background",
        10,
        0,
        0,
        30,
    )
    assert 110 <= mail["p50_ms"] <= 250
    assert (resize["count"], resize["threaded"]) == (10, 10)
    for route in ("GET /export", "GET /thread"):
        job = rows["export", route]
        assert (job["kind"], job["count"], job["sql"]) == ("thread", 10, 40)
    fired, started = rows["notify", "GET /fire"], rows["forever", "GET /start"]
    assert (fired["kind"], fired["count"], fired["running"]) == ("task", 10, 0)
    assert 150 <= fired["p50_ms"] <= 400
    assert (started["count"], started["running"], started["oldest_ms"] > 0) == (0, 1, True)
    routes = {row["route"]: row for row in told["routes"]}
    assert {route: row["sql_per_request"] for route, row in routes.items()} == {
        "POST /orders": 1.0,
        "GET /export": 0.0,
        "GET /thread": 0.0,
        "GET /awaited": 4.0,
        "GET /fire": 0.0,
        "GET /plain": 0.0,
        "GET /start": 0.0,
    }
    assert routes["POST /orders"]["p50_ms"] < 100 < routes["POST /orders"]["background_p95_ms"]
    (query,) = told["queries"]
    assert set(query["routes"]) == set(routes) - {"GET /fire", "GET /plain", "GET /start"}
    assert query["count"] == 10 * (1 + 3 + 4 + 4 + 4)
    assert not [row for row in told["background"] if row["route"] == "GET /awaited"]


SOCKETS = """
import asyncio, time
from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from perftui_agent import instrument

app = instrument(FastAPI())
news = asyncio.Queue()

@app.websocket("/slow/{room}")
async def slow(socket: WebSocket, room: str):
    await socket.accept()
    async for message in socket.iter_text():
        await asyncio.sleep(0.25)
        await socket.send_text(message)

@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept()
    async for message in socket.iter_text():
        await socket.send_text(message)

@app.websocket("/broadcast")
async def broadcast(socket: WebSocket):
    await socket.accept()
    async for message in socket.iter_text():
        await socket.send_text(await asyncio.wait_for(news.get(), 30))

@app.get("/tell")
async def tell():
    await news.put("news")

@app.get("/hold")
async def hold():
    time.sleep(0.4)

@app.get("/events")
async def events():
    async def parts():
        for number in range(10):
            yield f"data: {number}\\n\\n"
            await asyncio.sleep(0.05)
    return StreamingResponse(parts(), media_type="text/event-stream")
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_endpoint_that_is_slow_for_a_message_is_a_finding_and_its_neighbours_are_none(
    tmp_path: Path, loop: Loop
) -> None:
    """An echo, an idle client, one that waits for a broadcast, a loop that others hold are no slowness."""
    with running(write_app(tmp_path, SOCKETS), workers=1, loop=loop) as service:
        service.wait_registered()
        base = f"ws://127.0.0.1:{service.port}"
        with (
            service.client() as client,
            connect(f"{base}/slow/7", proxy=None) as slow,
            connect(f"{base}/echo", proxy=None) as echo,
            connect(f"{base}/broadcast", proxy=None) as listening,
            snapshot_of(service, 7) as told,
        ):
            for _ in range(8):
                listening.send("subscribe")
                for socket in (slow, echo):
                    socket.send("hello")
                    assert socket.recv() == "hello"
                assert client.get("/tell").is_success
                assert listening.recv() == "news"
            holding = threading.Thread(target=client.get, args=("/hold",))
            holding.start()
            time.sleep(0.1)
            echo.send("amid")
            assert echo.recv() == "amid"
            holding.join()
            assert client.get("/events").text.count("data:") == 10
    rows = {row["route"]: row for row in told["channels"]}
    passed = {route: (row["kind"], row["open"], row["received"], row["sent"]) for route, row in rows.items()}
    assert passed == {
        "WS /slow/{room}": ("websocket", 1, 8, 8),
        "WS /echo": ("websocket", 1, 9, 9),
        "WS /broadcast": ("websocket", 1, 8, 8),
        "GET /events": ("events", 0, 0, 10),
    }
    assert 230 <= rows["WS /slow/{room}"]["handling_p50_ms"] <= 400
    assert rows["WS /echo"]["handling_p95_ms"] < 100
    assert rows["WS /broadcast"]["news_ms"] > 1_000
    slow_ones = [each["subject"] for each in told["findings"] if each["kind"] == "slow-messages"]
    assert slow_ones == ["WS /slow/{room}"]
    assert told["totals"]["open_websockets"] == 3
    assert {row["route"] for row in told["routes"]} == {"GET /tell", "GET /hold", "GET /events"}
