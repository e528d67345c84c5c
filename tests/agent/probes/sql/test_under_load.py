"""Every execution counts, with its time, its route and its failure, be its request followed or not."""

from __future__ import annotations

import asyncio
import contextvars
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import QueuePool

from perftui_agent.records import RequestRecord, current_request
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import StatementFrame
from tests.support.databases import Seen, seeing
from tests.support.requests import begin, end

REQUESTS = 24
EACH = 40
SELECTS = [text(f"SELECT {name}, :v AS v FROM sqlite_master") for name in ("name", "type", "sql")]
FAILS = text("SELECT nothing, :v FROM sqlite_master")


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine on a database in memory, that hands threads connections of their own."""
    made = create_engine(
        "sqlite://",
        poolclass=QueuePool,
        pool_size=REQUESTS,
        creator=lambda: sqlite3.connect(
            "file:load?mode=memory&cache=shared", uri=True, check_same_thread=False
        ),
    )
    yield made
    made.dispose()


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that change places as often as the interpreter lets them."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def works(engine: Engine) -> None:
    """Run each of the statements `EACH` times, and one that fails."""
    with engine.connect() as connection:
        for number in range(EACH):
            for select in SELECTS:
                connection.execute(select, {"v": number % 3}).all()
        with pytest.raises(OperationalError):
            connection.execute(FAILS, {"v": 0})


def statements(frame: Frame) -> list[StatementFrame]:
    return [row for row in frame.statements if "sqlite_master" in row.statement]


def exactly(frames: list[Frame], route: str) -> tuple[int, int, int, int]:
    """Return the executions, those by the route, the failed ones, and those in the route's own sum."""
    rows = [row for frame in frames for row in statements(frame)]
    routes = [each for frame in frames for each in frame.routes if each.route == route]
    assert sum(row.latency.total for row in rows) >= sum(each.sql_ns for each in routes) > 0
    return (
        sum(row.latency.count for row in rows),
        sum(row.routes.get(route, 0) for row in rows),
        sum(row.errors for row in rows),
        sum(each.sql_count for each in routes),
    )


@pytest.mark.parametrize("one_in", [1, 3, 1_000_000])
def test_many_threads_count_every_statement(seen: Seen, engine: Engine, hasty: None, one_in: int) -> None:
    """While the agent's thread folds; two threads work for each request, a sync endpoint and its helper."""
    works(engine)
    seen.frame()
    records = [begin(seen.window, followed=number % one_in == 0) for number in range(REQUESTS // 2)]

    def serve(record: RequestRecord) -> None:
        token = current_request.set(record)
        helper = threading.Thread(target=contextvars.copy_context().run, args=(works, engine))
        helper.start()
        works(engine)
        helper.join()
        current_request.reset(token)
        end(record, "GET /threads")

    threads = [threading.Thread(target=serve, args=(record,)) for record in records]
    for thread in threads:
        thread.start()
    frames = []
    while any(thread.is_alive() for thread in threads):
        frames.append(seen.frame())
        threads[0].join(0.02)
    frames.append(seen.frame())
    wanted = REQUESTS * (EACH * len(SELECTS) + 1)
    assert exactly(frames, "GET /threads") == (wanted, wanted, REQUESTS, wanted)
    ended = [each for frame in frames for each in frame.routes if each.route == "GET /threads"]
    assert sum(each.status.success for each in ended) == len(records)
    assert sum(each.unfollowed for each in ended) == sum(not record.followed for record in records)


@pytest.mark.parametrize("one_in", [1, 3])
def test_many_tasks_count_every_statement(seen: Seen, one_in: int) -> None:
    """Of async engines, in tasks that a request makes and waits for."""

    async def work() -> None:
        engine = create_async_engine("sqlite+aiosqlite://")

        async def ask() -> None:
            async with engine.connect() as connection:
                for number in range(5):
                    await connection.execute(SELECTS[0], {"v": number})

        async def serve(record: RequestRecord) -> None:
            current_request.set(record)
            await asyncio.gather(ask(), ask())
            end(record, "GET /tasks")

        await ask()
        seen.frame()
        records = [begin(seen.window, followed=number % one_in == 0) for number in range(12)]
        await asyncio.gather(*(serve(record) for record in records))
        await engine.dispose()

    asyncio.run(work())
    assert exactly([seen.frame()], "GET /tasks") == (120, 120, 0, 120)


def test_a_request_that_is_not_followed_leaves_times_and_nothing_else(engine: Engine) -> None:
    """No record of each execution, no values, no call site; so it costs its thread an append.

    One step of transactions a second brings its call site, whoever it is for.
    """
    # Slow is what is told of all the same, and on a crowded machine anything may be.
    with seeing(slow_query_ms=60_000.0) as seen:
        for _ in range(2):  # the first time it is read, the second it brings its call site
            works(engine)
            seen.frame()
        record = begin(seen.window, followed=False)
        token = current_request.set(record)
        with engine.connect() as connection:
            for number in range(7):
                connection.execute(SELECTS[0], {"v": number}).all()
        current_request.reset(token)
        assert {part.kind for part in record.parts or ()} <= {"transaction"}
        counted = {shape.shown: len(took_ns) for shape, took_ns in (record.counted or {}).items()}
        assert counted.pop("SELECT name, ? AS v FROM sqlite_master") == 7
        assert set(counted) <= {"RESET", "ROLLBACK"}, "steps of its transaction"
        end(record)
        (row,) = statements(seen.frame())
    assert (row.latency.count, row.unfollowed, row.same_binds) == (7, 7, 0)


def test_slow_statements_of_all_requests_are_counted_as_slow(tmp_path: Path) -> None:
    """And say where they come from."""
    with seeing(slow_query_ms=0.0) as seen:
        engine = create_engine(f"sqlite:///{tmp_path}/slow.db")
        with engine.connect() as connection:
            connection.execute(SELECTS[0], {"v": 0}).all()
            seen.frame()
            record = begin(seen.window, followed=False)
            token = current_request.set(record)
            connection.execute(SELECTS[0], {"v": 0}).all()
            current_request.reset(token)
        end(record)
        (row,) = statements(seen.frame())
        engine.dispose()
    assert (row.slow, row.unfollowed) == (1, 1)
    assert row.call_site is not None
    assert "test_slow_statements" in row.call_site
