"""Two versions of a service side by side, and one of them against itself a moment ago."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.servers import Service, running, write_app

SHOP = """
import asyncio, os
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool
from perftui_agent import instrument

NEW = os.environ["PERFTUI_VERSION"] == "v2"
app = instrument(FastAPI(title="shop"), service="shop")
engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})

@app.get("/items")
async def items() -> list[int]:
    await asyncio.sleep(0.004)
    return [1, 2, 3]

@app.get("/orders")
async def orders() -> list[int]:
    await asyncio.sleep(0.012 if NEW else 0.004)
    with engine.connect() as connection:
        times = 20 if NEW else 2
        return [connection.execute(text("SELECT :n"), {"n": n}).scalar_one() for n in range(times)]

@app.get("/new/{thing}" if NEW else "/old")
async def thing(thing: str = "") -> str:
    return thing
"""


@contextmanager
def customers(*services: Service) -> Iterator[None]:
    """Ask each of the services for the same."""
    done = threading.Event()

    def ask(service: Service) -> None:
        with service.client() as client:
            while not done.is_set():
                client.get("/items")
                client.get("/orders")
                client.get("/new/x" if service is services[-1] else "/old")
                time.sleep(0.01)

    threads = [threading.Thread(target=ask, args=[service]) for service in services for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_two_versions_side_by_side(tmp_path: Path) -> None:
    """The slower route is worse and says by what; against the old version the check of the new one fails."""
    app = write_app(tmp_path, SHOP)
    with running(app, workers=1, env={"PERFTUI_VERSION": "v1"}) as old:
        beside = {"PERFTUI_VERSION": "v2", "PERFTUI_RUNTIME_DIR": str(old.runtime_dir)}
        with running(app, workers=1, env=beside) as new:
            old.wait_registered(2)
            with customers(old, new), ThreadPoolExecutor(3) as pool:
                time.sleep(13)
                a, b = "service:shop@v1", "service:shop@v2"
                comparing = pool.submit(old.perftui, "compare", a, b, "--for", "8s", "--json")
                itself = pool.submit(old.perftui, "compare", a, "--for", "6s", "--back", "6s", "--json")
                checking = pool.submit(old.perftui, "check", b, "--against", a, "--for", "8s", "--json")
                said, alike, judged = (_document(each.result()) for each in (comparing, itself, checking))
            missing = old.perftui("compare", a, "service:shop@v3")
    assert (said["a"]["versions"], said["b"]["versions"]) == (["v1"], ["v2"])
    rows = {row["route"]: row for row in said["routes"]}
    assert {route: row["verdict"] for route, row in rows.items() if route != "GET /items"} == {
        "GET /orders": "worse", "GET /old": "gone", "GET /new/{thing}": "new",
    }  # fmt: skip
    assert rows["GET /orders"]["sql_per_request"] == [2.0, 20.0]
    assert {"p50_ms", "sql_per_request"} <= set(rows["GET /orders"]["changed"])
    assert "n-plus-one" in {each["kind"] for each in said["findings"]["came"]}
    assert alike["a"]["target"] == "service:shop@v1 6 s before"
    assert min(alike["a"]["requests"], alike["b"]["requests"]) > 100
    assert judged["verdict"] == "missed"
    orders = next(
        each
        for each in judged["targets"]
        if (each["scope"], each["slo"]) == ("GET /orders", f"p50 as in {a}")
    )
    assert orders["value"] > orders["bound"]
    assert "n-plus-one" in orders["cause"]
    assert missing.returncode == 2
    assert "there is service:shop@v1, service:shop@v2" in missing.stderr


def _document(ran: Any) -> Any:
    assert ran.stdout, ran.stderr
    return json.loads(ran.stdout)
