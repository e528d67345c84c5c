"""What services ask of others, from the calls of each library to the snapshot's figures and findings."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.support.other_service import OtherService, other_service
from tests.support.servers import running, write_app
from tests.support.watching import watching

APP = """
import asyncio
import os
from contextlib import asynccontextmanager

import aiohttp
import httpx
import httpx2
import requests
import urllib3
from fastapi import FastAPI

from perftui_agent import instrument

CALM, SLOW, BROKEN, NARROW, CHATTY, LONE = os.environ["SERVICES"].split()

clients = {}


@asynccontextmanager
async def lifespan(app):
    clients["httpx"], clients["httpx2"] = httpx.Client(), httpx2.Client()
    clients["httpx async"], clients["httpx2 async"] = httpx.AsyncClient(), httpx2.AsyncClient()
    clients["narrow"] = httpx.AsyncClient(limits=httpx.Limits(max_connections=2))
    clients["requests"], clients["urllib3"] = requests.Session(), urllib3.PoolManager(retries=False)
    async with aiohttp.ClientSession() as clients["aiohttp"]:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/calm/sync/{library}")
def calm_sync(library: str):
    client = clients[library]
    if library == "urllib3":
        return client.request("GET", f"{CALM}/sleep/0.02/urllib3").status
    return client.get(f"{CALM}/sleep/0.02/{library}").status_code


@app.get("/calm/async/{library}")
async def calm_async(library: str):
    if library == "aiohttp":
        async with clients["aiohttp"].get(f"{CALM}/sleep/0.02/aiohttp") as response:
            await response.read()
            return response.status
    return (await clients[f"{library} async"].get(f"{CALM}/sleep/0.02/{library}")).status_code


@app.get("/slow")
async def slow():
    async with clients["aiohttp"].get(f"{SLOW}/sleep/0.3") as response:
        return len(await response.read())


@app.get("/alive")
async def alive():
    # What hides a slow path: the same host, method and client, quick and often.
    async def ask():
        async with clients["aiohttp"].get(f"{SLOW}/status/200/health") as response:
            return response.status

    return [await asyncio.gather(*[ask() for _ in range(10)]) for _ in range(50)][-1]


@app.get("/broken/{how}")
async def broken(how: str):
    for path in ("/status/503", "/reset", "/cut") if how == "often" else ("/status/404",):
        try:
            await clients["httpx2 async"].get(f"{BROKEN}{path}")
        except httpx2.HTTPError:
            pass


@app.get("/narrow")
async def narrow():
    return (await clients["narrow"].get(f"{NARROW}/sleep/0.05")).status_code


@app.get("/chatty")
def chatty():
    return [clients["requests"].get(f"{CHATTY}/size/10/{n}?token=secret").status_code for n in range(8)]


@app.get("/twice")
def twice():
    return [clients["requests"].get(f"{CALM}/twice/{n}").status_code for n in range(2)]


@app.get("/lone")
def lone():
    return requests.get(f"{LONE}/here").status_code


@app.get("/shared")
def shared():
    return clients["requests"].get(f"{LONE}/here").status_code


instrument(app)
"""

SLOW_LINE = '    async with clients["aiohttp"].get(f"{SLOW}/sleep/0.3") as response:'
LONE_LINE = '    return requests.get(f"{LONE}/here").status_code'

SYNC, ASYNC = ("httpx", "httpx2", "requests", "urllib3"), ("httpx", "httpx2", "aiohttp")

PROBES = ("httpx", "httpx2", "aiohttp", "urllib3")


def test_what_other_services_were_asked_is_told_as_they_have_written_it_down(tmp_path: Path) -> None:
    """Two workers, every library: figures against the other services' logs, each fault by its finding."""
    with ExitStack() as stack:
        services = [stack.enter_context(other_service()) for _ in range(6)]
        calm, slow, broken, narrow, chatty, _ = services
        app = write_app(tmp_path, APP)
        env = {"SERVICES": " ".join(each.url for each in services)}
        service = stack.enter_context(running(app, workers=2, env=env))
        threads = stack.enter_context(ThreadPoolExecutor(16))
        service.wait_registered()
        with watching(service) as seen:
            paths = [f"/calm/sync/{library}" for library in SYNC for _ in range(6)]
            paths += [f"/calm/async/{library}" for library in ASYNC for _ in range(6)]
            paths += ["/slow"] * 40 + ["/broken/often"] * 8 + ["/broken/never"] * 4
            paths += ["/chatty"] * 6 + ["/twice"] * 6 + ["/lone"] * 12
            paths += ["/alive"] * 2 + ["/shared"] * 24
            list(threads.map(service.get, paths))
            list(threads.map(service.get, ["/narrow"] * 64))
        document = seen.document

    rows = document["upstreams"]
    assert_calls_are_those_written_down(rows, services)
    assert all(worker["probes"][name] == "on" for worker in document["workers"] for name in PROBES)
    by_host = {row["host"]: row for row in rows if row["host"] != calm.host}
    assert by_host[broken.host]["failures"] == {"503": 8, "ReadError": 8, "RemoteProtocolError": 8}
    assert by_host[broken.host]["errors"] == 24
    assert by_host[slow.host]["answer_p95_ms"] < 200
    told = {each["path"]: each for each in by_host[slow.host]["paths"]}
    assert sum(each["calls"] for each in told.values()) == 1040
    # The first calls of a worker have words that may be anybody's.
    assert 30 <= told["/sleep/{…}"]["calls"] <= 40
    assert told["/status/{…}/health"]["calls"] >= 900
    assert told["/sleep/{…}"]["answer_p50_ms"] >= 0.97 * 300
    assert told["/sleep/{…}"]["routes"] == ["GET /slow"]
    assert by_host[narrow.host]["pool_wait_p95_ms"] >= 50
    assert by_host[narrow.host]["answer_p50_ms"] < 120
    assert by_host[narrow.host]["opened"] == narrow.connections
    assert seen.routes["GET /chatty"]["http_per_request"] == 8.0
    assert seen.routes["GET /lone"]["http_per_request"] == 1.0
    assert seen.routes["GET /slow"]["http_ms_per_request"] >= 0.97 * 300
    assert "secret" not in str(document)

    said = {(each["kind"], each["subject"]) for each in document["findings"]}
    (site,) = [subject for kind, subject in said if kind == "client-per-request"]
    lines = (tmp_path / "app.py").read_text().splitlines()
    (named,) = [each for each in document["findings"] if each["kind"] == "upstream-slow"]
    assert f" GET /sleep/{{…}} calls from app.py:{lines.index(SLOW_LINE) + 1} slow" in named["sentence"]
    assert site.endswith(f"app.py:{lines.index(LONE_LINE) + 1} lone")
    about_others = {pair for pair in said if "upstream" in pair[0] or "client" in pair[0]}
    assert about_others == {
        ("upstream-slow", slow.host),
        ("upstream-errors", broken.host),
        ("client-pool-exhausted", narrow.host),
        ("chatty-upstream", chatty.host),
        ("client-per-request", site),
    }


def assert_calls_are_those_written_down(rows: list[dict[str, Any]], services: list[OtherService]) -> None:
    """Hold each host's calls and times against its own log, and those of the calm one by library."""
    for there in services:
        asked = there.asked
        mine = [row for row in rows if row["host"] == there.host]
        assert sum(row["count"] for row in mine) == len(asked), there.host
        assert sum(row["total_ms"] for row in mine) >= 0.95 * sum(each.ms for each in asked)
    calm = services[0]
    written = Counter(each.path.rsplit("/")[-1] for each in calm.asked if each.path.startswith("/sleep"))
    written["urllib3"] += written.pop("requests") + 12  # and what `/twice` asks
    told = {row["library"]: row for row in rows if row["host"] == calm.host}
    assert {library: row["count"] for library, row in told.items()} == dict(written)
    assert written == {"httpx": 12, "httpx2": 12, "aiohttp": 6, "urllib3": 24}
    assert all(row["errors"] == 0 and row["p95_ms"] >= 20 for row in told.values())
