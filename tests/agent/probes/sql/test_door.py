"""The whole way: a FastAPI app under a real server, and the frames that its worker sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from perftui_agent.wire.frames import Frame
from tests.agent.watching import Frames, watching
from tests.support.servers import running, write_app

T = TypeVar("T")

APP = """
import asyncio, os
from contextlib import asynccontextmanager
from fastapi import FastAPI, HTTPException
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import TimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import AsyncAdaptedQueuePool
from perftui_agent import instrument

class Base(DeclarativeBase): pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

url = os.environ["SYNC_URL"]
with create_engine(url).begin() as connection:
    Base.metadata.create_all(connection)
    connection.execute(Item.__table__.insert(), [{"id": number, "name": "x"} for number in range(1, 60)])

early = create_engine(url, pool_size=40)
app = instrument(FastAPI())
bounds = {"poolclass": AsyncAdaptedQueuePool, "pool_size": 2, "max_overflow": 0, "pool_timeout": 0.3}
late = create_async_engine(os.environ["ASYNC_URL"], **bounds)

def crud_get(session, number):
    return session.scalars(select(Item).where(Item.id == number)).one()

async def find(session, number):
    return (await session.execute(select(Item.name).where(Item.id == number))).scalar_one()

@app.get("/sync/{times}")
def sync(times: int):
    with Session(early) as session:
        return [crud_get(session, number + 1).name for number in range(times)]

@app.get("/n-plus-one")
async def n_plus_one():
    async with AsyncSession(late) as session:
        return [await find(session, number) for number in range(1, 52)]

@app.post("/commits")
async def commits():
    async with AsyncSession(late) as session:
        session.add(Item(id=1_000_000, name="new"))
        await session.commit()

@app.get("/held")
async def held():
    async with AsyncSession(late) as session:
        await session.execute(text("SELECT 1"))
        await asyncio.sleep(0.6)

@app.get("/wrong")
async def wrong():
    async with AsyncSession(late) as session:
        await session.execute(text("SELECT secret_column FROM items WHERE name = 'my-secret'"))
"""


class Sums:
    """What all frames say together."""

    def __init__(self, frames: list[Frame]) -> None:
        self.counts: Counter[str] = Counter()
        self.routes: dict[str, Counter[str]] = {}
        self.call_sites: dict[str, str] = {}
        self.errors = self.timeouts = self.longest_wait_ns = 0
        for frame in frames:
            for statement in frame.statements:
                self.counts[statement.statement] += statement.latency.count
                self.errors += statement.errors
                for route, count in statement.routes.items():
                    self.routes.setdefault(route, Counter())[statement.statement] += count
                if statement.call_site:
                    self.call_sites[statement.statement] = statement.call_site
            for pool in frame.pools:
                self.timeouts += pool.timeouts
                self.longest_wait_ns = max(self.longest_wait_ns, pool.wait.max)


@pytest.fixture(params=["sqlite", "postgres"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    if request.param == "sqlite":
        path = tmp_path / "shop.db"
        return {"SYNC_URL": f"sqlite:///{path}", "ASYNC_URL": f"sqlite+aiosqlite:///{path}"}
    url: str = request.getfixturevalue("postgres_url")
    sync = url.replace("asyncpg", "psycopg")
    return {"SYNC_URL": sync, "ASYNC_URL": url}


def test_through_the_door(urls: dict[str, str], tmp_path: Path) -> None:
    """Statements, repetition, waits and time-outs of real requests arrive as the worker's frames."""
    with running(write_app(tmp_path, APP), workers=1, env=urls) as service, watching(service) as frames:

        def status(path: str) -> int:
            return service.get(path)[0].status_code

        with ThreadPoolExecutor(8) as threads:
            asked = [threads.submit(status, f"/sync/{times}") for times in (1, 2, 3, 4) * 5]
            assert {done.result() for done in asked} == {200}
            assert status("/n-plus-one") == 200
            assert status("/n-plus-one") == 200
            assert status("/wrong") == 500
            with service.client() as client:
                assert client.post("/commits").status_code == 200
            held = [threads.submit(status, "/held") for _ in range(5)]
            assert Counter(done.result() for done in held) == {200: 2, 500: 3}
        _until_counted(frames, "GET /held", 2)
    sums = Sums(frames.seen)
    by_id = "SELECT items.id, items.name FROM items WHERE items.id = ?"
    names = "SELECT items.name FROM items WHERE items.id = ?"
    assert _plain(sums.routes["GET /sync/{times}"])[by_id] == 5 * (1 + 2 + 3 + 4)
    assert _plain(sums.routes["GET /n-plus-one"])[names] == 2 * 51
    assert sums.errors == 1
    steps = [step for frame in frames.seen for step in frame.transactions]
    assert [step.routes for step in steps if step.statement == "COMMIT" and step.routes] == [
        {"POST /commits": 1}
    ]
    assert sums.timeouts == 3
    assert sums.longest_wait_ns >= 300_000_000
    sites = _plain(sums.call_sites)
    assert sites[by_id].startswith("app.py:")
    assert sites[by_id].endswith(" crud_get")
    assert sites[names].endswith(" find")
    repeats = [
        one
        for frame in frames.seen
        for r in frame.routes
        if r.route == "GET /n-plus-one"
        for one in r.repeats
    ]
    assert (sum(r.requests for r in repeats), max(r.most for r in repeats)) == (2, 51)
    assert all(r.call_site.endswith(" find") for r in repeats)
    waited = sum(r.pool_wait_ns for frame in frames.seen for r in frame.routes if r.route == "GET /held")
    assert waited >= 3 * 300_000_000
    pools = {pool.name: pool for pool in frames.seen[-1].pools}
    gauges = {(pool.size, pool.checked_out, pool.overflow, pool.max) for pool in pools.values()}
    assert gauges == {(40, 0, 0, 50), (2, 0, 0, 2)}
    last = frames.seen[-1]
    assert (last.probes["sqlalchemy"], last.probes["pools"]) == ("on", "on")
    assert last.agent.faults == {}
    everything = repr(frames.seen)
    assert "my-secret" not in everything
    assert "shop@" not in everything


def _plain(statements: Mapping[str, T]) -> dict[str, T]:
    return {
        text.replace("::INTEGER", "").replace("::VARCHAR", ""): value for text, value in statements.items()
    }


def _until_counted(frames: Frames, route: str, requests: int) -> None:
    frames.until(
        lambda _: (
            sum(
                one.status.success
                for frame in list(frames.seen)
                for one in frame.routes
                if one.route == route
            )
            >= requests
        )
    )
