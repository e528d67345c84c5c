"""Looks at a database by itself, where a worker has a reason to, so that who is blocked need not be asked.

The reasons are in the worker: a connection that has been checked out for seconds (its statement waits or is
slow, or its transaction idles) or went back to its pool within a transaction, requests that wait for a pool,
connections that could not be opened, or a pool in its overflow. Without one of them no connection is made.
With one, the server is asked at once and then every four seconds while it tells of trouble; where it doesn't,
ever more seldom, up to once a minute. Siblings share one look. In each frame meanwhile: what was seen last,
and which sessions are whose here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from perftui_agent.guard import Guard
from perftui_agent.wire.clock import steady_ns
from perftui_agent.wire.database import DatabaseLook, DatabaseNews, HeldConnection
from perftui_agent.wire.frames import Frame

HELD_NS = 2_000_000_000
"""A connection that is out for so long is a reason: requests have theirs for milliseconds."""

WAITED_NS = 1_000_000_000
"""So is a request that waits so long for one."""

EVERY_S = 4.0

MOST_SELDOM_S = 60.0

OVERFLOW_EVERY_S = 60.0
"""A pool in its overflow is busy, not in trouble: all that matters is how many connections are left."""

TOLD_NS = 9_000_000_000
"""For so long after it was taken a look says something of now."""

FULL = 0.8
"""Of the connections that the server has: from here on it is looked at again soon."""

IDLES_NS = 1_000_000_000

MAX_HELD = 50
MAX_TOLD_SESSIONS = 30
MAX_TOLD_LOCKS = 50
MAX_TOLD_LOOKS = 4
MAX_TOLD_STATEMENT = 300
"""Characters of a statement: thirty whole ones would be more than all else in a frame."""


class Looks(Protocol):
    """Who looks: see `look.Databases`."""

    def distinct(self) -> Mapping[str, str]:
        """Return the engines there are, and what their databases are called."""

    async def look(self, name: str, *, why: str, brief: bool) -> DatabaseLook:
        """Return what the database of an engine says."""


class _Pace(msgspec.Struct):
    """When a database is to be looked at again."""

    due_ns: int = 0
    quiet: int = 0
    """Looks in a row that have found nothing."""
    quiet_at_ns: int = 0
    oldest_ns: int = 0
    """Of what had been held at the last look."""
    held: int = 0


class DatabaseWatch:
    """Decides when to look, and looks. Belongs to the agent's loop."""

    def __init__(
        self,
        databases: Looks,
        *,
        held: Callable[[int], list[HeldConnection]],
        refused: Callable[[], Mapping[str, int]],
        turn: Callable[[str, float], bool],
        allowed: bool,
        guard: Guard,
        now_ns: Callable[[], int] = steady_ns,
    ) -> None:
        self._databases = databases
        self._held = held
        self._refused = refused
        self._turn = turn
        self._allowed = allowed
        self._guard = guard
        self._now_ns = now_ns
        self._known_refused: dict[str, int] = {}
        self._paces: dict[str, _Pace] = {}
        self._looks: dict[str, tuple[int, DatabaseLook]] = {}
        """By database: when it was taken on our clock, and what it said."""
        self._wanted: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue(1)

    def note(self, frame: Frame) -> None:
        """Look for reasons as a frame closes, and have it tell what is known."""
        with self._guard.guarding("database"):
            long = self._held(HELD_NS)
            reasons = self._reasons(frame, long)
            now = self._now_ns()
            self._looks = {
                database: (at, look) for database, (at, look) in self._looks.items() if now - at < TOLD_NS
            }
            if self._allowed:
                for (name, database), (why, every_s) in reasons.items():
                    self._want(name, database, why, every_s, [each for each in long if each.pool == name])
            if long or self._looks:
                long.sort(key=lambda each: -each.age_ns)
                frame.database = DatabaseNews(
                    why=[why for why, _ in reasons.values()],
                    held=long[:MAX_HELD],
                    looks=[look for _, look in self._looks.values()][:MAX_TOLD_LOOKS],
                )

    async def run(self) -> None:
        """Look whenever there is a reason, until cancelled."""
        while True:
            name, database, why = await self._wanted.get()
            with self._guard.guarding("database"):
                look = await self._databases.look(name, why=f"the agent itself: {why}", brief=True)
                self._take(database, look)

    def _reasons(self, frame: Frame, long: list[HeldConnection]) -> dict[tuple[str, str], tuple[str, float]]:
        """Return why each database is to be looked at, and how often at most."""
        found: dict[str, tuple[str, float]] = {}
        for pool in frame.pools:
            if pool.overflow and pool.max is not None and pool.checked_out:
                found[pool.name] = f"a pool in its overflow, {pool.checked_out} out", OVERFLOW_EVERY_S
            if pool.timeouts or (pool.waiting and pool.longest_wait_ns >= WAITED_NS):
                found[pool.name] = "requests wait for a connection", EVERY_S
        for each in long:
            what = "held" if each.held else "back in its pool within a transaction"
            found[each.pool] = f"a connection {what} for {each.age_ns / 1e9:.0f} s", EVERY_S
        refused = dict(self._refused())
        for name, count in refused.items():
            if count > self._known_refused.get(name, 0):
                found[name] = "a connection could not be opened", EVERY_S
        self._known_refused = refused
        known = self._databases.distinct() if found else {}
        by_database = {database: name for name, database in known.items()}
        return {
            (by_database[database], database): found[name]
            for name in found
            if (database := self._database_of(name, known)) in by_database
        }

    def _database_of(self, name: str, known: Mapping[str, str]) -> str:
        # Of several engines for one database one is known; the others are called `… #2`.
        return known.get(name) or name.partition(" #")[0]

    def _want(self, name: str, database: str, why: str, every_s: float, held: list[HeldConnection]) -> None:
        now = self._now_ns()
        pace = self._paces.setdefault(database, _Pace())
        oldest_ns = max((each.age_ns for each in held), default=0)
        if pace.quiet and now - pace.quiet_at_ns > MOST_SELDOM_S * 2e9:
            pace.quiet = 0
        worse = oldest_ns > 2 * pace.oldest_ns or len(held) > 2 * pace.held + 1
        wait_s = every_s if worse else min(every_s * 2.0**pace.quiet, MOST_SELDOM_S)
        if now < pace.due_ns + (wait_s - every_s) * 1e9 or self._wanted.full():
            return
        if not self._turn(database, EVERY_S * 0.8):
            return
        pace.due_ns = now + int(every_s * 1e9)
        pace.oldest_ns, pace.held = oldest_ns, len(held)
        self._wanted.put_nowait((name, database, why))

    def _take(self, database: str, look: DatabaseLook) -> None:
        pace = self._paces.setdefault(database, _Pace())
        if says_something(look):
            pace.quiet = 0
            self._looks[database] = self._now_ns(), _short(look)
        else:
            pace.quiet += 1
            pace.quiet_at_ns = self._now_ns()
            self._looks.pop(database, None)


def _short(look: DatabaseLook) -> DatabaseLook:
    """Return a look as frames take it: whoever wants the whole asks for it."""
    sessions = [
        msgspec.structs.replace(each, statement=each.statement[:MAX_TOLD_STATEMENT])
        for each in look.sessions[:MAX_TOLD_SESSIONS]
    ]
    return msgspec.structs.replace(look, sessions=sessions, locks=look.locks[:MAX_TOLD_LOCKS])


def says_something(look: DatabaseLook) -> bool:
    """Say whether anybody should see it: a wait for a lock, an idle transaction, few connections left."""
    if look.refused:
        return look.full
    if look.locks or (look.sqlite is not None and look.sqlite.writer):
        return True
    if any(
        each.state.startswith("idle in transaction") and (each.state_ns or 0) >= IDLES_NS
        for each in look.sessions
    ):
        return True
    free = (look.connections_max or 0) - look.connections_reserved
    return look.connections_used is not None and free > 0 and look.connections_used >= FULL * free
