"""`perftui explain` and `missing-index` on real servers with SQLite: told when asked for, and unasked."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import Service, running, write_app

SHOP = """
    from fastapi import FastAPI
    from perftui_agent import instrument
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    app = instrument(FastAPI(), service="shop", slow_query_ms=1)
    engine = create_async_engine("sqlite+aiosqlite:///FILE")

    async def asked(sql, **values):
        async with engine.connect() as connection:
            return len((await connection.execute(text(sql), values)).fetchmany(2000))

    @app.get("/orders")
    async def orders(who: str):
        return await asked("SELECT id, total FROM orders WHERE buyer = :who AND status = 'open'", who=who)

    @app.get("/note/{word}")
    async def note(word: str):
        return await asked("SELECT id FROM orders WHERE note LIKE :word", word="%" + word)

    @app.get("/open")
    async def of_status():
        return await asked("SELECT id FROM orders WHERE status = :status", status="open")

    @app.get("/codes/{code}")
    async def codes(code: str):
        return await asked("SELECT name FROM codes WHERE code = :code", code=code)
"""

SECRET = "s3cret-buyer-1207"

ROWS = 150_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("shop")
    file = directory / "shop.db"
    make(file)
    with running(write_app(directory, SHOP.replace("FILE", str(file))), workers=2) as service:
        yield service, file


def make(file: Path, rows: int = ROWS) -> None:
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, buyer TEXT, status TEXT, note TEXT, total INTEGER)"
        )
        database.execute("CREATE TABLE codes (id INTEGER PRIMARY KEY, code TEXT, name TEXT)")
        database.execute("CREATE INDEX ix_orders_note ON orders (note)")
        database.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
            (
                (n, f"buyer-{n * 7919 % 9973}", ("open", "paid", "sent")[n * 31 % 97 % 3], f"note {n}", n)
                for n in range(rows)
            ),
        )
        database.executemany(
            "INSERT INTO codes VALUES (?, ?, ?)", [(n, f"c{n}", "a name") for n in range(120)]
        )
        database.commit()


def fingerprint_of(document: dict[str, Any], words: str) -> str:
    (found,) = [each["fingerprint"] for each in document["queries"] if words in each["statement"]]
    return str(found)


def explain(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = service.perftui("explain", service.target, *arguments)
    if "ask again" in done.stderr:  # an agent does three at once, and then one a second
        time.sleep(1.1)
        done = service.perftui("explain", service.target, *arguments)
    return done


PATHS = (f"/orders?who={SECRET}", "/note/77", "/open", "/codes/c7")


def seen(service: Service, for_s: str = "4s") -> dict[str, Any]:
    """Return a snapshot over which all of it is asked for again and again."""
    over = threading.Event()

    def ask() -> None:
        with service.client() as client:
            while not over.is_set():
                for path in PATHS:
                    client.get(path)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        done = service.perftui("snapshot", service.target, "--for", for_s, "--json")
    finally:
        over.set()
        asking.join()
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_missing_index_is_told_unasked_and_explained_when_asked(shop: tuple[Service, Path]) -> None:
    """The finding names table, columns and what to run, `explain` the plan; what comes near has no finding.

    The value that the slowest run had is nowhere: in no document, no black box, and no log of the agent's.
    """
    service, file = shop
    document = seen(service)
    (finding,) = [each for each in document["findings"] if each["kind"] == "missing-index"]
    assert finding["subject"] == "orders (buyer, status)"
    assert finding["evidence"]["columns"] == ["buyer", "status"]
    fingerprint = fingerprint_of(document, "buyer = ?")
    assert finding["evidence"]["fingerprint"] == fingerprint
    slow = [each for each in document["findings"] if each["kind"] == "slow-query"]
    assert fingerprint not in {each["evidence"]["fingerprint"] for each in slow}, "a symptom of it"

    done = explain(service, fingerprint, "--json")
    explained = json.loads(done.stdout)
    assert explained["fingerprint"] == fingerprint
    assert explained["database"] == "shop.db"
    assert explained["plan"] == ["SCAN orders"]
    assert explained["verdicts"][0]["kind"] == "scan"
    assert explained["verdicts"][0]["columns"] == ["buyer", "status"]
    create = explained["advice"].partition(": ")[2]
    assert create == finding["evidence"]["create"]
    assert finding["advice"].endswith(create)
    text = explain(service, fingerprint).stdout
    assert create in text
    near = {"note LIKE": "unusable-index", "orders WHERE status": "most-rows", "codes": "small-table"}
    for words, why in near.items():
        told = json.loads(explain(service, fingerprint_of(document, words), "--json").stdout)
        assert [each["kind"] for each in told["verdicts"]] == [why]
        assert "CREATE INDEX" not in told["advice"]

    said = [
        json.dumps(document),
        done.stdout,
        done.stderr,
        text,
        service.perftui("evidence", "--json").stdout,
    ]
    said += [line for line in service.log().splitlines() if "GET /" not in line]
    assert not [each for each in said if SECRET in each]
    boxes = list(Path(service.env["PERFTUI_RUNTIME_DIR"]).glob("*.ring"))
    assert boxes
    assert not [box for box in boxes if SECRET.encode() in box.read_bytes()]

    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute(create)
    again = json.loads(explain(service, fingerprint, "--json").stdout)
    assert again["plan"][0].startswith("SEARCH orders USING INDEX ix_orders_buyer_status")
    assert again["advice"].startswith("The plan is all right")
    assert "SCAN orders → SEARCH orders" in again["changed"]
    later = seen(service)
    assert "plan-changed" in {each["kind"] for each in later["incidents"]}


def test_what_nobody_has_run_is_told_in_two_lines(shop: tuple[Service, Path]) -> None:
    """An unknown fingerprint: what is wrong, and the next command."""
    service, _ = shop
    done = explain(service, "feedfeedfeedfeed")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "this worker knows no statement feedfeedfeedfeed",
        "  their fingerprints: perftui snapshot --json, under queries",
    ]


def test_where_actions_are_off_no_database_is_asked(tmp_path: Path) -> None:
    """PERFTUI_ACTIONS=0: it is refused, and nothing is asked unasked either."""
    file = tmp_path / "shop.db"
    make(file, rows=40_000)
    env = {"PERFTUI_ACTIONS": "0"}
    with running(write_app(tmp_path, SHOP.replace("FILE", str(file))), env=env) as service:
        document = seen(service, "3s")
        done = explain(service, fingerprint_of(document, "buyer = ?"))
        assert done.returncode == 2
        assert "actions are switched off" in done.stderr
        assert "missing-index" not in {each["kind"] for each in document["findings"]}
        assert "perftui's own" not in service.log()
