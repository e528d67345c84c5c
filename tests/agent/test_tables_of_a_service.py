"""A service that migrates at start, mounts an app of another kind and runs wide statements, from outside."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.servers import Service, running, write_app

APP = """
    from contextlib import asynccontextmanager

    from a2wsgi import WSGIMiddleware
    from fastapi import FastAPI
    from flask import Flask
    from sqlalchemy import create_engine

    from perftui_agent import instrument

    engine = create_engine("sqlite://")
    legacy = Flask("legacy")

    @legacy.get("/api/<int:number>/runs")
    def runs(number):
        return str(number)

    @legacy.get("/login")
    def login():
        return "welcome"

    @asynccontextmanager
    async def lifespan(app):
        with engine.connect() as connection:
            for number in range(3_000):
                connection.exec_driver_sql(f"SELECT 1 AS migrated_{number}")
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/hot")
    async def hot():
        with engine.connect() as connection:
            for number in range(10):
                connection.exec_driver_sql(f"SELECT 2 AS hot_{number}")

    @app.get("/wide")
    async def wide():
        with engine.connect() as connection:
            for number in range(300):
                columns = ", ".join(f"{place} AS spalte_ä_{number}_{place}" for place in range(80))
                connection.exec_driver_sql(f"SELECT {columns}")

    app.mount("/", WSGIMiddleware(legacy))
    instrument(app, service="odd")
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(write_app(tmp_path_factory.mktemp("odd"), APP), workers=1) as service:
        yield service


def snapshot_while(service: Service, *paths: str) -> dict[str, Any]:
    """Return a snapshot of five seconds in which these paths are asked for again and again."""
    stop = threading.Event()

    def ask() -> None:
        number = 0
        while not stop.wait(0.02):
            number += 1
            for path in paths:
                service.get(path.replace("ID", str(number)))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        result = service.perftui("snapshot", service.target, "--for", "5s", "--json")
    finally:
        stop.set()
        asking.join()
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_after_a_migration_what_runs_is_named_and_a_mounted_app_is_told_apart(service: Service) -> None:
    """As an engineer sees it: statements by their text, endpoints by their paths, and what was forgotten."""
    seen = snapshot_while(service, "/hot", "/api/ID/runs", "/login")
    statements = {query["statement"] for query in seen["queries"]}
    assert {f"SELECT ? AS hot_{number}" for number in range(10)} <= statements
    (route,) = [route for route in seen["routes"] if route["route"] == "GET /{path}"]
    told = {row["path"]: row for row in route["paths"]}
    assert {"/api/{…}/runs", "/login"} <= set(told)
    assert sum(row["requests"] for row in told.values()) == route["requests"]
    assert told["/login"]["p95_ms"] > 0
    assert seen["forgotten"]["statements"] + seen["forgotten"]["texts"] >= 2_000
    assert seen["workers"][0]["agent"]["faults"] == {}


def test_wide_statements_without_end_cost_no_second(service: Service) -> None:
    """Every second arrives and is kept, whole texts of the costliest statements among them."""
    seen = snapshot_while(service, "/wide")
    assert seen["coverage"]["frames_dropped"] == 0
    assert seen["window_s"] >= 4
    assert any(len(query["statement"]) > 1_000 for query in seen["queries"])
    spans = [span for slow in seen["slowest"] if slow["route"] == "GET /wide" for span in slow["spans"]]
    assert any(len(span["name"]) > 1_000 for span in spans if span["kind"] == "sql")
    assert seen["workers"][0]["agent"]["faults"] == {}
