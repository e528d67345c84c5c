"""Statements that never come back count too."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.support.databases import Database, Seen


def slow_statement(database: Database) -> str:
    if "postgres" in database.url:
        return "SELECT pg_sleep(30)"
    return (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000000) SELECT count(*) FROM n"
    )


def test_cancelled(async_database: Database, seen: Seen) -> None:
    """A statement whose task is cancelled counts once, as an error, with the time it had."""

    async def work() -> None:
        engine = async_database.async_engine()
        executing = asyncio.Event()
        async with engine.connect() as connection:
            # From here to its first wait it is the driver that has the statement.
            event.listen(engine.sync_engine, "before_cursor_execute", lambda *_: executing.set())
            with seen.request("GET /cancelled"):
                task = asyncio.create_task(_execute(connection, slow_statement(async_database)))
                await executing.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        await engine.dispose()

    asyncio.run(work())
    frame = seen.frame()
    (statement,) = [s for s in frame.statements if s.errors]
    assert (statement.latency.count, statement.routes) == (1, {"GET /cancelled": 1})
    assert statement.latency.total > 0


async def _execute(connection: Any, statement: str) -> None:
    await connection.execute(text(statement))


def test_thrown_away(asyncpg_database: Database, seen: Seen) -> None:
    """A statement whose coroutine is closed half-way counts once, as an error, and leaves nothing."""

    async def work() -> None:
        engine = asyncpg_database.async_engine()
        connection = await engine.connect()
        with seen.request():
            coroutine = _execute(connection, slow_statement(asyncpg_database))
            coroutine.send(None)
            with pytest.raises(RuntimeError, match="ignored GeneratorExit"):  # SQLAlchemy still hangs up
                coroutine.close()
        await engine.dispose()

    asyncio.run(work())
    gc.collect()
    assert [(s.latency.count, s.errors) for s in seen.frame().statements if s.errors] == [(1, 1)]
