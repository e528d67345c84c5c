"""What stuck statements wait for: seen at once, without asking for nothing again and again, and shared."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from perftui_agent.guard import Guard
from perftui_agent.inspect.database import lock_watch as module
from perftui_agent.inspect.database.lock_list import LockList, LockLists
from perftui_agent.inspect.database.lock_watch import LockWatch
from perftui_agent.inspect.database.postgres_locks import Waiting
from perftui_agent.inspect.database.read_only import CannotAskError
from perftui_agent.locked import LockSeen, Stuck
from perftui_agent.records import RequestRecord
from perftui_agent.wire.clock import steady_ns
from tests.support.requests import begin

MS = 1_000_000
SECOND_NS = 1_000 * MS

PID = 77


class Server:
    """A PostgreSQL that says which of its sessions wait; in the place of connections of our own."""

    def __init__(self, waits_ms: float | None = 150.0, *, number: int = 150000, refuses: str = "") -> None:
        self.waits_ms = waits_ms
        """For how long the session of the test has waited, at each look; None: it waits for nothing."""
        self.number = number
        self.refuses = refuses
        self.connections = 0
        self.looks = 0

    async def over(self, _engine: str, work: Callable[[Any], bool], **options: Any) -> bool:
        self.connections += 1
        options["gives_way"].clear()
        if self.refuses:
            raise CannotAskError(self.refuses)
        self.seconds_left = 3.0
        return work(self)

    seconds_left = 0.0

    def rest(self) -> None:
        """Hold nothing."""

    def __call__(self, text: str) -> list[tuple[Any, ...]]:
        if "server_version_num" in text:
            return [(self.number,)]
        self.looks += 1
        self.seconds_left -= 1.0
        if self.waits_ms is None:
            return []
        waits_s = self.waits_ms / 1000 if self.number >= 140000 else None
        return [
            (PID, True, "tuple", "ExclusiveLock", "items", None, ""),
            (PID, False, "transactionid", "ShareLock", "", waits_s, ""),
            (4711, False, "relation", "AccessShareLock", "others", waits_s, ""),
        ]


class Played:
    """A worker with what is stuck in it; its clock is the test's."""

    def __init__(self, server: Server, directory: Path, *, allowed: bool = True) -> None:
        self.server = server
        self.stuck: list[Stuck] = []
        self.guard = Guard()
        self.ahead_ns = 0
        self.runner = asyncio.Runner()
        self.running: asyncio.Task[None] | None = None
        self.lists = LockLists(lambda: directory, "shop")
        self.watch = LockWatch(
            stuck=lambda: self.stuck,
            connections=self.server,  # type: ignore[arg-type]  # a server in their place
            lists=self.lists,
            allowed=allowed,
            guard=self.guard,
            now_ns=lambda: steady_ns() + self.ahead_ns,
        )

    def gets_stuck(
        self, *, since_ms: float = 100.0, session: int | None = PID, waits: bool = False
    ) -> RequestRecord:
        """Have a statement of a new request be stuck."""
        since_ns = steady_ns() + self.ahead_ns - int(since_ms * MS)
        request = begin(started_ns=since_ns)
        self.stuck = [Stuck("shop", "shop", session, request, since_ns, since_ns - 1_000 * MS, waits)]
        return request

    def goes_on(self, seconds: float) -> None:
        """Beat twenty times a second."""
        self.runner.run(self._goes_on(seconds))

    async def _goes_on(self, seconds: float) -> None:
        if self.running is None:
            self.running = asyncio.create_task(self.watch.run())
        for _ in range(max(1, round(seconds * 20))):
            self.watch.look()
            for _ in range(4):
                await asyncio.sleep(0)
            self.ahead_ns += 50 * MS
        self.watch.look()
        assert not self.running.done()
        assert self.guard.faults == {}

    def end(self) -> None:
        """Stop watching."""
        if self.running is not None:
            self.running.cancel()
        self.runner.close()


Play = Callable[..., Played]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Plays workers of one service, each with a server of its own."""
    played: list[Played] = []

    def new(server: Server, *, directory: Path = tmp_path, allowed: bool = True) -> Played:
        played.append(Played(server, directory, allowed=allowed))
        return played[-1]

    yield new
    for each in played:
        each.end()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection looks twice and does not wait in between: the clock is the test's."""
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    monkeypatch.setattr(module, "MOST_SELDOM_S", 0.0)


def waits_of(request: RequestRecord) -> list[LockSeen]:
    waits: list[LockSeen] = request.locks or []
    return waits


def test_nobody_is_asked_without_a_reason(tmp_path: Path, play: Play) -> None:
    """Where nothing is stuck no connection is made, and no file."""
    played = play(Server())
    played.goes_on(60)
    assert (played.server.connections, list(tmp_path.iterdir())) == (0, [])


def test_a_statement_that_waits(play: Play) -> None:
    """The server is asked at once, and its request knows for what, since when, and until when at least."""
    played = play(Server(waits_ms=150.0))
    request = played.gets_stuck(since_ms=200.0)
    began_ns = steady_ns() - 200 * MS
    played.goes_on(0.1)
    (wait,) = waits_of(request)
    assert wait.on == "a row of items"
    assert 0 <= wait.since_ns - began_ns < 200 * MS
    assert (wait.over_ns, wait.last_ns >= wait.first_ns > wait.since_ns) == (0, True)
    assert played.server.connections >= 1


def test_a_wait_that_is_over(play: Play) -> None:
    """As long as the statement goes on it is looked at, and when nobody is in its way any more is known."""
    played = play(Server())
    request = played.gets_stuck()
    played.goes_on(0.2)
    played.server.waits_ms = None
    played.goes_on(0.2)
    (wait,) = waits_of(request)
    assert wait.over_ns > wait.last_ns


def test_an_older_server(play: Play) -> None:
    """It tells nobody since when: a wait began with its statement, or after the last look without it."""
    played = play(Server(number=130000))
    request = played.gets_stuck()
    played.goes_on(0.1)
    assert [wait.since_ns for wait in waits_of(request)] == [0]
    other = play(Server(None, number=130000))
    request = other.gets_stuck()
    other.goes_on(0.1)
    other.server.waits_ms = 1.0
    other.goes_on(2.0)
    (wait,) = waits_of(request)
    assert request.started_ns < wait.since_ns < wait.first_ns


def test_a_session_that_waited_for_somebody_else(play: Play) -> None:
    """What began before the request had the connection is no wait of its own."""
    played = play(Server(waits_ms=5_000.0))
    request = played.gets_stuck(since_ms=100.0)
    played.goes_on(0.1)
    assert waits_of(request) == []


def test_statements_that_are_slow_for_themselves(play: Play) -> None:
    """Each connection looks twice for nothing; they come ever more seldom, every four seconds at last."""
    played = play(Server(None))
    for _ in range(200):
        played.gets_stuck()
        played.goes_on(0.1)
    assert 6 <= played.server.connections <= 9, "0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5"
    assert played.server.looks == 2 * played.server.connections


def test_a_long_statement_is_worth_a_look(play: Play) -> None:
    """Whatever was found before: a second of it does not go by unseen."""
    played = play(Server(None))
    for _ in range(100):
        played.gets_stuck()
        played.goes_on(0.1)
    before = played.server.connections
    played.server.waits_ms = 1_100.0
    request = played.gets_stuck(since_ms=1_200.0)
    played.goes_on(1.2)
    assert played.server.connections > before
    assert len(waits_of(request)) == 1


@pytest.mark.parametrize("refuses", ["", "no right"])
def test_where_no_server_is_asked(play: Play, refuses: str) -> None:
    """With actions switched off, or without a connection, the time stays the statement's; that is said."""
    played = play(Server(refuses=refuses), allowed=bool(refuses))
    request = played.gets_stuck()
    played.goes_on(10)
    assert played.server.connections == (1 if refuses else 0)
    assert played.watch.status == ("off: no right" if refuses else "off: actions are switched off")
    assert waits_of(request) == []


def test_the_write_lock_of_sqlites(play: Play) -> None:
    """It takes no connection, and is seen with actions switched off too."""
    played = play(Server(), allowed=False)
    request = played.gets_stuck(session=None, waits=True)
    played.goes_on(0.2)
    (wait,) = waits_of(request)
    assert (wait.on, wait.since_ns) == ("the write lock of shop", 0)
    (stuck,) = played.stuck
    played.stuck = [stuck._replace(waits_in_sqlite=False)]
    played.goes_on(0.2)
    assert wait.over_ns > wait.last_ns
    assert played.server.connections == 0


def test_one_worker_looks_for_all(play: Play) -> None:
    """While one has the turn the others read what it has seen, and open no connection of their own."""
    one, other = play(Server()), play(Server())
    assert one.lists.take("shop")
    one.lists.write("shop", LockList(steady_ns(), (Waiting(PID, "a row of items", 50 * MS),)))
    request = other.gets_stuck()
    other.goes_on(0.1)
    assert [wait.on for wait in waits_of(request)] == ["a row of items"]
    assert other.server.connections == 0
    one.lists.leave("shop")
    other.goes_on(0.2)
    assert other.server.connections >= 1


@pytest.mark.parametrize("text", [b"", b"\xff" * 70_000, b"\0\0\0\x05hello"])
def test_a_list_that_is_none(tmp_path: Path, play: Play, text: bytes) -> None:
    """What can't be read says nothing, and what is old says nothing of now."""
    one, other = LockLists(lambda: tmp_path, "shop"), play(Server())
    assert one.take("shop")
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    one.write("shop", LockList(steady_ns() - 10 * SECOND_NS, (Waiting(PID, "a row", 50 * MS),)))
    request = other.gets_stuck()
    other.goes_on(0.2)
    file.write_bytes(text)
    other.goes_on(0.2)
    assert waits_of(request) == []
    one.leave_all()


def test_a_directory_that_is_gone(tmp_path: Path, play: Play) -> None:
    """Then everybody looks."""
    played = play(Server(), directory=tmp_path / "none")
    request = played.gets_stuck()
    played.goes_on(0.1)
    assert len(waits_of(request)) == 1


def test_a_link_in_the_place_of_the_file(tmp_path: Path) -> None:
    """It is not followed."""
    lists = LockLists(lambda: tmp_path, "shop")
    lists.take("shop")
    (file,) = tmp_path.iterdir()
    lists.leave("shop")
    file.unlink()
    target = tmp_path / "target"
    target.write_text("theirs")
    os.symlink(target, file)
    assert lists.take("shop")
    lists.write("shop", LockList(1))
    assert lists.read("shop") is None
    assert target.read_text() == "theirs"
