"""Promise 11: the wait for a connection is measured around the checkout, time-outs included."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy.exc
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import (
    AssertionPool,
    AsyncAdaptedQueuePool,
    NullPool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

from perftui_agent.probes.sql import pool_places
from perftui_agent.window import pools as pool_window
from perftui_agent.wire.frames import Frame
from tests.support.databases import Database, Seen, seeing, spans_of

SLOW_S = 0.2
"""What a connection takes that is slow to open."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine for one connection at a time, which gives up at once."""
    engine = create_engine(
        f"sqlite:///{tmp_path}/shop.db", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.05
    )
    yield engine
    engine.dispose()


def gauges(pool: Any) -> tuple[int | None, ...]:
    return pool.size, pool.checked_out, pool.overflow, pool.max


def test_gauges(tmp_path: Path, seen: Seen) -> None:
    """A pool tells its size, what is checked out, the overflow (0 when idle, never negative) and the most."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=2, max_overflow=3)
    assert seen.pools() == {}, "nobody has asked it for anything"
    connections = [engine.connect()]
    pool = seen.pools()["shop.db"]
    assert (pool.kind, gauges(pool)) == ("QueuePool", (2, 1, 0, 5))
    assert engine.pool.overflow() < 0  # type: ignore[attr-defined]
    connections += [engine.connect() for _ in range(3)]
    assert gauges(seen.pools()["shop.db"]) == (2, 4, 2, 5)
    for connection in connections:
        connection.close()
    assert gauges(seen.pools()["shop.db"]) == (2, 0, 0, 5)
    engine.dispose()


def test_checkouts_that_find_a_connection(
    engine: Engine, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle pool counts its checkouts, whose waits are part of no request's story."""
    monkeypatch.setattr(pool_window, "WAIT_SPAN_FROM_NS", 60_000_000_000)  # whatever else the machine does
    for _ in range(5):
        with seen.request(), engine.connect():
            pass
    frame = seen.frame()
    (pool,) = frame.pools
    assert (pool.checkouts, pool.wait.count, pool.timeouts) == (5, 5, 0)
    assert [span.count for span in spans_of(frame, "pool")] == []


def test_time_out(engine: Engine, seen: Seen) -> None:
    """A request that gives up counts as a time-out, with all the time it has waited."""
    with engine.connect(), seen.request("GET /dry"), pytest.raises(sqlalchemy.exc.TimeoutError):
        engine.connect()
    frame = seen.frame()
    (pool,) = frame.pools
    assert (pool.checkouts, pool.timeouts) == (2, 1)
    assert pool.wait.max >= 50_000_000
    (span,) = spans_of(frame, "pool")
    assert (span.name, span.count) == ("shop.db", 1)
    assert span.ns >= 50_000_000


def test_wait_of_a_thread(tmp_path: Path, seen: Seen) -> None:
    """A request that waits for another's connection has waited for as long as that was held, and no more."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=0, pool_timeout=30)

    def other() -> None:
        with seen.request("GET /waits"), engine.connect():
            pass

    with engine.connect():
        thread = threading.Thread(target=other)
        thread.start()
        while not (waiting := seen.pools()["shop.db"]).waiting:
            pass
        assert waiting.waiting == 1
        assert waiting.longest_wait_ns > 0
    thread.join()
    frame = seen.frame()
    (pool,) = frame.pools
    assert (pool.checkouts, pool.waiting, pool.longest_wait_ns) == (1, 0, 0)
    assert pool.wait.max == spans_of(frame, "pool")[0].ns
    engine.dispose()


@pytest.mark.parametrize("ends", ["times out", "is cancelled"])
def test_async_wait(async_database: Database, seen: Seen, ends: str) -> None:
    """An async request that waits in vain counts its wait; only its own time-out is one of the pool's."""

    async def work() -> Frame:
        timeout = 0.05 if ends == "times out" else 30
        engine = async_database.async_engine(
            poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0, pool_timeout=timeout
        )
        async with engine.connect():
            with seen.request("GET /dry"):
                if ends == "times out":
                    with pytest.raises(sqlalchemy.exc.TimeoutError):
                        await engine.connect()
                else:
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(_connect(engine), 0.05)
        frame = seen.frame()
        await engine.dispose()
        return frame

    frame = asyncio.run(work())
    (pool,) = frame.pools
    assert pool.kind == "AsyncAdaptedQueuePool"
    assert (pool.checkouts, pool.timeouts) == (2, int(ends == "times out"))
    assert pool.wait.max >= 40_000_000
    assert [(span.name, span.count) for span in spans_of(frame, "pool")] == [(pool.name, 1)]
    assert (pool.waiting, pool.checked_out) == (0, 0)


async def _connect(engine: AsyncEngine) -> None:
    await engine.connect()


def test_async_requests_take_turns(async_database: Database, seen: Seen) -> None:
    """Of ten requests for two connections each has its own wait, and eight have to wait."""

    async def request(engine: AsyncEngine, number: int) -> None:
        with seen.request(f"GET /{number}"):
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                await asyncio.sleep(0.01)

    async def work() -> None:
        engine = async_database.async_engine(poolclass=AsyncAdaptedQueuePool, pool_size=2, max_overflow=0)
        await asyncio.gather(*(request(engine, number) for number in range(10)))
        await engine.dispose()

    asyncio.run(work())
    frame = seen.frame()
    (pool,) = frame.pools
    assert (pool.checkouts, pool.wait.count, pool.timeouts) == (10, 10, 0)
    waited = [route for route in frame.routes if route.pool_wait_ns >= 5_000_000]
    assert len(waited) >= 8, "on a busy machine the first two may have waited as well"
    assert sum(route.pool_wait_ns for route in frame.routes) <= pool.wait.total


def test_opening_a_connection_is_no_wait(sync_database: Database, seen: Seen) -> None:
    """The time that it takes to connect is a span of its own; so long that a busy machine adds no more."""
    engine = sync_database.sync_engine(poolclass=QueuePool)
    event.listen(engine, "do_connect", lambda *_: time.sleep(SLOW_S))
    with seen.request(), engine.connect():
        pass
    engine.dispose()
    frame = seen.frame()
    (pool,) = frame.pools
    (span,) = spans_of(frame, "connect")
    assert span.name == pool.name
    assert pool.wait.max < SLOW_S * 1e9 <= span.ns


@pytest.mark.parametrize("kind", [NullPool, StaticPool, SingletonThreadPool, AssertionPool])
def test_pools_without_a_size(tmp_path: Path, seen: Seen, kind: Any) -> None:
    """A pool in which nobody ever waits says n/a, never 0; its checkouts still count."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=kind)
    for _ in range(2):
        with seen.request(), engine.connect():
            pass
    pool = seen.pools()["shop.db"]
    assert (pool.kind, pool.checkouts, pool.wait.count, pool.waiting) == (kind.__name__, 2, 0, None)
    assert gauges(pool) == (None, None, None, None)
    engine.dispose()


def test_pool_without_a_limit(tmp_path: Path, seen: Seen) -> None:
    """A QueuePool of any size has neither size nor most, but tells what is checked out."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=0)
    with engine.connect():
        assert gauges(seen.pools()["shop.db"]) == (None, 1, None, None)
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql+asyncpg://me:secret@db.internal:5432/shop", "db.internal:5432/shop"),
        ("postgresql+asyncpg://me:secret@db.internal/shop?password=secret", "db.internal/shop"),
        ("postgresql+asyncpg:///?host=/run/secret&user=secret", "postgresql"),
        ("sqlite+aiosqlite:////var/lib/shop.db", "shop.db"),
        ("sqlite+aiosqlite://", ":memory:"),
        ("sqlite+aiosqlite:///file:/var/shop.db?uri=true", "shop.db"),
    ],
)
def test_names(url: str, name: str) -> None:
    """A database is called by host and name, without credentials, options or folders."""
    from perftui_agent.probes.sql.databases import database_of

    assert database_of(create_async_engine(url)) == name


def test_a_name_of_the_apps_own(tmp_path: Path, seen: Seen) -> None:
    """A pool that the app has named has that name."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_logging_name="reports")
    with engine.connect():
        assert list(seen.pools()) == ["reports"]
    engine.dispose()


def test_two_pools_to_one_database(tmp_path: Path, seen: Seen) -> None:
    """Two engines on one database have two pools, told apart; after `dispose` a pool keeps its name."""
    engines = [create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=size) for size in (1, 2)]
    for _ in range(2):
        for engine in engines:
            with engine.connect():
                pass
        pools = seen.pools()
        assert {name: pool.size for name, pool in pools.items()} == {"shop.db": 1, "shop.db #2": 2}
        for engine in engines:
            engine.dispose()


def test_pools_are_bounded(monkeypatch: pytest.MonkeyPatch, seen: Seen) -> None:
    """Past the bound further pools share one row, which has no size."""
    monkeypatch.setattr(pool_places, "MAX_POOLS", 3)
    engines = [create_engine("sqlite://", poolclass=QueuePool) for _ in range(5)]
    for engine in engines:
        with engine.connect():
            pass
    pools = seen.pools()
    assert set(pools) == {":memory:", ":memory: #2", ":memory: #3", "(other)"}
    assert (pools["(other)"].checkouts, pools["(other)"].size) == (2, None)
    for engine in engines:
        engine.dispose()


def test_promise_13_of_more_pools_than_there_are_places_those_in_use_have_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    """An engine for each tenant, all of them alive: who came last is no `(other)` while others lie idle."""
    monkeypatch.setattr(pool_places, "MAX_POOLS", 3)
    engines = [create_engine(f"sqlite:///{tmp_path}/{number}.db", pool_size=1) for number in range(6)]

    def use(*numbers: int) -> dict[str, int]:
        for number in numbers:
            with engines[number].connect():
                pass
        return {name: pool.checkouts for name, pool in seen.pools().items() if pool.checkouts}

    assert use(0, 1, 2) == {"0.db": 1, "1.db": 1, "2.db": 1}
    assert use(0, 1, 2, 3) == {"0.db": 1, "1.db": 1, "2.db": 1, "(other)": 1}, "all of them are used"
    for _ in range(pool_places.IDLE_AFTER_FRAMES):
        use(2)
    assert use(2, 3, 4) == {"2.db": 1, "3.db": 1, "4.db": 1}
    assert set(seen.engines.all()) == {"2.db", "3.db", "4.db"}
    for _ in range(pool_places.IDLE_AFTER_FRAMES):
        with engines[3].connect():
            use(2)
    assert use(0, 3) == {"0.db": 1, "3.db": 1}, "one that is out is not idle, however long"
    for engine in engines:
        engine.dispose()


def test_failed_to_connect(seen: Seen) -> None:
    """A connection that can't be opened is no time-out of the pool, and no wait for it."""
    engine = create_engine("sqlite:////nowhere/at/all.db", poolclass=QueuePool)
    with seen.request(), pytest.raises(sqlalchemy.exc.OperationalError):
        engine.connect()
    pool = seen.pools()["all.db"]
    assert (pool.checkouts, pool.timeouts, pool.checked_out) == (1, 0, 0)


def test_detached(engine: Engine) -> None:
    """Detached, the probe leaves the pool's classes as they were."""
    from sqlalchemy.pool import base

    before = dict(vars(base._ConnectionRecord))
    with seeing() as seen:
        assert dict(vars(base._ConnectionRecord)) != before
        with engine.connect():
            pass
    assert dict(vars(base._ConnectionRecord)) == before
    with engine.connect():
        pass
    assert seen.frame().pools[0].checkouts == 1
