"""The database's own view: a real PostgreSQL, two real workers, and who holds up whom."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.support.postgres import postgres
from tests.support.servers import Service, running, write_app

APP = '''
import asyncio, os
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from perftui_agent import instrument

app = FastAPI()
engine = create_async_engine(os.environ["DATABASE"], pool_size=5)

@app.get("/held/{item}/{seconds}")
async def holds(item: int, seconds: float) -> str:
    """Changes an item, and does something else before it commits."""
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE items SET stock = stock - 1 WHERE id = :id"), {"id": item})
        await asyncio.sleep(seconds)
    return "done"

@app.get("/waits/{item}")
async def waits(item: int) -> str:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE items SET stock = stock + 1 WHERE id = :id"), {"id": item})
    return "done"

@app.get("/report/{item}")
async def report(item: int) -> str:
    async with engine.begin() as connection:
        await connection.execute(text("SELECT stock FROM items WHERE id = :id FOR UPDATE"), {"id": item})
    return "done"

@app.get("/analysis/{seconds}")
async def analysis(seconds: float) -> str:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_sleep(:seconds), count(*) FROM items"), {"seconds": seconds})
    return "done"

instrument(app, service="shop")
'''


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        with psycopg.connect(f"host={url.partition('host=')[2]} user=shop dbname=postgres") as connection:
            connection.execute("CREATE TABLE items (id integer PRIMARY KEY, stock integer)")
            connection.execute("INSERT INTO items SELECT n, 10 FROM generate_series(1, 100) n")
            connection.execute("CREATE ROLE plain LOGIN")
            connection.execute("GRANT SELECT, UPDATE ON items TO plain")
        yield url


@pytest.fixture(scope="module")
def shop(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers that ask it as a role without any rights beside those it needs."""
    app = write_app(tmp_path_factory.mktemp("app"), APP)
    url = database.replace("shop@", "plain@")
    with running(app, workers=2, env={"DATABASE": url}) as service:
        service.wait_registered()
        service.get("/analysis/0", times=20)
        yield service


@contextmanager
def asking(service: Service, *paths: str, apart_s: float = 0.4) -> Iterator[None]:
    """Send requests one after the other without waiting for their answers; wait for all in the end."""
    threads = []
    for path in paths:
        thread = threading.Thread(target=service.get, args=(path,))
        thread.start()
        threads.append(thread)
        time.sleep(apart_s)
    try:
        yield
    finally:
        for thread in threads:
            thread.join(60)


def viewed(service: Service) -> dict[str, Any]:
    done = service.perftui("database", service.target, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def found(service: Service, for_s: str = "2s") -> dict[str, dict[str, Any]]:
    done = service.perftui("snapshot", service.target, "--for", for_s, "--json")
    assert done.returncode == 0, done.stderr
    return {
        finding["kind"]: finding
        for finding in json.loads(done.stdout)["findings"]
        if finding["kind"] in {"db-lock", "idle-in-transaction", "db-connections"}
    }


def test_a_queue_for_a_lock(shop: Service, database: str) -> None:
    """Three deep: the tree, each route and worker, and the one that holds it all up, which idles."""
    with asking(shop, "/held/7/9", "/waits/7", "/report/7"):
        view = viewed(shop)
        findings = found(shop, "4s")
        text = shop.perftui("database", shop.target).stdout
    sessions = {each["pid"]: each for each in view["sessions"]}
    locks = {each["route"]: each for each in view["locks"]}
    assert set(locks) == {"GET /waits/{item}", "GET /report/{item}"}
    waits, report = locks["GET /waits/{item}"], locks["GET /report/{item}"]
    assert (waits["by_route"], waits["on"]) == ("GET /held/{item}/{seconds}", "a row of items")
    assert (report["by_route"], report["by"]) == ("GET /waits/{item}", waits["blocked"])
    assert report["root"] == waits["by"]
    assert report["root_route"] == "GET /held/{item}/{seconds}"
    root = sessions[waits["by"]]
    assert (root["state"], root["blocks"]) == ("idle in transaction", 2)
    assert root["statement"] == "UPDATE items SET stock = stock - ? WHERE id = ?"
    assert {each["worker"] for each in sessions.values() if each["ours"]} <= set(shop.pids())
    assert sessions[waits["blocked"]]["waits_for"] == "Lock: transactionid"
    assert all(each["waits_ms"] > 100 for each in locks.values())
    assert (view["kind"], view["name"], view["connections"]["max"]) == ("postgresql", "postgres", 100)
    assert view["workers"] == {"answered": 2, "known": 2}

    finding = findings["db-lock"]
    assert set(findings) == {"db-lock"}, "what idles holds the lock: that is one trouble"
    assert finding["subject"] == "GET /held/{item}/{seconds}"
    assert [each["route"] for each in finding["evidence"]["waiting"]] == [
        "GET /waits/{item}",
        "GET /report/{item}",
    ]
    assert "idle in transaction" in finding["sentence"]
    assert "▲ GET /held/{item}/{seconds}  worker" in text
    assert "└ GET /report/{item}  worker" in text
