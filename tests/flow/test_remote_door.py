"""Promise 17: the remote door of real servers, as whoever knocks sees it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from websockets.exceptions import InvalidStatus

from perftui_agent.serve.worker_socket import MAX_CLIENTS
from perftui_agent.wire.dumps import Dump, DumpRequest
from perftui_agent.wire.frames import Frame, Hello
from tests.support.command import Forked
from tests.support.doors import TOKEN, handshake, raw, visiting
from tests.support.servers import STOP_TIMEOUT_S, Service, running, wait_until, write_app

SHOP = f"""
import logging

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from perftui_agent import instrument
from sqlalchemy import create_engine, text

logging.basicConfig(level=logging.INFO)
app = FastAPI()
seen = []

@app.middleware("http")
async def known_only(request: Request, call_next):
    seen.append(request.url.path)
    if "x-user" not in request.headers:
        return JSONResponse({{"who": "are you"}}, 401, headers={{"x-count": str(len(request.url.path))}})
    return await call_next(request)

@app.exception_handler(404)
async def unknown(request: Request, error):
    return JSONResponse({{"nothing": request.headers.get("x-user")}}, 404, headers={{"x-shop": "closed"}})

@app.get("/seen")
def tell() -> list[str]:
    told = seen[:]
    seen.clear()
    return told

engine = create_engine("sqlite:///shop.db", connect_args={{"timeout": 20}})

@app.get("/items")
def items() -> list[str]:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS items (name TEXT, price INT)"))
        found = connection.execute(text("SELECT name FROM items WHERE price > :least"), {{"least": 3}})
        return list(found.scalars())

@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    await socket.accept()

instrument(app, service="shop", token={TOKEN!r})
"""

UNKNOWN = "/_perftux"

BEARER = f"Bearer {TOKEN}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers with middleware, an answer of its own to unknown paths, and a door."""
    app = write_app(tmp_path_factory.mktemp("shop"), SHOP)
    # A crowded machine may leave a worker whose memory is watched no turn for five seconds, and so end it.
    options = ["--root-path", "/shop", "--ws", "wsproto", "--timeout-worker-healthcheck", "60"]
    with running(app, workers=2, options=options) as service:
        service.wait_registered()
        yield service


def door(service: Service) -> str:
    """Return where its door is."""
    return f"{service.url}/_perftui"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer 0123456789abcdefghij"},
        {"Authorization": BEARER[:-1]},
        {"Authorization": BEARER, "Origin": "https://shop.example"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost"},
        {"X-User": "ann", "Cookie": f"token={TOKEN}"},
        {"X-User": "ann", "Authorization": f"Basic {TOKEN}"},
    ],
    ids=[
        "no token",
        "another token",
        "nearly the token",
        "a browser with the token",
        "a proxy that says a lot",
        "a token in a cookie",
        "another scheme",
    ],
)
def test_promise_17_without_the_token_the_door_is_an_unknown_path(
    shop: Service, headers: dict[str, str]
) -> None:
    """Byte for byte, for each method and for a WebSocket's handshake, whatever the app itself answers."""
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        assert raw(shop.port, "/_perftui", headers, method) == raw(shop.port, UNKNOWN, headers, method)
    asked = handshake(**headers)
    refused = raw(shop.port, "/_perftui", asked)
    assert refused == raw(shop.port, UNKNOWN, asked)
    assert refused.startswith(b"HTTP/1.1 403")
    query = f"?token={TOKEN}&authorization=Bearer%20{TOKEN}"
    assert raw(shop.port, "/_perftui" + query, headers) == raw(shop.port, UNKNOWN + query, headers)


def test_a_method_that_the_door_does_not_know_is_the_apps(shop: Service) -> None:
    """With the token too: it can be looked at, and nothing else."""
    headers = {"Authorization": BEARER, "X-User": "ann"}
    assert raw(shop.port, "/_perftui", headers, "POST") == raw(shop.port, UNKNOWN, headers, "POST")


def test_with_the_token_it_says_who_is_there(shop: Service) -> None:
    """Whatever the app's own middleware asks for, which never hears of it."""
    with shop.client() as client:  # one connection, and so one worker
        client.get("/seen", headers={"x-user": "ann"})
        answer = client.get("/_perftui", headers={"Authorization": BEARER})
        assert answer.status_code == 200
        assert answer.json() == {"perftui": "the remote door", "wire": 1, "service": "shop"}
        assert answer.headers["cache-control"] == "no-store"
        assert client.get("/_perftui", headers={"Authorization": BEARER, "Upgrade": "h2c"}).status_code == 200
        seen = client.get("/seen", headers={"x-user": "ann"}).json()
    assert seen == ["/shop/seen"]


def test_one_connection_has_all_workers_and_what_they_can_do(shop: Service) -> None:
    """Whichever worker it reaches: both streams come, each answers for itself, and the log says who asked."""

    async def check() -> dict[int, int]:
        headers = {"Perftui-Client": "cafe01", "X-Forwarded-For": "203.0.113.7"}
        async with visiting(door(shop), headers=headers) as visitor:
            await visitor.follow_all(2)
            pids: dict[int, int] = {}
            routes: set[str] = set()
            dumps: list[Dump] = []
            while len(pids) < 2:
                channel, hello = await visitor.until(Hello)
                pids[channel] = hello.worker.pid
            for wanted, pid in pids.items():
                _, frame = await visitor.until(Frame)
                routes |= {each.route for each in frame.routes}
                await visitor.say(wanted, DumpRequest(id=f"d{wanted}"))
                channel, dump = await visitor.until(Dump)
                assert (channel, dump.id, dump.pid) == (wanted, f"d{wanted}", pid)
                dumps.append(dump)
            assert not [route for route in routes if "_perftui" in route]
            # The worker that it has come in by carries it: in tasks that are none of the app's.
            assert max(dump.tasks_of_agent for dump in dumps) >= 2
            return pids

    assert sorted(asyncio.run(check()).values()) == shop.pids()


def test_every_verb_reaches_it_by_its_url(shop: Service) -> None:
    """Below whatever prefix; the token comes by the environment or the command line, and is not shown."""
    target = f"{shop.url}/any/prefix"
    elsewhere = {"PERFTUI_RUNTIME_DIR": str(shop.runtime_dir / "nothing"), "PERFTUI_TOKEN": TOKEN}
    here = replace(shop, env=shop.env | elsewhere)
    told = here.perftui("snapshot", target, "--for", "1s", "--json")
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    assert sorted(each["pid"] for each in document["workers"]) == shop.pids()
    assert document["coverage"]["workers_seen"] == 2
    assert not [each for each in document["routes"] if "_perftui" in each["route"]]
    one = str(shop.pids()[0])
    dump = here.perftui("dump", target, "--worker", one, "--json")
    assert dump.returncode == 0, dump.stderr
    assert json.loads(dump.stdout)["worker"] == int(one)
    wrong = shop.perftui("snapshot", target, "--token", "0123456789abcdefghij")
    assert wrong.returncode == 2
    assert "nothing answers here, or the token is wrong" in wrong.stderr
    said = told.stdout + told.stderr + dump.stdout + dump.stderr
    assert TOKEN not in said
    assert "0123456789abcdefghij" not in wrong.stderr


@contextmanager
def customers(service: Service) -> Iterator[None]:
    """Ask for the items again and again."""
    over = threading.Event()

    def come() -> None:
        with service.client() as client:
            while not over.wait(0.05):
                client.get("/items", headers={"x-user": "ann", "Connection": "close"})

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_what_takes_a_while_is_asked_by_it_as_well(shop: Service) -> None:
    """Two pictures at once, and what has something done in a worker."""
    target = f"{shop.url}/any/prefix"
    elsewhere = {"PERFTUI_RUNTIME_DIR": str(shop.runtime_dir / "nothing"), "PERFTUI_TOKEN": TOKEN}
    here = replace(shop, env=shop.env | elsewhere)
    pid = shop.pids()[0]

    def told(verb: str, *arguments: str) -> Any:
        answer = here.perftui(verb, *arguments, "--json")
        assert answer.returncode == 0, (verb, answer.stderr)
        assert TOKEN not in answer.stdout + answer.stderr
        return json.loads(answer.stdout)

    with customers(shop), ThreadPoolExecutor() as beside:
        queries = told("snapshot", target, "--for", "1s")["queries"]
        (wanted,) = [each["fingerprint"] for each in queries if "WHERE price" in each["statement"]]
        comparison = beside.submit(told, "compare", target, target, "--for", "3s")
        # A worker does one thing at a time.
        database = told("database", target)
        plan = told("explain", target, wanted)
        functions = told("functions", target, "--route", "GET /items", "--requests", "2")
        memory = told("memory", target, "--worker", str(pid), "--for", "1s")
        routes = comparison.result()["routes"]
    assert database["kind"] == "sqlite"
    assert [each["table"] for each in plan["verdicts"]] == ["items"]
    assert functions["requests"] == 2
    assert any("items" in each["where"] for each in functions["functions"])
    assert memory["pid"] == pid
    assert [each["route"] for each in routes] == ["GET /items"]


def test_watching_and_an_assistant_follow_it(shop: Service) -> None:
    """Until they are ended, as beside the service."""
    target = f"{shop.url}/any/prefix"
    env = shop.env | {"PERFTUI_RUNTIME_DIR": str(shop.runtime_dir / "nothing"), "PERFTUI_TOKEN": TOKEN}

    async def ask() -> Any:
        server = StdioServerParameters(command=sys.executable, args=["-m", "perftui", "mcp", target], env=env)
        async with asyncio.timeout(60), Client(server) as client:
            state: Any = {"workers": []}
            while len(state["workers"]) < 2:
                state = (await client.call_tool("state", {})).structured_content
            return state

    watching = Forked("watch", target, "--on", "low", env=env)
    try:
        state = asyncio.run(ask())
        assert watching.stderr is not None
        said = [watching.stderr.readline()]
        while "live" not in said[-1]:
            assert said[-1], said
            said.append(watching.stderr.readline())
        watching.terminate()
        watching.communicate(timeout=30)
    finally:
        watching.kill()
        watching.wait()
    assert watching.returncode == 0
    assert sorted(each["pid"] for each in state["workers"]) == shop.pids()


def test_promise_17_what_a_proxy_says_is_not_believed(shop: Service) -> None:
    """The audit trail names the address at the other end of the connection, and the client's process."""

    async def ask() -> None:
        headers = {"Perftui-Client": "cafe02", "X-Forwarded-For": "203.0.113.7"}
        async with visiting(door(shop), headers=headers) as visitor:
            await visitor.follow_all(1)
            await visitor.say(1, DumpRequest(id="a"))
            await visitor.until(Dump)

    asyncio.run(ask())
    wait_until(lambda: "for remote 127.0.0.1 cafe02" in shop.log(), "the audit's line", shop.log)


def test_a_server_without_websockets_says_so_to_who_has_the_token(tmp_path: Path) -> None:
    """To all others it is an unknown path as before."""
    with running(write_app(tmp_path, SHOP), workers=1, options=["--ws", "none"]) as service:

        async def knock(token: str) -> InvalidStatus:
            with pytest.raises(InvalidStatus) as refused:
                async with visiting(door(service), token):
                    pass
            return refused.value

        assert asyncio.run(knock("0123456789abcdefghij")).response.status_code == 401
        answer = asyncio.run(knock(TOKEN)).response
        assert answer.status_code == 426
        assert answer.body is not None
        assert b"takes no WebSockets" in answer.body


def test_it_is_there_under_gunicorn(tmp_path: Path) -> None:
    """A connection has the workers on the same port, and the server ends in time with it open."""
    with running(write_app(tmp_path, SHOP), server="gunicorn", workers=2) as service:
        service.wait_registered()

        async def look() -> None:
            async with visiting(door(service)) as visitor:
                await visitor.follow_all(2)
                heard: set[int] = set()
                while len(heard) < 2:
                    heard.add((await visitor.until(Frame))[0])
                service.process.terminate()
                await visitor.sent_away()

        asyncio.run(look())
        service.process.wait(STOP_TIMEOUT_S)


@pytest.mark.parametrize("said", ["text", b"\0\0not msgpack", b"x", b"\0\0" + b"x" * 70_000], ids=len)
def test_promise_20_a_client_that_speaks_otherwise_is_sent_away(shop: Service, said: str | bytes) -> None:
    """And nothing else happens: the next one is let in."""

    async def check() -> None:
        async with visiting(door(shop)) as visitor:
            await visitor.next()
            await visitor.connection.send(said)
            assert (await visitor.sent_away())[0] == 1003
        async with visiting(door(shop)) as visitor:
            await visitor.next()

    asyncio.run(check())


def test_so_many_clients_come_in_and_no_more(shop: Service) -> None:
    """A worker has room for as many as its socket has; the next is told to come again later.

    The last of those with this service: there is room again only once the server has seen all of them go.
    """

    async def check() -> tuple[int, str]:
        async with AsyncExitStack() as stack:
            # On either worker: one has had enough after twice as many.
            comers = [visiting(door(shop)) for _ in range(2 * MAX_CLIENTS + 1)]
            visitors = [await stack.enter_async_context(each) for each in comers]
            leaving = [asyncio.ensure_future(each.sent_away()) for each in visitors]
            done, _ = await asyncio.wait(leaving, return_when=asyncio.FIRST_COMPLETED)
            for each in leaving:
                each.cancel()
            return done.pop().result()

    assert asyncio.run(check()) == (1013, f"{MAX_CLIENTS} clients are connected already")
