"""Where in the app a statement comes from."""

from __future__ import annotations

import asyncio
import sysconfig
import threading
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.orm import Session

from perftui_agent.probes import call_sites
from tests.support.databases import Author, Database, Seen

SELECT = text("SELECT 7")


async def crud(connection: AsyncConnection) -> None:
    await connection.execute(SELECT)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_async(seen: Seen, run: Any) -> None:
    """Of an async statement it is the coroutine that awaits it, under asyncio and uvloop."""

    async def work() -> None:
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.connect() as connection:
            await crud(connection)
        await engine.dispose()

    with seen.request():
        run(work())
    site = seen.statements()["SELECT ?"].call_site
    assert site == f"tests/agent/probes/sql/test_call_sites.py:{crud.__code__.co_firstlineno + 1} crud"


def test_a_task_of_its_own(seen: Seen) -> None:
    """A statement that is a task of its own has no caller: who started the loop didn't call it."""

    async def work() -> None:
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.connect() as connection:
            await asyncio.create_task(connection.execute(SELECT))
        await engine.dispose()

    with seen.request():
        asyncio.run(work())
    assert seen.statements()["SELECT ?"].call_site is None


def test_in_a_thread(sync_database: Database, seen: Seen) -> None:
    """In a thread it is the function that the thread runs."""

    def in_thread() -> None:
        engine = sync_database.sync_engine()
        with engine.connect() as connection:
            connection.execute(SELECT)
        engine.dispose()

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    site = seen.statements()["SELECT ?"].call_site
    assert site is not None
    assert site.endswith("in_thread")


class Named(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str


class Writer(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    books: list[Named]


def test_a_response_model_that_loads_what_it_reads(sync_database: Database, seen: Seen) -> None:
    """Once the endpoint has returned, no line of the app's own runs the statement, and none of pydantic's is
    named in its place."""
    sync_database.fill(authors=1, books_each=2)
    engine = sync_database.sync_engine()
    with Session(engine) as session:
        author = session.get(Author, 1)
        seen.frame()
        thread = threading.Thread(target=Writer.model_validate, args=(author,))
        thread.start()
        thread.join()
    engine.dispose()
    (books,) = [each for each in seen.frame().statements if "FROM books" in each.statement]
    assert books.latency.count == 1
    assert books.call_site is None


def test_an_installed_app(seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that is installed like any package is still found: whoever calls SQLAlchemy."""
    purelib = sysconfig.get_paths()["purelib"]
    source = "def find(connection, statement):\n    return connection.execute(statement).all()\n"
    namespace: dict[str, Any] = {"__name__": "shop.crud"}
    exec(compile(source, f"{purelib}/shop/crud.py", "exec"), namespace)
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")  # one in memory stays with its thread

    def in_thread() -> None:
        with engine.connect() as connection:
            namespace["find"](connection, SELECT)

    # The thread's own function would be the app's: only library code is on this stack.
    monkeypatch.setitem(call_sites._files, __file__, call_sites._PASSED)
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    engine.dispose()
    assert seen.statements()["SELECT ?"].call_site == "shop/crud.py:2 find"


def test_asked_for_only_where_it_says_something(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack is walked once a statement, a few times a repetition, and for slow and failed executions."""
    from sqlalchemy import create_engine

    walks: list[str] = []

    def walk() -> str:
        walks.append("app.py:1 f")
        return walks[-1]

    monkeypatch.setattr("perftui_agent.probes.sql.sqlalchemy.call_site", walk)
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        for _ in range(10):
            with seen.request():
                connection.execute(SELECT)
            seen.frame()
        assert len(walks) == 2, "when the text was new, and when its shape was"
        with seen.request():
            for _ in range(50):
                connection.execute(SELECT)
        assert len(walks) == 2 + 5, "at the third, 5th, 9th, 17th and 33rd"
    engine.dispose()
