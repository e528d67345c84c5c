"""Finds the connections whose statement has been under way for long, and of SQLite's those that wait.

Nothing is noted as a statement begins. What a request has finished is on its record; where nothing has been
added to that for a while and its connection is at work, a statement is stuck. Asked for ten times a second,
of which the first look, at when each connection was given out, ends it wherever nothing is slow.

SQLite waits for a lock by sleeping and trying again, in the thread that calls it: the kernel tells what a
thread is at. Within SQLite it sleeps for nothing else; and it waits before it does anything.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from time import perf_counter_ns
from typing import Any

from perftui_agent.foreign_frames import current_frames, locals_of, stack_of
from perftui_agent.locked import Stuck
from perftui_agent.probes.sql.holders import Holders, Holding
from perftui_agent.records import RequestRecord

STUCK_NS = 100_000_000

MOST = 50
"""Connections that are told of at once, those first that have been out for longest."""

MOST_READ = 8
"""Threads whose state is read at once: each costs 20 to 100 µs."""

MAX_FRAMES = 60

_CALLS = frozenset({"do_execute", "do_executemany", "do_execute_no_params", "do_commit", "do_rollback"})
"""Where SQLAlchemy calls a driver that does not know of event loops."""

_AIOSQLITE = "aiosqlite"
"""Each of its connections has a thread, which runs all statements of that connection."""

_SQLITES = frozenset({"sqlite3", _AIOSQLITE, "pysqlcipher3", "sqlcipher3"})

_SLEEPS = {"x86_64": (b"35", b"230"), "aarch64": (b"101", b"115")}.get(platform.machine(), ())
"""`nanosleep` and `clock_nanosleep`, by the numbers that Linux knows them by."""


class StuckLook:
    """Asked on the agent's thread."""

    def __init__(self, holders: Holders) -> None:
        self._holders = holders
        self._seen: dict[int, tuple[int, int, int]] = {}
        """By connection: when it was given out, how much its request had counted, and since when."""

    def look(self) -> list[Stuck]:
        """Return what is stuck now."""
        now_ns = perf_counter_ns()
        out = self._holders.out_since(now_ns - STUCK_NS)
        if not out:
            self._seen.clear()
            return []
        threads: dict[int, _Call] | None = None
        found: list[Stuck] = []
        seen: dict[int, tuple[int, int, int]] = {}
        reads = 0
        for connection, holding, request in sorted(out, key=lambda each: each[1].at_ns)[:MOST]:
            since_ns = self._since(connection, holding, request, now_ns, seen)
            if now_ns - since_ns < STUCK_NS:
                continue
            waits = False
            if (driver := _driver(connection)) in _SQLITES:
                if driver == _AIOSQLITE:
                    thread = _thread_of(connection)
                else:
                    if threads is None:
                        threads = dict(_calls())
                    thread = _sleeper(threads, connection)
                if thread is None or reads >= MOST_READ:
                    continue
                reads += 1
                waits = sleeps(thread)
            elif (at_work := _is_at_work(connection)) is False:
                continue
            elif at_work is None:
                if threads is None:
                    threads = dict(_calls())
                if id(connection) not in threads:
                    continue
            found.append(
                Stuck(
                    holding.database, holding.pool, holding.session, request, since_ns, holding.at_ns, waits
                )
            )
        self._seen = seen
        return found

    def _since(
        self,
        connection: Any,
        holding: Holding,
        request: RequestRecord,
        now_ns: int,
        seen: dict[int, tuple[int, int, int]],
    ) -> int:
        """Return when a request was last seen to have finished anything."""
        last_ns = holding.at_ns
        try:
            last_ns = max(last_ns, request.parts[-1].ended_ns if request.parts else 0)
        except IndexError:  # they have just been taken
            return now_ns
        executed = request.executed or {}
        counted = sum(len(each) for each in list((request.counted or {}).values()))
        counted += sum(each.count for each in executed.values())
        if counted:
            # Of these it is not known when they were.
            before = self._seen.get(id(connection))
            is_same = before is not None and before[:2] == (holding.at_ns, counted)
            counted_ns = before[2] if before is not None and is_same else now_ns
            seen[id(connection)] = holding.at_ns, counted, counted_ns
            last_ns = max(last_ns, counted_ns)
        return last_ns


class _Call:
    """A thread that is in a call to a driver."""

    __slots__ = ("ident", "is_within")

    def __init__(self, ident: int, is_within: bool) -> None:
        self.ident = ident
        self.is_within = is_within
        """Whether no Python code runs in that call: neither a driver's own nor a function of the app's."""


def sleeps(native_id: int) -> bool:
    """Tell whether a thread of this process sleeps for a set time; False where nobody knows."""
    if not _SLEEPS:
        return False
    try:
        descriptor = os.open(f"/proc/self/task/{native_id}/syscall", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # it has ended, or this kernel does not tell
        return False
    try:
        return os.read(descriptor, 200).split(b" ", 1)[0] in _SLEEPS
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _driver(connection: Any) -> str:
    """Return the package that a connection is of, below what SQLAlchemy has put around it."""
    driver = getattr(connection, "driver_connection", connection)
    return type(driver).__module__.partition(".")[0]


def _is_at_work(connection: Any) -> bool | None:
    """Tell whether a statement is under way, where that is known without looking at stacks."""
    driver = getattr(connection, "driver_connection", connection)
    try:
        if _driver(connection) == "psycopg":
            return bool(driver.info.transaction_status.name == "ACTIVE")
        mutex = getattr(connection, "_execute_mutex", None)
        return bool(mutex.locked()) if mutex is not None else None
    except Exception:  # noqa: BLE001 - it has just been closed
        return False


def _thread_of(connection: Any) -> int | None:
    """Return the thread that an aiosqlite connection has, or is, unless it runs code of the app's."""
    driver = connection.driver_connection
    thread = getattr(driver, "_thread", driver)
    ident, native_id = getattr(thread, "ident", None), getattr(thread, "native_id", None)
    frame = current_frames().get(ident or 0)
    if frame is None or "aiosqlite" not in frame.f_code.co_filename:
        return None
    return native_id if isinstance(native_id, int) else None


def _sleeper(threads: dict[int, _Call], connection: Any) -> int | None:
    call = threads.get(id(connection))
    if call is None or not call.is_within:
        return None
    return next((each.native_id for each in threading.enumerate() if each.ident == call.ident), None)


def _calls() -> Iterator[tuple[int, _Call]]:
    """Yield the connections that threads are in a call about, by id."""
    for ident, innermost in current_frames().items():
        for frame in stack_of(innermost, MAX_FRAMES):
            code = frame.f_code
            if code.co_name in _CALLS and "sqlalchemy" in code.co_filename:
                names = locals_of(frame)
                connection = getattr(names.get("cursor"), "connection", None) or names.get("dbapi_connection")
                connection = getattr(connection, "dbapi_connection", connection)
                if connection is not None:
                    yield id(connection), _Call(ident, frame is innermost)
                break
