"""What the databases of this worker say, and which of their sessions are whose here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from perftui_agent.engines import Engines
from perftui_agent.inspect.database.own_connection import OwnConnections
from perftui_agent.inspect.database.postgres import Shaped, look_at_postgres
from perftui_agent.inspect.database.read_only import Ask, AskError, CannotAskError
from perftui_agent.inspect.database.sqlite import look_at_sqlite
from perftui_agent.inspect.text import printable
from perftui_agent.wire.database import Database, DatabaseLook, DatabaseRequest, HeldConnection

ASK_S = 5.0
"""How long one database has for all that it is asked on demand …"""

BRIEF_S = 2.0
"""… and for what the agent asks by itself."""

MAX_ENGINES = 8
"""Databases that are asked, one after the other."""


class Databases:
    """What is known of the databases in this worker; the composition root fills it."""

    def __init__(
        self,
        engines: Engines,
        connections: OwnConnections,
        held: Callable[[], list[HeldConnection]],
        shaped: Shaped,
        tables: Callable[[str], Iterable[str]],
        name_of: Callable[[Any], str],
    ) -> None:
        self.engines = engines
        self.held = held
        self._connections = connections
        self._shaped = shaped
        self._tables = tables
        self._name_of = name_of

    def distinct(self) -> dict[str, str]:
        """Return the engines there are, by name, of several for one database one; and what it is called."""
        first: dict[tuple[str, str], str] = {}
        for name, engine in self.engines.all().items():
            first.setdefault((engine.dialect.name, self._name_of(engine)), name)
        return {name: database for (_, database), name in first.items()}

    async def look(self, name: str, *, why: str, brief: bool) -> DatabaseLook:
        """Return what the database of an engine says, or why there is nothing."""
        engine = self.engines.get(name)
        kind = engine.dialect.name if engine is not None else ""
        database = self._name_of(engine) if engine is not None else name
        taken_at, began_ns = time.time_ns(), time.monotonic_ns()
        tables = [] if brief else list(self._tables(database))

        def work(ask: Ask) -> DatabaseLook:
            if ask.kind == "sqlite":
                return look_at_sqlite(ask, name, database)
            return look_at_postgres(ask, name, database, self._shaped, tables, brief=brief)

        try:
            look = await self._connections.over(
                engine if engine is not None else name,
                work,
                seconds=BRIEF_S if brief else ASK_S,
                why=why,
            )
        except (CannotAskError, AskError) as error:
            look = DatabaseLook(
                engine=name,
                kind=kind,
                database=database,
                refused=printable(error.reason, 300),
                advice=getattr(error, "advice", ""),
                full=getattr(error, "full", False),
            )
        return msgspec.structs.replace(look, taken_at=taken_at, took_ns=time.monotonic_ns() - began_ns)


async def take_database(
    request: DatabaseRequest, own_pid: int, *, databases: Databases, why: str
) -> Database:
    """Answer a request."""
    taken_at, began_ns = time.time_ns(), time.monotonic_ns()
    distinct = databases.distinct()
    looks: list[DatabaseLook] = []
    note = ""
    if request.look:
        wanted = [name for name in distinct if not request.engines or name in request.engines]
        for name in wanted[:MAX_ENGINES]:
            looks.append(await databases.look(name, why=why, brief=False))  # noqa: PERF401 - one at a time
        if len(wanted) > MAX_ENGINES:
            note = f"{len(wanted) - MAX_ENGINES} more databases were not asked"
    return Database(
        id=request.id,
        pid=own_pid,
        taken_at=taken_at,
        took_ns=time.monotonic_ns() - began_ns,
        engines=distinct,
        held=databases.held(),
        looks=looks,
        note=note,
    )
