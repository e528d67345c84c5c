"""Knows which request each pooled connection went to last, and which backend of the server serves it.

A checkout leaves its request on the connection's record in the pool, where the next one's takes its place;
what the driver was told of the backend as it connected is kept there as well. Both are read only when
somebody asks, on the agent's thread: a driver's own object may be closed while it is looked at.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from perftui_agent.await_chain import route_of
from perftui_agent.probes.sql.running import writes_under_way
from perftui_agent.records import RequestRecord
from perftui_agent.wire.database import HeldConnection

MOST = 5_000
"""Connections that are known at a time; of what opens one for each statement none is left over."""


_WITHIN = frozenset({"ACTIVE", "INTRANS", "INERROR"})
"""What libpq says of a connection that is in a transaction."""


class Holding:
    """What is known of one connection, for as long as its record in the pool lives."""

    __slots__ = ("at_ns", "database", "pool", "request", "session")

    def __init__(self, pool: str, database: str, session: int | None) -> None:
        self.pool = pool
        self.database = database
        self.session = session
        self.request: RequestRecord | None = None
        """Who checked it out last; kept until the next does, which is one request for each connection."""
        self.at_ns = 0


class Holders:
    """The connections of all pools. Added to on the app's threads, read on the agent's."""

    def __init__(self, loop: Callable[[], asyncio.AbstractEventLoop | None] = lambda: None) -> None:
        self._loop = loop
        """The app's, in which async engines have their greenlets."""
        self._records: dict[int, tuple[weakref.ref[Any], Holding]] = {}

    def know(self, record: Any, pool: str, database: str) -> Holding:
        """Know a connection, or know anew what it is after it has been opened again."""
        holding = Holding(pool, database, _session_of(record.dbapi_connection))
        record._perftui_holding = holding
        key, records = id(record), self._records
        if len(records) < MOST or key in records:
            records[key] = weakref.ref(record, lambda _: records.pop(key, None)), holding
        return holding

    def forget(self) -> None:
        """Know nothing any more, in a forked child: what it uses of these it will meet again."""
        records, self._records = self._records, {}
        for ref, _ in records.values():
            record = ref()
            if record is not None:
                vars(record).pop("_perftui_holding", None)

    def out_since(self, before_ns: int) -> list[tuple[Any, Holding, RequestRecord]]:
        """Return the connections that a request under way was given before a moment and has still."""
        if not self._records:
            return []
        return [
            (record.dbapi_connection, holding, request)
            for ref, holding in list(self._records.values())
            if 0 < holding.at_ns < before_ns
            and (request := holding.request) is not None
            and not request.ended_ns
            and (record := ref()) is not None
            and record.fairy_ref is not None
            and record.dbapi_connection is not None
        ]

    def told(self, held_for_ns: int = 0) -> list[HeldConnection]:
        """Return what is known of every connection that is open.

        With a time, of those that have been out for so long, or back in the pool within a transaction.
        """
        now_ns = perf_counter_ns()
        told = []
        writes: dict[int, int] | None = None
        for ref, holding in list(self._records.values()):
            record = ref()
            if record is None or record.dbapi_connection is None or holding.at_ns == 0:
                continue
            held = record.fairy_ref is not None
            if held_for_ns and now_ns - holding.at_ns < held_for_ns:
                continue
            in_transaction = _in_transaction(record.dbapi_connection)
            if held_for_ns and not (held or in_transaction):
                continue
            if holding.session is None and in_transaction is not None and writes is None:
                writes = writes_under_way(self._loop())
            request = holding.request
            told.append(
                HeldConnection(
                    database=holding.database,
                    pool=holding.pool,
                    session=holding.session,
                    route=route_of(request) if request is not None else "",
                    held=held,
                    in_flight=request is not None and not request.ended_ns,
                    age_ns=max(0, now_ns - holding.at_ns),
                    in_transaction=in_transaction,
                    writing_ns=writes.get(id(record.dbapi_connection)) if writes else None,
                )
            )
        return told


def _session_of(connection: Any) -> int | None:
    """Return the pid of the server's backend, as the driver knows it since it connected."""
    driver = getattr(connection, "driver_connection", connection)
    try:
        if hasattr(driver, "get_server_pid"):  # asyncpg
            return int(driver.get_server_pid())
        if hasattr(driver, "info"):  # psycopg, psycopg2
            return int(driver.info.backend_pid)
    except Exception:  # noqa: BLE001 - whatever a driver makes of it: then it is not known
        return None
    return None


def _in_transaction(connection: Any) -> bool | None:
    """Tell it where the driver knows it of its own memory; from another thread, and that is safe.

    psycopg2 lets go of the GIL while it frees what this would read, so it is not asked.
    """
    driver = getattr(connection, "driver_connection", connection)
    try:
        if hasattr(driver, "in_transaction"):  # SQLite
            return bool(driver.in_transaction)
        if hasattr(driver, "is_in_transaction"):  # asyncpg
            return bool(driver.is_in_transaction())
        if type(driver).__module__.partition(".")[0] == "psycopg":
            return driver.info.transaction_status.name in _WITHIN
    except Exception:  # noqa: BLE001 - it has just been closed
        return None
    return None
