"""Databases for tests, and the agent's eyes on them, without a server around.

`Database.run(work)` runs the same ORM code on a sync engine or, through `run_sync` in a greenlet, on an
async one. `seeing()` attaches the probes to a window of the test's own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Engine, ForeignKey, create_engine, insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from perftui_agent.engines import Engines
from perftui_agent.guard import Guard
from perftui_agent.probes.probe import ON
from perftui_agent.probes.sql.pool import PoolProbe
from perftui_agent.probes.sql.sqlalchemy import SqlAlchemyProbe
from perftui_agent.records import RequestRecord, current_request
from perftui_agent.window.window import Window
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import PoolFrame, StatementFrame
from perftui_agent.wire.requests import RepeatedShape, Span
from tests.support.requests import begin, end

T = TypeVar("T")


class Base(DeclarativeBase):
    """Authors and their books."""


class Author(Base):
    """Has books."""

    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship(back_populates="author")


class Book(Base):
    """Has one author."""

    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship(back_populates="books")


@dataclass(frozen=True, slots=True)
class Database:
    """One database, and the driver to reach it by."""

    url: str

    @property
    def driver(self) -> str:
        """`aiosqlite`, `psycopg`, `psycopg_async` …"""
        return self.url.partition("://")[0].partition("+")[2] or "pysqlite"

    @property
    def is_async(self) -> bool:
        """Whether its engines are async."""
        return self.driver in {"aiosqlite", "asyncpg", "psycopg_async"}

    def sync_engine(self, **options: Any) -> Engine:
        """Return a new engine."""
        assert not self.is_async
        return create_engine(self.url, **options)

    def async_engine(self, **options: Any) -> AsyncEngine:
        """Return a new async engine."""
        assert self.is_async
        return create_async_engine(self.url, **options)

    def run(self, *works: Callable[[Session], T], **options: Any) -> list[T]:
        """Run each of `works` in a session of its own, on an engine that is disposed of afterwards."""
        if self.is_async:
            return asyncio.run(self._run_async(works, options))
        engine = self.sync_engine(**options)
        try:
            results = []
            for work in works:
                with Session(engine) as session:
                    results.append(work(session))
            return results
        finally:
            engine.dispose()

    async def _run_async(self, works: tuple[Callable[[Session], T], ...], options: dict[str, Any]) -> list[T]:
        engine = self.async_engine(**options)
        try:
            results = []
            for work in works:
                async with AsyncSession(engine) as session:
                    results.append(await session.run_sync(work))
            return results
        finally:
            await engine.dispose()

    def fill(self, authors: int = 5, books_each: int = 2) -> None:
        """Make the tables anew, with so many authors and books."""

        def work(session: Session) -> None:
            Base.metadata.drop_all(session.connection())
            Base.metadata.create_all(session.connection())
            numbers = range(1, authors + 1)
            # Objects of the ORM would take most of the time of the tests that have many.
            session.execute(
                insert(Author.__table__),  # type: ignore[arg-type]  # what is mapped here is a table
                [{"id": number, "name": f"author {number}"} for number in numbers],
            )
            titles = [(number, f"book {number}.{place}") for number in numbers for place in range(books_each)]
            session.execute(
                insert(Book.__table__),  # type: ignore[arg-type]
                [{"author_id": number, "title": title} for number, title in titles],
            )
            session.commit()

        self.run(work)


@dataclass(slots=True)
class Seen:
    """What the probes saw."""

    window: Window
    guard: Guard
    sql: SqlAlchemyProbe
    pool: PoolProbe
    engines: Engines
    _frames: int = 0

    @contextlib.contextmanager
    def request(self, route: str = "GET /") -> Iterator[RequestRecord]:
        """Be within a request to `route`."""
        record = begin(self.window)
        token = current_request.set(record)
        try:
            yield record
        finally:
            current_request.reset(token)
            end(record, route)

    def frame(self) -> Frame:
        """Close a frame."""
        self._frames += 1
        self.window.fold_pending()
        frame = self.window.close(seq=self._frames, ended_at_ns=0, span_ns=1_000_000_000)
        self.sql.fill(frame)
        self.pool.fill(frame)
        return frame

    def statements(self) -> dict[str, StatementFrame]:
        """Close a frame and return its statements by text."""
        return by_text(self.frame())

    def counts(self) -> dict[str, int]:
        """Close a frame and return how often each statement ran, those of transactions left out."""
        return {text: statement.latency.count for text, statement in self.statements().items()}

    def transactions(self) -> dict[str, StatementFrame]:
        """Close a frame and return its steps of transactions by name."""
        return {step.statement: step for step in self.frame().transactions}

    def pools(self) -> dict[str, PoolFrame]:
        """Close a frame and return its pools by name."""
        return {pool.name: pool for pool in self.frame().pools}


def by_text(frame: Frame) -> dict[str, StatementFrame]:
    """Return a frame's statements by text; of two with one text it fails."""
    statements = {statement.statement: statement for statement in frame.statements}
    assert len(statements) == len(frame.statements)
    return statements


def spans_of(frame: Frame, kind: str) -> list[Span]:
    """Return the spans of one kind in the stories of a frame's requests."""
    return [span for request in frame.slowest for span in request.spans if span.kind == kind]


def repeats_of(frame: Frame, route: str = "GET /") -> list[RepeatedShape]:
    """Return what single requests of a route repeated."""
    return [repeats for one in frame.routes if one.route == route for repeats in one.repeats]


@contextlib.contextmanager
def seeing(
    slow_query_ms: float = 100.0, sql_text: str = "shape", *, keeps_runs: bool = True
) -> Iterator[Seen]:
    """Attach the probes to a window of the test's own; see at the end that they had no fault."""
    window, guard = Window(), Guard()
    window.open = True
    window.shapes.show_text = sql_text == "shape"
    engines = Engines()
    seen = Seen(
        window,
        guard,
        SqlAlchemyProbe(window, guard, slow_query_ms, keeps_runs=keeps_runs),
        PoolProbe(window, guard, engines),
        engines,
    )
    assert seen.sql.attach() == ON
    assert seen.pool.attach() == ON
    try:
        yield seen
    finally:
        seen.sql.detach()
        seen.pool.detach()
    assert guard.faults == {}
    assert window.records_dropped == 0
