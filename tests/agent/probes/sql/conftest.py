"""One PostgreSQL for all of these tests, and each test on each driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import Database, Seen, seeing
from tests.support.postgres import postgres

DRIVERS = ["pysqlite", "aiosqlite", "psycopg", "psycopg_async", "asyncpg"]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=DRIVERS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database with five authors of two books each, by every driver in turn."""
    return filled(request, request.param, tmp_path)


@pytest.fixture(params=["pysqlite", "psycopg"])
def sync_database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return filled(request, request.param, tmp_path)


@pytest.fixture(params=["aiosqlite", "asyncpg", "psycopg_async"])
def async_database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return filled(request, request.param, tmp_path)


@pytest.fixture
def asyncpg_database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return filled(request, "asyncpg", tmp_path)


@pytest.fixture
def seen() -> Iterator[Seen]:
    """The probes, attached."""
    with seeing() as it:
        yield it


def filled(request: pytest.FixtureRequest, driver: str, tmp_path: Path) -> Database:
    if "sqlite" in driver:
        database = Database(f"sqlite+{driver}:///{tmp_path}/shop.db")
    else:
        url: str = request.getfixturevalue("postgres_url")
        database = Database(url.replace("asyncpg", driver))
    database.fill()
    return database
