"""The database's own view: a real PostgreSQL, two real workers, and who holds up whom."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.postgres import postgres
from tests.support.servers import Service, running, wait_until, write_app

APP = '''
import asyncio, os, time
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
        until = time.monotonic() + seconds
        while time.monotonic() < until and not os.path.exists("enough"):
            await asyncio.sleep(0.05)
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


def connected(url: str, application: str = "", user: str = "shop") -> psycopg.Connection[tuple[Any, ...]]:
    """Return a session of another application's."""
    return psycopg.connect(
        f"host={url.partition('host=')[2]} user={user} dbname=postgres application_name='{application}'"
    )


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        with connected(url) as connection:
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


def cancel_analyses(url: str) -> None:
    """Have long queries end."""
    with connected(url) as connection:
        connection.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
        )


@contextmanager
def asking(service: Service, *paths: str, apart_s: float = 0.4) -> Iterator[None]:
    """Send requests one after the other without waiting for their answers; wait for all in the end.

    Those that hold something are told then that it is enough: however long somebody took to look.
    """
    enough = service.directory / "enough"
    threads = []
    for path in paths:
        thread = threading.Thread(target=service.get, args=(path,))
        thread.start()
        threads.append(thread)
        time.sleep(apart_s)
    try:
        yield
    finally:
        enough.touch()
        for thread in threads:
            thread.join(60)
        enough.unlink()


def viewed(service: Service) -> dict[str, Any]:
    done = service.perftui("database", service.target, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def found(service: Service, for_s: str) -> dict[str, dict[str, Any]]:
    done = service.perftui("snapshot", service.target, "--for", for_s, "--json")
    assert done.returncode == 0, done.stderr
    return {
        finding["kind"]: finding
        for finding in json.loads(done.stdout)["findings"]
        if finding["kind"] in {"db-lock", "idle-in-transaction", "db-connections"}
    }


def told_of(service: Service, kind: str, for_s: str = "3s") -> dict[str, dict[str, Any]]:
    """Look until a finding of this kind is told; return those there are then."""
    findings: dict[str, dict[str, Any]] = {}

    def is_told() -> bool:
        findings.clear()
        findings.update(found(service, for_s))
        return kind in findings

    wait_until(is_told, kind, lambda: str(findings))
    return findings


def test_near_misses(shop: Service, database: str) -> None:
    """A long query, a short wait, and another application that idles in a transaction are no finding.

    Before those that are: what is told of a lock is known for some seconds.
    """
    with connected(database, "reporting", "plain") as reporting:
        reporting.execute("SELECT 1")
        with asking(shop, "/analysis/60", "/held/21/0.9", "/waits/21", apart_s=0.2):
            view = viewed(shop)
            findings = found(shop, "5s")
            cancel_analyses(database)
        reporting.rollback()
    assert findings == {}
    (analysis,) = [each for each in view["sessions"] if each["route"] == "GET /analysis/{seconds}"]
    assert (analysis["state"], analysis["statement"]) == ("active", "SELECT pg_sleep(?), count(*) FROM items")
    (idle,) = [each for each in view["sessions"] if each["application"] == "reporting"]
    assert (idle["route"], idle["worker"], idle["state"]) == (None, None, "idle in transaction")


def test_a_queue_for_a_lock(shop: Service, database: str) -> None:
    """Three deep: the tree, each route and worker, and the one that holds it all up, which idles."""
    with asking(shop, "/held/7/60", "/waits/7", "/report/7"):
        view = viewed(shop)
        findings = told_of(shop, "db-lock", "4s")
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
    assert finding["evidence"]["blocker_at"].endswith(" holds"), "the line at which it idles"
    assert "▲ GET /held/{item}/{seconds}  worker" in text
    assert "└ GET /report/{item}  worker" in text


def test_a_lock_of_another_application(shop: Service, database: str) -> None:
    """It has its name and no route; what a role without rights may not see is left out, the right named."""
    with connected(database, "billing") as billing:
        billing.execute("UPDATE items SET stock = 0 WHERE id = 11")
        with asking(shop, "/waits/11"):
            view = viewed(shop)
            findings = told_of(shop, "db-lock", "4s")
            billing.rollback()
    (lock,) = view["locks"]
    assert (lock["route"], lock["by_route"], lock["by_application"]) == (
        "GET /waits/{item}",
        None,
        "billing",
    )
    holder = next(each for each in view["sessions"] if each["pid"] == lock["by"])
    assert (holder["ours"], holder["hidden"], holder["statement"], holder["state"]) == (
        False,
        True,
        None,
        None,
    )
    assert any("pg_read_all_stats" in each and "pg_monitor" in each for each in view["left_out"])
    assert (findings["db-lock"]["subject"], set(findings)) == ("GET /waits/{item}", {"db-lock"})
    assert "billing" in findings["db-lock"]["sentence"]


def test_a_transaction_that_idles(shop: Service) -> None:
    """Nobody waits for it: it is told all the same, by the route that left it so and what it did last."""
    with asking(shop, "/held/31/60"):
        time.sleep(5)
        findings = told_of(shop, "idle-in-transaction", "4s")
    finding = findings["idle-in-transaction"]
    assert set(findings) == {"idle-in-transaction"}
    assert finding["subject"] == "GET /held/{item}/{seconds}"
    assert "after UPDATE items SET stock = stock - ? WHERE id = ?" in finding["sentence"]
    assert finding["evidence"]["sessions"][0]["request_goes_on"] is True


def test_connections_run_out(shop: Service, database: str) -> None:
    """A worker that can't open one is a reason to ask, and the server says that there are none left."""
    with ExitStack() as others:
        with contextlib.suppress(psycopg.OperationalError):
            for _ in range(100):
                others.enter_context(connected(database, "batch", "plain"))
        with asking(shop, *["/analysis/60"] * 12, apart_s=0.02):
            findings = told_of(shop, "db-connections")
            others.close()  # for who cancels
            cancel_analyses(database)
    finding = findings["db-connections"]
    assert (finding["subject"], finding["severity"]) == ("postgres", "high")
    assert "takes no more connections" in finding["sentence"] or "connections used" in finding["sentence"]


def test_a_healthy_service_is_not_asked(shop: Service, database: str) -> None:
    """Without a reason no connection of the agent's is made; the log has a line for each that was."""
    for _ in range(30):  # each worker has opened its own by then
        shop.get("/analysis/0")
    with connected(database) as watching:
        watching.autocommit = True
        watching.execute("SELECT 1")
        time.sleep(1.5)  # the server tells of a session at most once a second, of this one too
        before = watching.execute(
            "SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'"
        ).fetchone()
        for _ in range(40):
            shop.get("/analysis/0.01", times=2)
        time.sleep(1.5)  # the server tells of a session when it is over, and at most once a second
        after = watching.execute(
            "SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'"
        ).fetchone()
    assert before is not None
    assert after is not None
    assert after[0] - before[0] <= 0


SQLITE_APP = """
import os, time
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from perftui_agent import instrument

app = FastAPI()
engine = create_engine(os.environ["DATABASE"], connect_args={"timeout": 60})

@app.get("/writes/{seconds}")
def writes(seconds: float) -> str:
    with engine.begin() as connection:
        connection.execute(text("UPDATE items SET stock = stock + 1"))
        until = time.monotonic() + seconds
        while time.monotonic() < until and not os.path.exists("enough"):
            time.sleep(0.05)
    return "done"

@app.get("/reads")
def reads() -> int:
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM items")).scalar_one()

instrument(app, service="small")
"""


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_sqlites_write_lock(journal: str, tmp_path: Path) -> None:
    """Which worker and route have it, who seems to wait for it, and what the file is like."""
    file = tmp_path / "small.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE items (id integer PRIMARY KEY, stock integer)")
        connection.execute("INSERT INTO items VALUES (1, 1)")
        connection.commit()
    app = write_app(tmp_path, SQLITE_APP)
    with running(app, workers=2, env={"DATABASE": f"sqlite:///{file}"}) as service:
        service.wait_registered()
        service.get("/reads", times=20)
        assert viewed(service)["sqlite"]["writer"] is None
        with asking(service, "/writes/50", "/writes/0"):
            time.sleep(2.5)
            view = viewed(service)
            findings = told_of(service, "db-lock")
    sqlite = view["sqlite"]
    assert view["kind"] == "sqlite"
    assert (sqlite["journal_mode"], sqlite["busy_timeout_ms"]) == (journal, 60_000)
    assert sqlite["bytes"] >= 8192
    assert sqlite["writer"]["route"] == "GET /writes/{seconds}"
    assert sqlite["writer"]["worker"] in {each["worker"] for each in view["sessions"]}
    (lock,) = view["locks"]
    assert (lock["by"], lock["by_route"]) == (sqlite["writer"]["worker"], "GET /writes/{seconds}")
    assert findings["db-lock"]["subject"] == "GET /writes/{seconds}"
