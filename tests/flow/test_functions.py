"""`perftui functions` on real servers: sync and async, uvicorn and gunicorn, both loops."""

from __future__ import annotations

import contextlib
import json
import pstats
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import command
from tests.support.servers import Loop, Server, Service, running, wait_until, write_app

SHOP = """
    import asyncio, hashlib, logging, sys, threading
    from fastapi import FastAPI
    from perftui_agent import instrument
    from starlette.middleware.base import BaseHTTPMiddleware

    logging.basicConfig(level=logging.INFO)
    app = instrument(FastAPI(), service="shop")

    def hashed(rounds):
        for _ in range(rounds):
            hashlib.sha256(b"x" * 20_000).hexdigest()

    def hash_for_report(): hashed(1000)
    def hash_for_orders(): hashed(1000)
    def hash_for_config(): hashed(1000)

    async def pass_on(request, call_next):
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)

    @app.get("/report")
    async def report():
        hash_for_report()
        await asyncio.sleep(0.02)
        hash_for_report()
        return "report"

    @app.get("/orders/{number}")
    def orders(number: int):
        hash_for_orders()
        return number

    @app.get("/config")
    async def config():
        hash_for_config()
        return "config"

    @app.get("/state")
    def state():
        return {"profiled": sys.getprofile() is not None, "threads": threading.active_count()}
"""

ROUTES = ("/report", "/orders/7", "/config")


class Mixed:
    """Requests to several routes at once, for as long as a block lasts."""

    def __init__(self, service: Service, paths: tuple[str, ...] = ROUTES) -> None:
        self._service = service
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(path,), daemon=True) for path in paths]
        self.statuses: set[int] = set()

    def _send(self, path: str) -> None:
        with self._service.client() as client:
            # Time for those who watch and are watched: else every processor would hash, and nothing else.
            while not self._over.wait(0.02):
                # A new connection each: one would stay with one worker. Workers may be killed meanwhile.
                with contextlib.suppress(httpx.HTTPError):
                    self.statuses.add(client.get(path, headers={"Connection": "close"}).status_code)

    def __enter__(self) -> Mixed:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)


def functions(service: Service, *arguments: str) -> dict[str, Any]:
    """Return the document of a run that must succeed."""
    result = service.perftui("functions", service.target, "--json", *arguments)
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def called(document: dict[str, Any]) -> dict[str, Any]:
    """Return its functions by name."""
    return {each["where"].split()[-1]: each for each in document["functions"]}


@pytest.mark.parametrize(
    ("server", "loop", "workers"), [("uvicorn", "asyncio", 2), ("gunicorn", "uvloop", 1)]
)
def test_each_route_has_its_own_functions_and_no_others(
    tmp_path: Path, server: Server, loop: Loop, workers: int
) -> None:
    """Under mixed load, an async and a sync one; the file opens in Python's own tool."""
    app = write_app(tmp_path, SHOP)
    with running(app, server=server, loop=loop, workers=workers) as service:
        service.wait_registered()
        file = tmp_path / "report.pstats"
        with Mixed(service) as load:
            report = functions(service, "--route", "get /report", "--requests", "10", "-o", str(file))
            orders = functions(service, "--route", "GET /orders/{number}", "--requests", "10")
        assert load.statuses == {200}
        assert set(report) >= {"route", "requests", "pid", "functions"}
        assert (report["route"], report["requests"]) == ("GET /report", 10)
        assert report["pid"] in service.registered_pids()
        of_report, of_orders = called(report), called(orders)
        assert (of_report["report"]["calls"], of_report["hash_for_report"]["calls"]) == (10, 20)
        assert (of_orders["orders"]["calls"], of_orders["hash_for_orders"]["calls"]) == (10, 10)
        for of, others in ((of_report, ("orders", "config")), (of_orders, ("report", "config"))):
            assert not any(f"hash_for_{other}" in of for other in others)
        # The planted work, and not the wait of 20 ms: that is nobody's time.
        assert of_report["hash_for_report"]["total_ms"] >= 0.5 * report["loop_ms"]
        assert report["elapsed_ms"] >= 10 * 20 + report["loop_ms"] / 2
        assert orders["threads_ms"] >= of_orders["hash_for_orders"]["total_ms"] > 0
        stats = pstats.Stats(str(file))
        key = next(key for key in stats.stats if key[2] == "hash_for_report")  # type: ignore[attr-defined]
        assert stats.stats[key][1] == 20  # type: ignore[attr-defined]


def test_errors_are_a_line_each_and_nothing_stays_switched_on(tmp_path: Path) -> None:
    """An unknown route with the near ones; none that came; a client that hangs up; actions switched off."""
    app = write_app(tmp_path, SHOP)
    with running(app, workers=1) as service:
        service.wait_registered()
        service.get("/config")
        wrong = service.perftui("functions", service.target, "--route", "GET /confg")
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "has no route GET /confg" in wrong.stderr
        assert "there are: GET /config" in wrong.stderr
        assert "take longer" not in wrong.stderr  # what is refused does not begin
        none = service.perftui("functions", service.target, "--route", "GET /report", "--for", "1s")
        assert none.returncode == 2
        assert "no request of GET /report came to this worker within 1 s" in none.stderr
        # A client that is killed in the midst leaves nothing behind, and the worker is free again.
        with (
            command.Forked("functions", service.target, "--route", "GET /report", env=service.env) as left,
            httpx.Client(base_url=service.url, trust_env=False) as client,
        ):
            assert left.stderr is not None
            assert "take longer" in left.stderr.readline()
            for _ in range(3):
                client.get("/report")
            left.kill()
            left.communicate()
            wait_until(lambda: "interrupted" in service.log(), "the end of what it asked for", service.log)
            assert client.get("/state").json()["profiled"] is False
        with Mixed(service, ("/report",)):
            assert functions(service, "--route", "GET /report", "--requests", "2")["requests"] == 2
        audit = [line for line in service.log().splitlines() if "functions profile of pid" in line]
        ends = ("refused: this worker has no route", "refused: no request", "interrupted", "done")
        assert all(end in line for end, line in zip(ends, audit, strict=True)), audit
    with running(app, workers=1, env={"PERFTUI_ACTIONS": "0"}) as service:
        service.wait_registered()
        refused = service.perftui("functions", service.target, "--route", "GET /report")
        assert refused.returncode == 2
        assert "actions are switched off in this service" in refused.stderr
