"""Fill the database, once: `python -m demo_app.seed` does it ahead of the workers.

Workers that start on an empty database do it themselves: the first builds, the others wait for it. A
SQLite file is built under another name and moved into place, so nobody ever opens half of one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from demo_app.database import database_url
from demo_app.goods import Goods, Row, invent
from demo_app.models import TERM_INDEX_NAME, Base, SearchTerm

ADVISORY_LOCK = 7_466_001
"""The number under which seeding processes wait for each other in PostgreSQL."""


async def ensure_seeded(url: str) -> None:
    """See to it that the database at `url` holds the shop's data, and return once it does."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        await asyncio.to_thread(seed_file, Path(str(parsed.database)))
    else:
        await _seed_server(url)


def seed_file(path: Path) -> None:
    """Build the SQLite file at `path` unless it is there; safe from several processes at once."""
    if path.exists():
        return
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        building = path.with_suffix(f".{os.getpid()}.building")
        building.unlink(missing_ok=True)
        try:
            _build(building)
            building.replace(path)
        finally:
            building.unlink(missing_ok=True)


def _build(path: Path) -> None:
    """Write a complete SQLite file; its write-ahead log is merged when the connection closes."""
    path.touch(mode=0o600)
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    Base.metadata.create_all(engine)
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            for name, rows in invent().tables():
                marks = ", ".join("?" * len(rows[0]))
                plain = (tuple(map(_plain, row)) for row in rows)
                connection.executemany(f"INSERT INTO {name} VALUES ({marks})", plain)  # noqa: S608 - our names
        connection.execute("ANALYZE")
        connection.execute("PRAGMA journal_mode = WAL")


def _plain(value: int | str | date) -> int | str:
    return value.isoformat() if isinstance(value, date) else value


async def _seed_server(url: str) -> None:
    """Fill a PostgreSQL database in one transaction, under a lock that ends with it."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            is_new = not await connection.run_sync(_has_tables)
            await connection.run_sync(_create_schema)
            if is_new:
                await _copy_into(connection, invent())
    finally:
        await engine.dispose()


def _has_tables(connection: Connection) -> bool:
    return inspect(connection).has_table("search_terms")


def _create_schema(connection: Connection) -> None:
    """Create what is missing, and have the index on search terms exactly if the models have it."""
    Base.metadata.create_all(connection)
    indexes = Base.metadata.tables[SearchTerm.__tablename__].indexes
    for index in indexes:
        index.create(connection, checkfirst=True)
    if not indexes:
        connection.execute(text(f"DROP INDEX IF EXISTS {TERM_INDEX_NAME}"))


async def _copy_into(connection: AsyncConnection, goods: Goods) -> None:
    """COPY all rows, and have the sequences go on behind them."""
    raw = await connection.get_raw_connection()
    for name, rows in goods.tables():
        await _copy_rows(raw.driver_connection, name, rows)
        sequence = f"pg_get_serial_sequence('{name}', 'id')"
        await connection.execute(text(f"SELECT setval({sequence}, {len(rows)})"))
    await connection.execute(text("ANALYZE"))


async def _copy_rows(driver: object, table: str, rows: list[Row]) -> None:
    copy = getattr(driver, "copy_records_to_table", None)
    if copy is None:
        raise NotImplementedError("the shop runs on SQLite (aiosqlite) and PostgreSQL (asyncpg)")
    await copy(table, records=rows)


if __name__ == "__main__":
    asyncio.run(ensure_seeded(database_url()))
