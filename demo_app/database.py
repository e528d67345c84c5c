"""The database: SQLite in a private file, or PostgreSQL by `DATABASE_URL`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
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


def make_engine(url: str) -> AsyncEngine:
    """Return an engine that hasn't connected yet.

    Fault `small-pool`: four connections are fewer than the requests that run at once.
    """
    size = 4 if faults.active("small-pool") else 20
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


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    async with sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(_session)]
"""A session for one request; it takes a connection with its first statement."""
