"""Watches what statements that are under way for long wait for, so that the time has a name.

Ten times a second it asks which connections are stuck, and while none is that is all. Of SQLite's the answer
itself says which wait for a lock. PostgreSQL is asked, on a connection of our own: at once, then four times a
second while somebody waits, more seldom the longer that goes on. The server knows when each wait began, so
one look at it is enough; where it does not (before version 14), a wait began with its statement, or after
the last look without it. Where nobody waits the connection is closed after two looks, and the next one comes
later, 4 s later at most; for a statement that has taken a second, within the next one.

A statement that was over before anybody looked has waited for nothing that is known.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter_ns

import msgspec

from perftui_agent.guard import Guard
from perftui_agent.inspect.database.lock_list import LockList, LockLists
from perftui_agent.inspect.database.own_connection import OwnConnections
from perftui_agent.inspect.database.postgres_locks import Waiting, waiting_in
from perftui_agent.inspect.database.read_only import Ask, AskError, CannotAskError
from perftui_agent.inspect.text import printable
from perftui_agent.locked import Stuck, see, see_none
from perftui_agent.wire.clock import steady_ns

ON = "on"

LOOK_NS = 100_000_000
"""Between two questions of what is stuck."""

EVERY_S = 0.25
SHARE_OF_AGE = 0.1
"""A wait of ten seconds is looked at each second: its end is then known to a twentieth of it."""
MOST_SELDOM_S = 1.0

FRUITLESS = 2
"""Looks in a row that find nobody waiting."""

CONNECTED_S = 10.0

REST_S, LONGEST_REST_S = 0.5, 4.0
"""After a connection that was opened for nothing, the first and the longest."""

LONG_NS = 1_000_000_000
"""What is stuck for so long has someone look within the next second, whatever was found before."""

REFUSED_REST_S = 60.0

TOLD_NS = 1_500_000_000
"""For so long what a sibling has seen says something of now."""

WRITE_LOCK = "the write lock of {}"


class _Asked(msgspec.Struct):
    """How it goes with asking one database."""

    due_ns: int = 0
    due_long_ns: int = 0
    """For a statement that has been stuck for long."""
    fruitless: int = 0
    """Connections in a row that were opened for nothing."""
    at_ns: int = 0
    """Of the last look: its own moment on `steady_ns`."""
    clear_ns: dict[int, int] = msgspec.field(default_factory=dict)
    """When each session that is stuck was last seen to wait for nothing."""


class LockWatch:
    """Decides when to look, and leaves with the requests what was seen. Belongs to the agent's loop."""

    def __init__(
        self,
        *,
        stuck: Callable[[], list[Stuck]],
        connections: OwnConnections,
        lists: LockLists,
        allowed: bool,
        guard: Guard,
        now_ns: Callable[[], int] = perf_counter_ns,
    ) -> None:
        self._stuck = stuck
        self._connections = connections
        self._lists = lists
        self._allowed = allowed
        self._guard = guard
        self._now_ns = now_ns
        self._looked_ns = 0
        self._asked: dict[str, _Asked] = {}
        self._going_on: dict[str, int] = {}
        """By database: since when the longest of what is stuck in it is; read on the connection's thread."""
        self._seen: deque[tuple[str, LockList]] = deque(maxlen=100)
        """What was seen on that thread, and not taken in yet."""
        self._nudge = threading.Event()
        """Set when somebody else wants a connection of ours, or it is all over."""
        self._wanted: asyncio.Queue[tuple[str, str]] = asyncio.Queue(1)
        self._is_asking = False
        self.status = ON if allowed else "off: actions are switched off"

    def look(self) -> None:
        """See what is stuck, and for what; at each beat of the agent's thread."""
        now = self._now_ns()
        if now - self._looked_ns < LOOK_NS and not self._seen:
            return
        with self._guard.guarding("database.locks"):
            self._looked_ns = now
            stuck = self._stuck()
            while self._seen:
                database, told = self._seen.popleft()
                self._lists.write(database, told)
                self._take_in(database, told, stuck)
            if not stuck:
                if self._going_on:
                    self._going_on = {}
                return
            of_servers: dict[str, list[Stuck]] = {}
            for each in stuck:
                if each.session is not None:
                    of_servers.setdefault(each.database, []).append(each)
                elif each.waits_in_sqlite:
                    see(each, WRITE_LOCK.format(each.database), 0, now)
                else:
                    see_none(each, now)
            self._going_on = {name: min(each.since_ns for each in all_) for name, all_ in of_servers.items()}
            if self._allowed:
                for database, all_ in of_servers.items():
                    self._want(database, all_, now)

    async def run(self) -> None:
        """Ask whenever somebody is stuck, until cancelled."""
        try:
            while True:
                database, engine = await self._wanted.get()
                with self._guard.guarding("database.locks"):
                    await self._ask(database, engine)
                self._is_asking = False
        finally:
            self._nudge.set()
            self._lists.leave_all()

    def leave_to_parent(self) -> None:
        """Let go, in a forked child, of what is the parent's."""
        self._lists.leave_all()

    def _want(self, database: str, stuck: Sequence[Stuck], now: int) -> None:
        asked = self._asked.setdefault(database, _Asked())
        is_long = now - min(each.since_ns for each in stuck) >= LONG_NS
        if self._is_asking or now < (asked.due_long_ns if is_long else asked.due_ns):
            return
        if not self._lists.take(database):
            told = self._lists.read(database)
            if told is not None and told.at_ns > asked.at_ns and steady_ns() - told.at_ns < TOLD_NS:
                self._take_in(database, told, stuck)
            return
        self._is_asking = True
        self._wanted.put_nowait((database, stuck[0].engine))

    async def _ask(self, database: str, engine: str) -> None:
        asked = self._asked[database]
        try:
            found = await self._connections.over(
                engine,
                partial(self._watch, database),
                seconds=CONNECTED_S,
                why="what statements of ours wait for",
                gives_way=self._nudge,
            )
        except (CannotAskError, AskError) as error:
            if getattr(error, "in_use", False):
                self._rest(asked, REST_S)
                return
            self.status = f"off: {printable(error.reason, 200)}"
            self._rest(asked, REFUSED_REST_S, REFUSED_REST_S)
            return
        finally:
            self._lists.leave(database)
        self.status = ON
        asked.fruitless = 0 if found else asked.fruitless + 1
        rest_s = min(REST_S * 2.0 ** (asked.fruitless - 1), LONGEST_REST_S) if asked.fruitless else 0.0
        self._rest(asked, rest_s, min(rest_s, LONG_NS / 1e9))

    def _rest(self, asked: _Asked, rest_s: float, long_s: float = REST_S) -> None:
        now = self._now_ns()
        asked.due_ns, asked.due_long_ns = now + int(rest_s * 1e9), now + int(long_s * 1e9)

    def _watch(self, database: str, ask: Ask) -> bool:
        """Look again and again; on the thread of the connection. Return whether anybody has waited."""
        ((number,),) = ask("SELECT /*perftui*/ current_setting('server_version_num')::int AS number")
        fruitless, found = 0, False
        while (since_ns := self._going_on.get(database)) is not None:
            before_ns = steady_ns()
            waiting = waiting_in(ask, number)
            at_ns = (before_ns + steady_ns()) // 2
            ask.rest()
            self._seen.append((database, LockList(at_ns, tuple(waiting))))
            fruitless = 0 if waiting else fruitless + 1
            found = found or bool(waiting)
            age_s = max(0, self._now_ns() - since_ns) / 1e9
            pause_s = min(max(EVERY_S, SHARE_OF_AGE * age_s), MOST_SELDOM_S)
            if fruitless >= FRUITLESS or ask.seconds_left < 2 * pause_s or self._nudge.wait(pause_s):
                break
        return found

    def _take_in(self, database: str, told: LockList, stuck: Sequence[Stuck]) -> None:
        """Leave with the requests that are stuck what a look at the server has shown."""
        asked = self._asked.setdefault(database, _Asked())
        asked.at_ns = told.at_ns
        at_ns = told.at_ns + self._now_ns() - steady_ns()
        waiting = {each.session: each for each in told.waiting}
        clear_ns: dict[int, int] = {}
        for each in stuck:
            if each.database != database or each.session is None or at_ns < each.since_ns:
                continue
            wait = waiting.get(each.session)
            if wait is None:
                see_none(each, at_ns)
                clear_ns[each.session] = at_ns
                continue
            since_ns = _since(wait, at_ns, asked.clear_ns.get(each.session, 0), each)
            if since_ns is not None:
                see(each, wait.on, since_ns, at_ns)
        asked.clear_ns |= clear_ns
        sessions = {each.session for each in stuck}
        asked.clear_ns = {pid: ns for pid, ns in asked.clear_ns.items() if pid in sessions}


def _since(wait: Waiting, at_ns: int, clear_ns: int, stuck: Stuck) -> int | None:
    """Return when a wait began, 0 for with its statement; None if it is not this request's."""
    if wait.waits_ns is None:
        return clear_ns if clear_ns > stuck.since_ns else 0
    since_ns = at_ns - wait.waits_ns
    return since_ns if since_ns >= stuck.out_ns - LOOK_NS // 10 else None
