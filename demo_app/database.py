"""The database: SQLite in a private file, or PostgreSQL by `DATABASE_URL`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from demo_app import faults, files


def database_url() -> str:
    """Return `DATABASE_URL`, or the URL of the shop's SQLite file."""
    return os.environ.get("DATABASE_URL") or f"sqlite+aiosqlite:///{files.database_file()}"


POOL_SIZE, SMALL_POOL_SIZE = 20, 4

on_the_way: list[Callable[[], Awaitable[None]]] = []
"""What a session waits for before a request has it: fault `worker-imbalance`."""


def pool_size() -> int:
    """Return how many connections a worker has.

    Fault `pool-exhausted`: four are fewer than the requests that run at once.
    """
    return SMALL_POOL_SIZE if faults.active("pool-exhausted") else POOL_SIZE


def make_engine(url: str, size: int) -> AsyncEngine:
    """Return an engine that hasn't connected yet."""
    engine = create_async_engine(url, pool_size=size, max_overflow=0, pool_timeout=5)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
    return engine


def _configure_sqlite(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:  # noqa: ARG001
    """Let workers read while one of them writes, and a second writer wait for the first."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def sessions_of(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Return what makes sessions on an engine."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    for wait in on_the_way:
        await wait()
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    async with sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(_session)]
"""A session for one request; it takes a connection with its first statement."""
