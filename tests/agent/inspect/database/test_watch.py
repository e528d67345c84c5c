"""When the agent looks at a database by itself: never without a reason, and seldom with one."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from perftui_agent.guard import Guard
from perftui_agent.inspect.database.turn import Turns
from perftui_agent.inspect.database.watch import DatabaseWatch
from perftui_agent.wire.database import (
    DatabaseLook,
    DatabaseNews,
    DatabaseSession,
    HeldConnection,
    LockWait,
    SqliteFile,
)
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import PoolFrame

SECOND_NS = 1_000_000_000

LOCKED = DatabaseLook(
    engine="shop", kind="postgresql", database="shop", locks=[LockWait(blocked=2, by=[1], waits_ns=1)]
)

QUIET = DatabaseLook(
    engine="shop",
    kind="postgresql",
    database="shop",
    connections_used=20,
    connections_max=100,
    sessions=[DatabaseSession(pid=7, state="idle in transaction", state_ns=1_000_000)],
)


class Played:
    """A worker whose connections, pools and database are what a test says; its clock is the test's."""

    def __init__(self, look: DatabaseLook = LOCKED, *, allowed: bool = True, turn: bool = True) -> None:
        self.answer = look
        self.held: list[HeldConnection] = []
        self.refused: dict[str, int] = {}
        self.looks: list[tuple[int, str]] = []
        """At which second each was, and why."""
        self.turn = turn
        self.second = 0
        self.guard = Guard()
        self._watch = DatabaseWatch(
            self,
            held=lambda least_ns: [each for each in self.held if each.age_ns >= least_ns],
            refused=lambda: self.refused,
            turn=lambda _database, _every_s: self.turn,
            allowed=allowed,
            guard=self.guard,
            now_ns=lambda: self.second * SECOND_NS,
        )

    def distinct(self) -> Mapping[str, str]:
        return {"shop": "shop"}

    async def look(self, name: str, *, why: str, brief: bool) -> DatabaseLook:
        assert (name, brief) == ("shop", True)
        self.looks.append((self.second, why))
        return self.answer

    def goes_on(
        self, seconds: int, pool: PoolFrame | None = None, *, ageing: bool = False
    ) -> DatabaseNews | None:
        """Close a frame a second; return what the last one tells."""
        return asyncio.run(self._goes_on(seconds, pool, ageing))

    async def _goes_on(self, seconds: int, pool: PoolFrame | None, ageing: bool) -> DatabaseNews | None:
        running = asyncio.create_task(self._watch.run())
        for _ in range(seconds):
            self.second += 1
            if ageing:
                self.held = [out(each.age_ns / 1e9 + 1) for each in self.held]
            frame = Frame(seq=1, ended_at=0, span_ns=SECOND_NS, pools=[pool] if pool is not None else [])
            self._watch.note(frame)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert self.guard.faults == {}
        return frame.database


def out(seconds: float, pool: str = "shop") -> HeldConnection:
    return HeldConnection(
        database="shop", pool=pool, held=True, age_ns=int(seconds * SECOND_NS), route="GET /"
    )


def test_no_reason() -> None:
    """Full but quick pools and short holds make it ask nobody anything, and tell nothing."""
    played = Played()
    played.held = [out(0.5)]
    pool = PoolFrame(name="shop", kind="QueuePool", size=5, checked_out=5, overflow=0, max=15, waiting=2)
    assert played.goes_on(120, pool) is None
    assert played.looks == []


def test_a_connection_that_is_held() -> None:
    """It is a reason after two seconds, and then every four while the server tells of trouble."""
    played = Played()
    played.held = [out(3)]
    news = played.goes_on(21)
    assert [second for second, _ in played.looks] == [1, 5, 9, 13, 17, 21]
    assert played.looks[0][1] == "the agent itself: a connection held for 3 s"
    assert news is not None
    assert (news.looks, news.held) == ([LOCKED], [out(3)])


def test_a_long_query_in_peace() -> None:
    """While nothing is wrong it is asked ever more seldom, and what it said is not told."""
    played = Played(QUIET)
    played.held = [out(2)]
    news = played.goes_on(300, ageing=True)
    seconds = [second for second, _ in played.looks]
    assert seconds[:2] == [1, 5]
    assert len(seconds) <= 12
    assert seconds == sorted(seconds)
    assert max(later - earlier for earlier, later in pairwise(seconds)) <= 61
    assert news is not None
    assert (news.looks, len(news.held)) == ([], 1), "who holds what is told: a sibling's look may need it"


def test_it_gets_worse() -> None:
    """When more are held up all at once, it doesn't matter that it was quiet before."""
    played = Played(QUIET)
    played.held = [out(4)]
    played.goes_on(60)
    before = len(played.looks)
    played.answer = LOCKED
    played.held = [out(2)] * 5
    played.goes_on(6)
    assert len(played.looks) >= before + 1


def test_requests_that_wait_for_a_pool() -> None:
    """So does a pool that is waited for, or has had time-outs."""
    for pool in (
        PoolFrame(name="shop", kind="QueuePool", waiting=3, longest_wait_ns=2 * SECOND_NS),
        PoolFrame(name="shop", kind="QueuePool", timeouts=1),
    ):
        played = Played()
        played.goes_on(1, pool)
        assert played.looks == [(1, "the agent itself: requests wait for a connection")]


def test_connections_that_can_not_be_opened() -> None:
    """A refusal is a reason, and when the server refuses the agent too, that is told."""
    played = Played(
        DatabaseLook(engine="shop", kind="postgresql", database="shop", refused="too many clients", full=True)
    )
    played.refused = {"shop": 1}
    news = played.goes_on(2)
    assert played.looks == [(1, "the agent itself: a connection could not be opened")]
    assert news is not None
    assert [each.full for each in news.looks] == [True]


def test_an_overflow_is_asked_about_once_a_minute() -> None:
    """It is busy, not in trouble; but how many connections the server has left matters now."""
    played = Played(QUIET)
    pool = PoolFrame(name="shop", kind="QueuePool", size=5, checked_out=7, overflow=2, max=15)
    played.goes_on(125, pool)
    assert [second for second, _ in played.looks] == [1, 61, 121]


def test_what_was_said_is_told_for_some_seconds() -> None:
    """Afterwards it says nothing of now."""
    played = Played()
    played.held = [out(3)]
    played.goes_on(1)
    played.held = []
    assert played.goes_on(5) is not None
    assert played.goes_on(5) is None


def test_siblings_and_actions_that_are_off() -> None:
    """Where a sibling has just looked, or nothing may be done, only who holds what is told."""
    for played in (Played(turn=False), Played(allowed=False)):
        played.held = [out(3)]
        news = played.goes_on(10)
        assert played.looks == []
        assert news is not None
        assert len(news.held) == 1


def test_sqlite_has_a_writer() -> None:
    """A look at a file says something while anybody holds its write lock."""
    look = DatabaseLook(engine="shop", kind="sqlite", database="shop", sqlite=SqliteFile(writer=41))
    played = Played(look)
    played.held = [out(3)]
    news = played.goes_on(2)
    assert news is not None
    assert news.looks == [look]


def test_turns(tmp_path: Path) -> None:
    """Of all workers of a service one looks at a database at a time; the file says when, and nothing else."""
    now_s = 100.0
    first, second, other = (
        Turns(lambda: tmp_path, service, lambda: int(now_s * 1e9)) for service in ("shop", "shop", "billing")
    )
    assert first.take("db", 4)
    assert not second.take("db", 4)
    assert second.take("another", 4)
    assert other.take("db", 4)
    now_s += 4
    assert second.take("db", 4)
    assert not first.take("db", 4)
    now_s = 1.0  # the machine was started again
    assert first.take("db", 4)
    files = list(tmp_path.iterdir())
    assert {each.suffix for each in files} == {".look"}
    assert {stat.S_IMODE(os.stat(each).st_mode) for each in files} == {0o600}
    assert Turns(lambda: tmp_path / "gone", "shop").take("db", 4), "everybody for himself"
